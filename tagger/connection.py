"""HTTP to one registry: HTTPS or, where the Engine would use it, plain HTTP; Basic and Bearer; redirects; retries.

Credentials go to the registry's own scheme, host and port and to its token server, and nowhere else.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import urllib3

from tagger import __version__, challenge
from tagger.credentials import Credential, Secret
from tagger.errors import Denied, RegistryError, RegistryUnreachable, Unreadable, printable
from tagger.reference import Registry, is_loopback

_SILENCE_SECONDS = 30
_TIMEOUT = urllib3.Timeout(connect=15, read=_SILENCE_SECONDS)
_CONNECTIONS = 8
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_DELAYS = (0.2, 0.6, 1.5)
_LONGEST_RETRY_AFTER = 30.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_TOKEN_BYTES = 64 * 1024
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
# Token servers of well-known registries that live on another host than the registry itself.
_TOKEN_HOSTS = {"registry-1.docker.io": "auth.docker.io", "registry.gitlab.com": "gitlab.com"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's answer: the body has at most the number of bytes that was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def json(self) -> Any:
        """Parse the body; raise ValueError when it is not JSON."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def complaint(self) -> str:
        """Give the first error of the body in the registry's own words (OCI distribution spec, "Error codes")."""
        try:
            first = self.json()["errors"][0]
            code, message = str(first.get("code", "")), str(first.get("message", ""))
        except (ValueError, LookupError, TypeError, AttributeError):
            return f"HTTP {self.status}"
        return f"HTTP {self.status}, {printable(code, 60)}: {printable(message)}"

    def resolve(self, reference: str) -> str:
        """Make a URL of a reference in the answer, relative or absolute (RFC 3986), or raise RegistryError."""
        try:
            return urllib.parse.urljoin(self.url, reference)
        except ValueError:
            host = urllib.parse.urlsplit(self.url).netloc
            raise RegistryError(
                f"{host} points to '{printable(reference)}', which is no URL: ask whoever runs it"
            ) from None


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a registry is trusted without TLS.

    `insecure`: plain HTTP and unverified TLS are allowed, as in the Engine. `plain_credentials`: credentials may
    cross plain HTTP too (loopback, or named by the user). `token_hosts`: hosts beside its own that may be its token
    server.
    """

    insecure: bool = False
    plain_credentials: bool = False
    token_hosts: frozenset[str] = frozenset()


class Connection:
    """A pool of connections to one registry that authenticates as it is asked to; safe to use from several threads."""

    def __init__(
        self, registry: Registry, credential: Callable[[], Credential | None], trust: Trust | None = None
    ) -> None:
        self.registry = registry
        self._credential = credential
        self._trust = trust or Trust()
        self._lock = threading.RLock()
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._origin: str | None = None if self._trust.insecure else f"https://{registry.api_host}"
        self._authorizations: dict[str, Secret] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = 1024 * 1024,
    ) -> Answer:
        """Send a request to the registry and give its answer, whatever the status.

        `path` is absolute, or a URL of this registry; `scope` is what a token has to allow; `limit` is the most bytes
        of a body that are read. Transient failures of repeatable requests are tried again, for a few seconds.

        Raises RegistryUnreachable, RegistryError, Denied and CredentialsError.
        """
        url = urllib.parse.urljoin(self.origin, path)
        self._same_origin(url)
        sent = dict(headers or {})
        before = self._authorizations.get(scope)
        answer = self._redirected(method, url, _authorized(sent, before), body, limit)
        if answer.status != 401 or not self._authenticate(answer, scope, before):  # noqa: PLR2004 - HTTP's own number
            return answer
        return self._redirected(method, url, _authorized(sent, self._authorizations[scope]), body, limit)

    def credential(self) -> Credential | None:
        """Give the credential for this registry, if it may go there.

        Raises Denied when somebody on the way could read it, and CredentialsError.
        """
        found = self._credential()
        # What may be insecure may be plain HTTP or have any certificate.
        if found and self._trust.insecure and not self._trust.plain_credentials:
            raise Denied(
                f"the credentials for {self.registry} would travel without verified TLS: set that up, or allow it with"
                f" --insecure {self.registry}"
            )
        return found

    @property
    def origin(self) -> str:
        """Give the registry's scheme, host and port; the first use may ask the registry whether it speaks TLS."""
        with self._lock:
            if self._origin is None:
                self._origin = self._probe()
            return self._origin

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.clear()

    # -- transport ---------------------------------------------------------------------------------------------

    def _probe(self) -> str:
        """Find out whether an insecure registry speaks TLS: as the Engine does, HTTPS first and then HTTP."""
        secure = f"https://{self.registry.api_host}"
        try:
            self._once("GET", f"{secure}/v2/", {}, None, _TOKEN_BYTES)
        except (urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError):
            return f"http://{self.registry.api_host}"
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(secure, error) from None
        return secure

    def _redirected(self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit: int) -> Answer:
        answer = self._send(method, url, headers, body, limit)
        for _ in range(_MOST_REDIRECTS):
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            following = answer.resolve(location)
            if method not in ("GET", "HEAD") or not following.startswith(("https://", f"{self.origin}/")):
                raise RegistryError(
                    f"{self.registry} redirects {method} to {_shown(following)}, which tagger does not follow:"
                    " ask whoever runs it for the right address"
                )
            if _origin_of(following) != self.origin:
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            answer = self._send(method, following, headers, body, limit)
        raise RegistryError(f"{self.registry} redirects in circles: ask whoever runs it for its right address")

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit: int) -> Answer:
        for delay in (*_DELAYS, None):
            try:
                answer = self._once(method, url, headers, body, limit)
            except urllib3.exceptions.ReadTimeoutError:
                raise Unreadable(
                    f"{self.registry} took the request and gave no answer in {_SILENCE_SECONDS} s: see its log,"
                    " and run the same command again"
                ) from None
            except urllib3.exceptions.ProtocolError as error:
                if delay is None or method not in _REPEATABLE:
                    raise Unreadable(
                        f"{self.registry} broke off the connection ({_cause(error)}): run the same command again"
                    ) from None
                time.sleep(delay)
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(url, error) from None
            else:
                if delay is None or answer.status not in _TRANSIENT or method not in _REPEATABLE:
                    return answer
                time.sleep(max(delay, _retry_after(answer)))
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int) -> Answer:
        fields = {"User-Agent": f"tagger/{__version__}", "Accept-Encoding": "identity", **headers}
        response = self._pool(url).request(
            method, url, headers=fields, body=body, redirect=False, retries=False, preload_content=False,
            timeout=_TIMEOUT,
        )  # fmt: skip
        try:
            content = _body(response, limit + 1)
            if len(content) > limit:
                response.close()
                raise RegistryError(
                    f"{self.registry} answers with more than {limit} bytes where a registry has less:"
                    " check the host and the port"
                )
            return Answer(response.status, response.headers, content, url)
        finally:
            response.release_conn()

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urllib.parse.urlsplit(url)
        proxy = _proxy(parts)
        verified = not self._trust.insecure or parts.hostname != self.registry.hostname
        key = f"{verified} {proxy}"
        with self._lock:
            if key not in self._pools:
                self._pools[key] = _new_pool(proxy, self._tls(verified))
            return self._pools[key]

    def _tls(self, verified: bool) -> ssl.SSLContext:
        if not verified:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = ssl.create_default_context()
        # As in the Engine, these serve for the registry's token server too.
        _add_certificates(context, self.registry)
        return context

    def _unreachable(self, url: str, error: Exception) -> RegistryUnreachable:
        netloc = urllib.parse.urlsplit(url).netloc
        own = netloc == self.registry.api_host
        host = self.registry.host if own else printable(netloc)
        if isinstance(error, urllib3.exceptions.ProxyError):
            return RegistryUnreachable(
                f"the proxy on the way to {host} fails ({_cause(error)}): check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
            )
        if isinstance(error, urllib3.exceptions.NameResolutionError):
            return RegistryUnreachable(f"no host {host} is known: check the registry's name")
        if isinstance(error, urllib3.exceptions.SSLError):
            if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error):
                return RegistryUnreachable(
                    f"{host} speaks plain HTTP, not HTTPS: if that is meant, add it to the Engine's"
                    f" insecure-registries, or give --insecure {host}"
                )
            return RegistryUnreachable(
                f"{host} fails the TLS check ({_cause(error)}): put its CA into"
                f" /etc/docker/certs.d/{self.registry}/ca.crt"
            )
        service = "registry" if own else f"server for {self.registry}"
        return RegistryUnreachable(
            f"no {service} answers at {host} ({_cause(error)}): check the address and that it runs"
        )

    # -- authentication ----------------------------------------------------------------------------------------

    def _authenticate(self, answer: Answer, scope: str, before: Secret | None) -> bool:
        """Get an authorization for a scope; say whether there is a new one to try."""
        with self._lock:
            if self._authorizations.get(scope) != before:
                return True
            asked = challenge.choose(_values(answer.headers, "www-authenticate"))
            if asked is None:
                return False
            credential = self.credential()
            if asked.scheme == "bearer":
                found = Secret("Bearer " + self._token(asked, scope, credential))
            elif credential and not credential.is_identity_token:
                found = credential.basic()
            else:
                return False
            self._authorizations[scope] = found
            return found != before

    def _token(self, asked: challenge.Challenge, scope: str, credential: Credential | None) -> str:
        realm = asked.parameters.get("realm", "")
        self._check_realm(realm, credential)
        fields = {"service": asked.parameters.get("service", ""), "scope": scope or asked.parameters.get("scope", "")}
        fields = {name: value for name, value in fields.items() if value}
        if credential and credential.is_identity_token:
            form = fields | {
                "grant_type": "refresh_token", "client_id": "tagger", "refresh_token": credential.secret.reveal(),
            }  # fmt: skip
            answer = self._send(
                "POST",
                realm,
                {"Content-Type": "application/x-www-form-urlencoded"},
                urllib.parse.urlencode(form).encode(),
                _TOKEN_BYTES,
            )
        else:
            joint = "&" if urllib.parse.urlsplit(realm).query else "?"
            headers = {"Authorization": credential.basic().reveal()} if credential else {}
            answer = self._send("GET", f"{realm}{joint}{urllib.parse.urlencode(fields)}", headers, None, _TOKEN_BYTES)
        return self._read_token(answer, realm)

    def _read_token(self, answer: Answer, realm: str) -> str:
        server = printable(urllib.parse.urlsplit(realm).netloc)
        if answer.status in (401, 403):
            raise Denied(
                f"the token server {server} refuses the credentials for {self.registry}:"
                f" run docker login {self.registry}"
            )
        try:
            content = answer.json() if answer.status == 200 else {}  # noqa: PLR2004 - HTTP's own number
            token = content.get("token") or content.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryError(
                f"the token server {server} of {self.registry} gave no token ({answer.complaint()}): try again later,"
                f" or run docker login {self.registry}"
            )
        return token

    def _check_realm(self, realm: str, credential: Credential | None) -> None:
        """Refuse to hand credentials to a token server that may be a stranger's (CVE-2020-15157 and its kin)."""
        try:
            parts = urllib.parse.urlsplit(realm)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urllib.parse.urlsplit(""), ""
        plain = parts.scheme == "http" and self.origin.startswith("http:")
        if not host or parts.username or not (parts.scheme == "https" or plain):
            raise RegistryError(
                f"{self.registry} names '{printable(realm)}' as its token server, which is not an address to trust:"
                " ask whoever runs it"
            )
        own = urllib.parse.urlsplit(self.origin).hostname
        known = {own, _TOKEN_HOSTS.get(self.registry.api_host), *self._trust.token_hosts}
        if credential and host not in known:
            raise Denied(
                f"{self.registry} wants its credentials sent to {printable(host)}: if that is its token server,"
                f" allow it with --auth-host {printable(host)}"
            )

    def _same_origin(self, url: str) -> None:
        if _origin_of(url) != self.origin:
            raise RegistryError(
                f"{self.registry} points to another host, {_shown(url)}, which tagger does not follow:"
                " ask whoever runs it for the right address"
            )


def _body(response: urllib3.BaseHTTPResponse, most: int) -> bytes:
    """Read a body, but no more than `most` bytes; only the read after the last byte tells one that was cut off."""
    content = b""
    while len(content) < most and (piece := response.read(most - len(content), decode_content=False)):
        content += piece
    return content


def _authorized(headers: dict[str, str], authorization: Secret | None) -> dict[str, str]:
    return {**headers, "Authorization": authorization.reveal()} if authorization else headers


def _origin_of(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _shown(url: str) -> str:
    """Give a URL without its query, which may be a signature that opens the door."""
    return printable(url.partition("?")[0])


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    every = getattr(headers, "getlist", None)
    return list(every(name)) if every else [headers[name]] if name in headers else []


def _retry_after(answer: Answer) -> float:
    """Give the seconds that a registry asks to wait, within bounds (RFC 9110, section 10.2.3)."""
    asked = answer.headers.get("retry-after", "")
    try:
        seconds = float(asked) if asked.isdigit() else parsedate_to_datetime(asked).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _proxy(parts: urllib.parse.SplitResult) -> str | None:
    """Give the proxy that the environment names; as in Go, loopback never goes through one."""
    host = parts.hostname or ""
    if host == "localhost" or is_loopback(host) or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxy = urllib.request.getproxies_environment().get(parts.scheme)
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _new_pool(proxy: str | None, context: ssl.SSLContext) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
    user = urllib3.util.parse_url(proxy).auth
    headers = urllib3.util.make_headers(proxy_basic_auth=urllib.parse.unquote(user)) if user else None
    return urllib3.ProxyManager(proxy, maxsize=_CONNECTIONS, ssl_context=context, proxy_headers=headers)


def _add_certificates(context: ssl.SSLContext, registry: Registry) -> None:
    """Trust what the Engine trusts: `certs.d/HOST:PORT/` with *.crt for CAs and *.cert beside *.key for a client."""
    for folder in (Path("/etc/docker/certs.d"), Path.home() / ".config/docker/certs.d"):
        here = folder / registry.host
        try:
            for authority in sorted(here.glob("*.crt")):
                context.load_verify_locations(authority)
            for certificate in sorted(here.glob("*.cert")):
                context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            raise RegistryUnreachable(
                f"a certificate in {here} cannot be used ({printable(error)}): each *.cert needs its *.key, in PEM"
            ) from None


def _cause(error: Exception) -> str:
    """Give the innermost reason of an error of urllib3, without its object names."""
    inner: BaseException = error
    while (following := getattr(inner, "reason", None) or inner.__cause__ or inner.__context__) and isinstance(
        following, BaseException
    ):
        inner = following
    if isinstance(inner, OSError) and inner.strerror:
        return printable(inner.strerror)
    if isinstance(inner, TimeoutError | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return printable(str(inner).rpartition(": ")[2] or type(inner).__name__)
