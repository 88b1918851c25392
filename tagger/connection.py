"""A connection to one registry that authenticates as it is asked to: Basic and Bearer; redirects.

Credentials go to the registry's own scheme, host and port and to its token server, and nowhere else.
"""

from __future__ import annotations

import contextlib
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import urllib3

from tagger import challenge, hosts
from tagger.credentials import Credential, Secret
from tagger.errors import Denied, RegistryError, TaggerError, printable
from tagger.patience import Patience, Trace
from tagger.reference import Registry
from tagger.transport import Answer, Body, Transport, shown

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_TOKEN_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a registry is trusted without TLS.

    `insecure`: plain HTTP and unverified TLS are allowed, as in the Engine. `plain_credentials`: credentials may
    cross plain HTTP too (loopback, or named by the user). `plain_first`: plain HTTP is tried first, which is safe and
    usual where nothing leaves the machine. `token_hosts`: hosts beside its own that may be its token server.
    """

    insecure: bool = False
    plain_credentials: bool = False
    plain_first: bool = False
    token_hosts: frozenset[str] = frozenset()


class Connection:
    """A pool of connections to one registry that authenticates as it is asked to; safe to use from several threads."""

    def __init__(
        self,
        registry: Registry,
        credential: Callable[[], Credential | None],
        trust: Trust | None = None,
        *,
        patience: Patience | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.registry = registry
        self.patience = patience or Patience()
        self._credential = credential
        self._trust = trust or Trust()
        self._transport = Transport(registry, insecure=self._trust.insecure, patience=self.patience, trace=trace)
        self._lock = threading.RLock()
        self._origin: str | None = None if self._trust.insecure else f"https://{registry.api_host}"
        self._authorizations: dict[str, Secret] = {}
        self._failures: dict[str, TaggerError] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        limit: int = 1024 * 1024,
        elsewhere: bool = True,
    ) -> Answer:
        """Send a request to the registry and give its answer, whatever the status.

        What carries the pieces of a blob is sent once, even if that is answered by 401.

        `path` is absolute, or a URL of this registry; `scope` is what a token has to allow; `limit` is the most bytes
        of a body that are read; without `elsewhere` a redirect to another host is the answer. Transient failures of
        repeatable requests are tried again, for a few seconds.

        Raises RegistryUnreachable, RegistryError, Denied and CredentialsError.
        """
        sent = dict(headers or {})
        failure = self._failures.get(scope)
        first = self._tried_plainly(method, path, sent, limit)
        url = urllib.parse.urljoin(self.origin, path)
        self._same_origin(url)
        before = None if first else self._authorizations.get(scope)
        authorized = _authorized(sent, before)
        answer = self._transport.send(method, url, authorized, body, limit=limit, first=first)
        answer = self._followed(method, answer, authorized, limit, elsewhere=elsewhere)
        if answer.status != 401 or not self._authenticate(answer, scope, before, failure):  # noqa: PLR2004 - HTTP's own number
            return answer
        if isinstance(body, Iterator):
            return answer
        authorized = _authorized(sent, self._authorizations[scope])
        answer = self._transport.send(method, url, authorized, body, limit=limit)
        return self._followed(method, answer, authorized, limit, elsewhere=elsewhere)

    @contextlib.contextmanager
    def opened(self, path: str, *, scope: str) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """Get a blob, from wherever the registry says that it is: the answer, and its body in pieces.

        Nothing is tried again. Raises, with any piece too, what `request` raises.
        """
        url = urllib.parse.urljoin(self.origin, path)
        for attempt in range(_MOST_REDIRECTS + 2):
            failure, before = self._failures.get(scope), self._authorizations.get(scope)
            headers = _authorized({}, before) if _origin_of(url) == self.origin else {}
            with self._transport.opened(url, headers, limit=_TOKEN_BYTES) as (answer, pieces):
                challenged = answer.status == 401 and attempt == 0  # noqa: PLR2004 - HTTP's own number
                if challenged and self._authenticate(answer, scope, before, failure):
                    continue
                if following := self._following("GET", answer):
                    url = following
                    continue
                yield answer, pieces
                return
        raise self._circles()

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
        self._transport.close()

    def _probe(self) -> str:
        """Find out whether an insecure registry speaks TLS: as the Engine does, HTTPS first and then HTTP."""
        secure = f"https://{self.registry.api_host}"
        try:
            self._transport.once("GET", f"{secure}/v2/", {}, limit=_TOKEN_BYTES)
        except (urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError):
            return f"http://{self.registry.api_host}"
        except urllib3.exceptions.HTTPError as error:
            raise self._transport.unreachable(secure, error) from None
        return secure

    def _tried_plainly(self, method: str, path: str, headers: dict[str, str], limit: int) -> Answer | None:
        """Send the first reads over plain HTTP, without credentials; give the answer if that is what is spoken there.

        Servers that want TLS answer such a request by 400, or by breaking off.
        """
        if self._origin is not None or not self._trust.plain_first or method not in ("GET", "HEAD"):
            return None
        plain = f"http://{self.registry.api_host}"
        try:
            answer = self._transport.once(method, plain + path, headers, limit=limit)
        except (urllib3.exceptions.HTTPError, RegistryError):
            return None
        with self._lock:
            if answer.status != 400 and self._origin is None:  # noqa: PLR2004 - HTTP's own number
                self._origin = plain
            return answer if self._origin == plain and answer.status != 400 else None  # noqa: PLR2004 - as above

    def _followed(self, method: str, answer: Answer, headers: dict[str, str], limit: int, *, elsewhere: bool) -> Answer:
        """Follow the redirects of a read from its first answer on, to another host only where that is wanted."""
        for _ in range(_MOST_REDIRECTS):
            if not elsewhere and self._leads_elsewhere(answer):
                return answer
            following = self._following(method, answer)
            if following is None:
                return answer
            if _origin_of(following) != self.origin:
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            answer = self._transport.send(method, following, headers, limit=limit)
        raise self._circles()

    def _leads_elsewhere(self, answer: Answer) -> bool:
        location = answer.headers.get("location", "")
        return answer.status in _REDIRECTS and _origin_of(answer.resolve(location)) != self.origin

    def _following(self, method: str, answer: Answer) -> str | None:
        """Give the URL that an answer redirects to, None where it does not. Raises RegistryError for one to refuse."""
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or not location:
            return None
        following = answer.resolve(location)
        if method not in ("GET", "HEAD") or not following.startswith(("https://", f"{self.origin}/")):
            raise RegistryError(
                f"{self.registry} redirects {method} to {shown(following)}, which tagger does not follow:"
                " ask whoever runs it for the right address"
            )
        return following

    def _circles(self) -> RegistryError:
        return RegistryError(f"{self.registry} redirects in circles: ask whoever runs it for its right address")

    # -- authentication ----------------------------------------------------------------------------------------

    def _authenticate(self, answer: Answer, scope: str, before: Secret | None, failure: TaggerError | None) -> bool:
        """Get an authorization for a scope; say whether there is a new one to try.

        `before` and `failure` are what was known when the request was sent: of several at once one asks for all.
        """
        with self._lock:
            if self._authorizations.get(scope) != before:
                return True
            latest = self._failures.get(scope)
            if latest and latest is not failure:
                raise latest
            try:
                found = self._authorization(answer, scope)
            except TaggerError as error:
                self._failures[scope] = error
                raise
            if found:
                self._authorizations[scope] = found
            return found not in (None, before)

    def _authorization(self, answer: Answer, scope: str) -> Secret | None:
        """Get what a challenge asks for, None where there is nothing to answer it with."""
        asked = challenge.choose(_values(answer.headers, "www-authenticate"))
        if asked is None:
            return None
        credential = self.credential()
        if asked.scheme == "bearer":
            return Secret("Bearer " + self._token(asked, scope, credential))
        return credential.basic() if credential and not credential.is_identity_token else None

    def _token(self, asked: challenge.Challenge, scope: str, credential: Credential | None) -> str:
        realm = asked.parameters.get("realm", "")
        self._check_realm(realm, credential)
        fields = {"service": asked.parameters.get("service", ""), "scope": scope or asked.parameters.get("scope", "")}
        fields = {name: value for name, value in fields.items() if value}
        if credential and credential.is_identity_token:
            form = fields | {
                "grant_type": "refresh_token", "client_id": "tagger", "refresh_token": credential.secret.reveal(),
            }  # fmt: skip
            answer = self._transport.send(
                "POST",
                realm,
                {"Content-Type": "application/x-www-form-urlencoded"},
                urllib.parse.urlencode(form).encode(),
                limit=_TOKEN_BYTES,
            )
        else:
            joint = "&" if urllib.parse.urlsplit(realm).query else "?"
            headers = {"Authorization": credential.basic().reveal()} if credential else {}
            # Each scope is a parameter of its own (distribution, "Token Authentication Specification").
            each = [(name, part) for name, text in fields.items() for part in _parts(name, text)]
            url = f"{realm}{joint}{urllib.parse.urlencode(each)}"
            answer = self._transport.send("GET", url, headers, limit=_TOKEN_BYTES)
        return self._read_token(answer, realm)

    def _read_token(self, answer: Answer, realm: str) -> str:
        server = printable(urllib.parse.urlsplit(realm).netloc.rpartition("@")[2])
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
                f"{self.registry} names '{shown(realm)}' as its token server, which is not an address to trust:"
                " ask whoever runs it"
            )
        own = urllib.parse.urlsplit(self.origin).hostname
        allowed = {own, *hosts.known(self.registry).token_hosts, *self._trust.token_hosts}
        if credential and host not in allowed:
            raise Denied(
                f"{self.registry} wants its credentials sent to {printable(host)}: if that is its token server,"
                f" allow it with --auth-host {printable(host)}"
            )

    def _same_origin(self, url: str) -> None:
        if _origin_of(url) != self.origin:
            raise RegistryError(
                f"{self.registry} points to another host, {shown(url)}, which tagger does not follow:"
                " ask whoever runs it for the right address"
            )


def _authorized(headers: dict[str, str], authorization: Secret | None) -> dict[str, str]:
    return {**headers, "Authorization": authorization.reveal()} if authorization else headers


def _parts(name: str, text: str) -> list[str]:
    return text.split() if name == "scope" else [text]


def _origin_of(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    every = getattr(headers, "getlist", None)
    return list(every(name)) if every else [headers[name]] if name in headers else []
