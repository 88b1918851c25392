"""HTTP requests to one registry and where it points: TLS, proxies, retries, and an end to every answer."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import math
import os
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
import urllib3.connection

from tagger import __version__
from tagger.errors import (
    Denied,
    Immutable,
    NoRepository,
    OverQuota,
    Refused,
    RegistryError,
    RegistryUnreachable,
    TaggerError,
    TooLong,
    Unreadable,
)
from tagger.names import Registry, Repository
from tagger.registry import refusal
from tagger.registry.proxies import proxies_of, proxy_of
from tagger.registry.refusal import Why
from tagger.text import hide, printable
from tagger.work import Patience, Trace

SILENCE_SECONDS = 30.0
ANSWER_SECONDS = 120.0
# A blob may take for ever as long as it moves, and a registry may take a while to put a large one where it belongs.
BLOB_SILENCE_SECONDS = 120.0
_CONNECT_SECONDS = 15.0
_SLICE_SECONDS = 0.2
_PIECE_BYTES = 256 * 1024
_CONNECTIONS = 8
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_DELAYS = (0.2, 0.6, 1.5)
_LONGEST_RETRY_AFTER = 30.0
_UNITS = {
    "": 1,
    "h": 3600,
    "m": 60,
    "s": 1,
    "ms": 1e-3,
    "us": 1e-6,
    "\N{MICRO SIGN}s": 1e-6,
    "\N{GREEK SMALL LETTER MU}s": 1e-6,
    "ns": 1e-9,
}
_DURATION = re.compile(rf"([0-9]+(?:\.[0-9]+)?)({'|'.join(sorted(_UNITS, key=len, reverse=True))})")
# What a command may spend on waiting for retries in all: a registry that is down for good is soon said to be.
_WAITING_SECONDS = 120.0
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_READS = frozenset({"GET", "HEAD"})
_MOST_ERRORS = 3
_REFUSALS: dict[Why, tuple[type[Refused], str]] = {
    Why.IMMUTABLE: (
        Immutable,
        (
            "exclude the floating tags from the immutability rule or set floats = [], and release another image under"
            " another version"
        ),
    ),
    Why.READ_ONLY: (Refused, "wait until it takes writes again, or ask whoever runs it"),
    Why.QUOTA: (OverQuota, "remove old versions, as tagger prune does, or ask for a larger quota"),
    Why.NO_REPOSITORY: (NoRepository, "create the repository first, or check its name"),
}
Body = bytes | Iterator[bytes] | None
"""What is sent: bytes, or the pieces of a blob, which are there only once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's answer: the body has at most the number of bytes that was asked for.

    `lacks` is the right, such as "push", that is missing where it refuses a login that is good.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    lacks: str = ""

    def json(self) -> Any:
        """Parse the body; raise ValueError when it is not JSON."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def time(self) -> float | None:
        """Give the time that the answer says it is, in seconds since 1970; None where it says none."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None

    def complaint(self) -> str:
        """Give the registry's own words, whole: its status, and the code, message and detail of its errors."""
        said = "; ".join(self._errors())
        return f"HTTP {self.status}, {said}" if said else f"HTTP {self.status}"

    def why(self, name: str = "") -> Why | None:
        """Say why this is a refusal for good, None where it is none; `name` is the repository's."""
        return refusal.reason(" ".join(self._errors()), self.status, name)

    def passes(self) -> bool:
        """Say whether the same request may get a better answer in a moment."""
        return self.status in _TRANSIENT and not self.why()

    def check(self, repository: Repository, what: str, *expected: HTTPStatus) -> None:
        """Raise what the status means, unless it is an expected one: a kind of Refused, Unreadable or RegistryError."""
        if self.status not in expected:
            raise self._failure(repository, what)

    def _failure(self, repository: Repository, what: str) -> TaggerError:
        registry, path = repository.registry, repository.path
        why = self.why(path)
        if why is Why.NO_RIGHT:
            return Denied(
                f"{registry} does not let you {what} in {path} ({self.complaint()}): {self._way_in(registry)}"
            )
        failed = f"{registry} failed to {what} in {path} ({self.complaint()})"
        if why:
            kind, advice = _REFUSALS[why]
            return kind(f"{failed}: {advice}")
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return RegistryError(
                f"{failed}: that is too large for the registry or for a proxy before it, so ask whoever runs it for a"
                " higher limit"
            )
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unreadable(f"{failed}: try again, and see the registry's log")
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return Unreadable(f"{failed}: try again later")
        return RegistryError(f"{failed}: see whether the registry's rules allow that")

    def codes(self) -> list[str]:
        """Give the codes of the errors that the body names."""
        return [str(error.get("code", "")) for error in self._listed() if isinstance(error, dict)]

    def _way_in(self, registry: Registry) -> str:
        """Say what helps against a refusal: a login only where there was none, or where it was no good."""
        if not self.lacks:
            return f"run docker login {registry}, or ask for the right"
        if "invalid_token" in self.headers.get("www-authenticate", ""):
            return f"its own token server gave that token, so ask whoever runs {registry}, or check your clock"
        asked = f"ask whoever runs {registry} for it"
        if self.status == HTTPStatus.UNAUTHORIZED:
            return f"your login is good and lacks the right to {self.lacks}, so {asked}"
        return f"your login is good, so if it is the right to {self.lacks} that is missing, {asked}"

    def _errors(self) -> list[str]:
        return [said for said in map(_error, self._listed()) if said]

    def _listed(self) -> list[object]:
        """Give the errors of the body, in the form of the specification ("Error codes") or in one like it."""
        try:
            content = self.json()
        except ValueError:
            return []
        errors = content.get("errors", [content]) if isinstance(content, dict) else []
        return errors[:_MOST_ERRORS] if isinstance(errors, list) else [errors]

    def resolve(self, reference: str) -> str:
        """Make a URL of a reference in the answer, relative or absolute (RFC 3986), or raise RegistryError."""
        try:
            return urllib.parse.urljoin(self.url, reference)
        except ValueError:
            host = urllib.parse.urlsplit(self.url).netloc.rpartition("@")[2]
            raise RegistryError(
                f"{host} points to '{shown(reference)}', which is no URL: ask whoever runs it"
            ) from None


def _error(error: object) -> str:
    """Write one error of a body in a line: code, message and detail, as far as they are there."""
    if not isinstance(error, dict):
        return printable(error) if isinstance(error, str) else ""
    written = _spelt(error.get("detail"))
    message = str(error.get("message") or error.get("error") or "")
    said = ", ".join(printable(part) for part in dict.fromkeys((message, written)) if part)
    return ": ".join(part for part in (printable(error.get("code") or "", 60), said) if part)


def _spelt(detail: object, depth: int = 3) -> str:
    """Write the detail of an error without the marks of JSON."""
    if isinstance(detail, dict) and depth:
        return ", ".join(f"{name}: {said}" for name, value in detail.items() if (said := _spelt(value, depth - 1)))
    if isinstance(detail, list) and depth:
        return ", ".join(said for value in detail if (said := _spelt(value, depth - 1)))
    return str(detail) if isinstance(detail, str | int | float) and detail is not False else ""


class Transport:
    """A pool of connections to one registry, and to where it points; safe to use from several threads.

    `insecure` says that the registry's own certificate is not verified. `trace` is told of every request.
    """

    def __init__(self, registry: Registry, *, insecure: bool, patience: Patience, trace: Trace | None = None) -> None:
        self.registry = registry
        self.patience = patience
        self._insecure = insecure
        self._trace = trace
        self._lock = threading.Lock()
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._waited = 0.0

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body = None,
        *,
        limit: int,
        first: Answer | None = None,
    ) -> Answer:
        """Send a request and give its answer; transient failures of repeatable requests are tried again.

        What carries the pieces of a blob is not repeatable.

        `first` is the answer to the first attempt, if that was made already.

        Raises Unreadable, RegistryUnreachable, RegistryError for an answer that is too long, TimedOut and CalledOff.
        """
        for delay in (*_DELAYS, None):
            retried = delay is not None and method in _REPEATABLE and not isinstance(body, Iterator)
            try:
                answer, first = first or self.once(method, url, headers, body, limit=limit), None
            except urllib3.exceptions.ReadTimeoutError:
                raise Unreadable(
                    f"{self.registry} took the request and did not answer in time: see its log, and run the same"
                    " command again"
                ) from None
            except urllib3.exceptions.ProtocolError as error:
                if not (retried and self._wait(delay)):
                    raise self._broken_off(error) from None
            except urllib3.exceptions.HTTPError as error:
                raise self.unreachable(url, error) from None
            else:
                if not (retried and answer.passes() and self._wait(delay, answer)):
                    return answer
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.clear()

    def _wait(self, delay: float | None, answer: Answer | None = None) -> bool:
        """Wait before the next attempt, as long as the registry asks; say no when all waiting is spent."""
        seconds = max(delay or 0.0, _retry_after(answer) if answer else 0.0)
        with self._lock:
            if self._waited + seconds > _WAITING_SECONDS:
                return False
            self._waited += seconds
        if self._trace:
            self._trace(f"{self.registry} is asked again in {seconds:.1f} s")
        said = f"answered HTTP {answer.status}" if answer else "broke off the connection"
        self.patience.sleep(seconds, f"{self.registry} {said}")
        return True

    def once(self, method: str, url: str, headers: Mapping[str, str], body: Body = None, *, limit: int) -> Answer:
        """Send a request one time; raise urllib3's HTTPError where `send` translates, and what else `send` raises."""
        with self._traced(method, url) as traced:
            response = self._begun(method, url, headers, body, of_blob=isinstance(body, Iterator))
            traced.outcome = str(response.status)
            return Answer(response.status, response.headers, self._content(response, limit), url)

    @contextlib.contextmanager
    def opened(self, url: str, headers: Mapping[str, str], *, limit: int) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """Get a blob: the answer, and its body in pieces; the body of another answer than 200 is in the answer.

        Nothing is tried again. Raises, at the beginning and with any piece, what `send` raises.
        """
        with self._traced("GET", url) as traced:
            try:
                response = self._begun("GET", url, headers, None, of_blob=True)
                traced.outcome = str(response.status)
                found = response.status == HTTPStatus.OK
                content = b"" if found else self._content(response, limit)
            except urllib3.exceptions.ProtocolError as error:
                raise self._broken_off(error) from None
            except urllib3.exceptions.HTTPError as error:
                raise self.unreachable(url, error) from None
            try:
                yield Answer(response.status, response.headers, content, url), self._pieces(response)
            finally:
                response.close()
                response.release_conn()

    def _begun(
        self, method: str, url: str, headers: Mapping[str, str], body: Body, *, of_blob: bool
    ) -> urllib3.BaseHTTPResponse:
        self.patience.check()
        fields = {"User-Agent": f"tagger/{__version__}", "Accept-Encoding": "identity", **headers}
        silence = BLOB_SILENCE_SECONDS if of_blob else SILENCE_SECONDS
        return self._pool(url, of_blob=of_blob).request(
            method, url, headers=fields, body=body, redirect=False, retries=False, preload_content=False,
            timeout=urllib3.Timeout(connect=_sooner(_CONNECT_SECONDS, self.patience.left()), read=silence),
        )  # fmt: skip

    @contextlib.contextmanager
    def _traced(self, method: str, url: str) -> Iterator[_Traced]:
        traced, begun = _Traced(), time.monotonic()
        try:
            yield traced
        finally:
            if self._trace:
                self._trace(f"{method} {shown(url)} {traced.outcome} in {(time.monotonic() - begun) * 1000:.0f} ms")

    def _pieces(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            while piece := response.read(_PIECE_BYTES, decode_content=False):
                self.patience.left()
                yield piece
        except (urllib3.exceptions.HTTPError, ValueError) as error:  # the latter as in `_content`
            raise self._broken_off(error) from None

    def _broken_off(self, error: Exception) -> Unreadable:
        return Unreadable(f"{self.registry} broke off the connection ({_cause(error)}): run the same command again")

    def _content(self, response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; only the read after the last byte tells one that was cut off."""
        content = bytearray()
        try:
            while len(content) <= limit and (piece := response.read(limit + 1 - len(content), decode_content=False)):
                content += piece
            if len(content) > limit:
                response.close()
                raise TooLong(
                    f"{self.registry} answers with more than {limit} bytes where a registry has less:"
                    " check the host and the port"
                )
            return bytes(content)
        except ValueError:  # http.client's own for a chunk of a negative size
            raise urllib3.exceptions.ProtocolError("the answer is no HTTP") from None
        finally:
            response.release_conn()

    def _pool(self, url: str, *, of_blob: bool) -> urllib3.PoolManager:
        parts = urllib.parse.urlsplit(url)
        proxy = proxy_of(parts, os.environ)
        verified = not self._insecure or parts.hostname != self.registry.hostname.lower()
        key = f"{verified} {of_blob} {proxy}"
        with self._lock:
            if key not in self._pools:
                self._pools[key] = _new_pool(proxy, self._tls(verified), self.patience, of_blob=of_blob)
            return self._pools[key]

    def _tls(self, verified: bool) -> ssl.SSLContext:
        if not verified:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = ssl.create_default_context()
            # Python 3.13 begins to want more of a certificate than the Engine does, such as a key identifier.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # As in the Engine, these serve for the registry's token server too.
        _add_certificates(context, self.registry)
        return context

    def unreachable(self, url: str, error: Exception) -> RegistryUnreachable:
        """Say in words what kept a request from its server."""
        netloc = urllib.parse.urlsplit(url).netloc
        own = netloc == self.registry.api_host
        host = self.registry.host if own else printable(netloc.rpartition("@")[2])
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


@dataclass(slots=True)
class _Traced:
    """A request as it is told about: its status, once there is one."""

    outcome: str = "no answer"


def shown(url: str) -> str:
    """Give a URL without user and query, which may be a password or a signature that opens the door."""
    return printable(url.partition("?")[0])


def _retry_after(answer: Answer) -> float:
    """Give the seconds that a registry asks to wait, within bounds (RFC 9110, section 10.2.3).

    GitHub's registry writes them as Go does: `880.092µs`, `1m30s`.
    """
    asked = answer.headers.get("retry-after", "").strip()
    parts = _DURATION.findall(asked)
    try:
        if asked and "".join(number + unit for number, unit in parts) == asked:
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        else:
            seconds = parsedate_to_datetime(asked).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def proxy_to(url: str) -> str | None:
    """Give the proxy on the way to a URL, without its login; None for none.

    Raises RegistryUnreachable for one that is no URL.
    """
    proxy = proxy_of(urllib.parse.urlsplit(url), os.environ)
    return _without_login(proxy) if proxy else None


def proxies() -> dict[str, str]:
    """Give the proxies that the environment names by their schemes, without logins. Raises what `proxy_to` raises."""
    return {scheme: _without_login(proxy) for scheme, proxy in proxies_of(os.environ).items()}


def _without_login(proxy: str) -> str:
    _proxy_login(proxy)
    return shown(proxy)


def authorities(registry: Registry) -> list[Path]:
    """Name the files and folders of the CAs that are trusted for a registry: the system's, and its own."""
    system = ssl.get_default_verify_paths()
    own = [file for folder in _certificates(registry) for file in sorted(folder.glob("*.crt"))]
    return [*(Path(place) for place in (system.cafile, system.capath) if place), *own]


def _new_pool(proxy: str | None, context: ssl.SSLContext, patience: Patience, *, of_blob: bool) -> urllib3.PoolManager:
    headers = _proxy_login(proxy) if proxy else None
    pool = (
        urllib3.ProxyManager(proxy, maxsize=_CONNECTIONS, ssl_context=context, proxy_headers=headers)
        if proxy
        else urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
    )
    pool.pool_classes_by_scheme = _bounded(patience, of_blob=of_blob)
    return pool


def _proxy_login(proxy: str) -> dict[str, str] | None:
    """Give the header that logs in to a proxy, None for none; a proxy whose URL is none is not shown."""
    try:
        parts = urllib3.util.parse_url(proxy)
    except urllib3.exceptions.LocationParseError:
        parts = urllib3.util.Url()
    kind = proxy.partition("://")[0].lower()
    if kind not in ("http", "https") and re.fullmatch("[a-z][a-z0-9]*", kind):
        raise RegistryUnreachable(
            f"HTTPS_PROXY or HTTP_PROXY names a {kind} proxy, a kind of proxy that tagger cannot use: give"
            " http://HOST:PORT, or name the registry in NO_PROXY"
        )
    if not parts.host or parts.scheme not in ("http", "https"):
        raise RegistryUnreachable(
            "the proxy that HTTPS_PROXY or HTTP_PROXY names is not a URL: give http://HOST:PORT, with the special"
            " characters of a password as % and two hexadecimal digits"
        )
    if not parts.auth:
        return None
    login = urllib.parse.unquote(parts.auth)
    for secret in (login.partition(":")[2], parts.auth.partition(":")[2]):
        hide(secret)
    headers = urllib3.util.make_headers(proxy_basic_auth=login)
    hide(headers["proxy-authorization"].removeprefix("Basic "))
    return headers


def _sooner(seconds: float, left: float | None) -> float:
    return seconds if left is None else min(seconds, left)


# -- answers that end ----------------------------------------------------------------------------------------------


def _bounded(given: Patience, *, of_blob: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Make connections whose answers end in time, headers and all; a blob may take longer, as long as it moves."""

    class Response(_Response):
        patience = given
        endless = of_blob

    class Plain(urllib3.connection.HTTPConnection):
        response_class = Response

    class Secure(urllib3.connection.HTTPSConnection):
        response_class = Response

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Response(http.client.HTTPResponse):
    """An answer that has to be complete within ANSWER_SECONDS: a byte now and then would keep any other one alive."""

    patience: Patience
    endless: bool

    def __init__(self, connection: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(connection, *arguments, **named)
        patience = self.patience if named.get("method") in _READS else None
        seconds = (BLOB_SILENCE_SECONDS, math.inf) if self.endless else (SILENCE_SECONDS, ANSWER_SECONDS)
        self.fp = io.BufferedReader(_Incoming(self.fp.detach(), connection, patience, seconds))


class _Incoming(io.RawIOBase):
    """The bytes of one answer; what only reads ends when it is called off, and what writes is waited for."""

    def __init__(
        self, raw: io.RawIOBase, connection: socket.socket, patience: Patience | None, seconds: tuple[float, float]
    ) -> None:
        self._raw = raw  # holds the socket open for as long as the answer is read
        self._socket = connection
        self._patience = patience
        self._silence, in_all = seconds
        self._end = time.monotonic() + in_all

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        silent = time.monotonic() + self._silence
        while (left := min(silent, self._end) - time.monotonic()) > 0:
            if self._patience:
                self._patience.check()
            self._socket.settimeout(min(left, _SLICE_SECONDS))
            with contextlib.suppress(TimeoutError):
                return self._socket.recv_into(buffer)
        raise TimeoutError("the answer takes too long")

    def close(self) -> None:
        self._raw.close()
        super().close()


def _certificates(registry: Registry) -> list[Path]:
    """Name the folders of an Engine that runs as root, of one that does not, and of Docker Desktop."""
    folders = (Path("/etc/docker"), Path.home() / ".config/docker", Path.home() / ".docker")
    return [folder / "certs.d" / registry.host for folder in folders]


def _add_certificates(context: ssl.SSLContext, registry: Registry) -> None:
    """Trust what the Engine trusts: `certs.d/HOST:PORT/` with *.crt for CAs and *.cert beside *.key for a client."""
    for here in _certificates(registry):
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
