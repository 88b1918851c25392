"""The address of a registry: its scheme, host and port, and how far it is trusted there."""

from __future__ import annotations

import threading
from http import HTTPStatus

import urllib3

from tagger.errors import BadAnswer
from tagger.names import Registry
from tagger.registry.answer import Answer
from tagger.registry.failures import unreachable
from tagger.registry.http import Transport
from tagger.registry.url import PORTS, origin_of, shown
from tagger.values import dataclass

_GREETING_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a registry is trusted without TLS.

    `insecure`: plain HTTP and unverified TLS are allowed, as in the Engine. `plain_credentials`: credentials may go
    over plain HTTP too (loopback, or named by the user). `plain_first`: plain HTTP is tried first, which is safe and
    usual on one machine. `token_hosts`: other hosts that may be its token server. `because` says why it may be
    insecure.
    """

    insecure: bool = False
    because: str = ""
    plain_credentials: bool = False
    plain_first: bool = False
    token_hosts: frozenset[str] = frozenset()


@dataclass(slots=True)
class Found:
    """The scheme, host and port of a registry; None before the first request."""

    origin: str | None = None


class Site:
    """The address of one registry; safe to use from several threads. Several sites may share what was `found`."""

    def __init__(self, registry: Registry, trust: Trust, transport: Transport, found: Found | None = None) -> None:
        self.registry = registry
        self.trust = trust
        self._transport = transport
        self._lock = threading.RLock()
        self._secure, self._plain = (f"{scheme}://{registry.api_host}" for scheme in ("https", "http"))
        self._found = found or Found()
        if not trust.insecure:
            self._found.origin = self._secure

    @property
    def origin(self) -> str:
        """The registry's scheme, host and port; the first use may ask the registry whether it supports TLS."""
        with self._lock:
            if self._found.origin is None:
                self._found.origin = self._probed()
            return self._found.origin

    def greeting(self) -> Answer:
        """Return the root's answer to a request without credentials. Raises what `Transport.send` raises."""
        plainly = self.tried_plainly("GET", "/v2/", {}, _GREETING_BYTES)
        return plainly or self._transport.send("GET", f"{self.origin}/v2/", {}, limit=_GREETING_BYTES)

    def tried_plainly(self, method: str, path: str, headers: dict[str, str], limit: int) -> Answer | None:
        """Return the answer to a first read over plain HTTP, without credentials; None if the server has none.

        Servers that require TLS answer such a request with 400, or close the connection.
        """
        if self._found.origin is not None or not self.trust.plain_first or method not in ("GET", "HEAD"):
            return None
        try:
            answer = self._transport.once(method, self._plain + path, headers, limit=limit)
        except (urllib3.exceptions.HTTPError, BadAnswer):
            return None
        with self._lock:
            spoken = answer.status != HTTPStatus.BAD_REQUEST
            if spoken and self._found.origin is None:
                self._found.origin = self._plain
            return answer if spoken and self._found.origin == self._plain else None

    def owns(self, url: str) -> bool:
        """Return whether a URL has the registry's own scheme, host and port."""
        return origin_of(url) == origin_of(self.origin)

    def check_own(self, url: str) -> None:
        """Raise BadAnswer for a URL of any other host."""
        self.check_not_downgraded(url)
        if not self.owns(url):
            raise BadAnswer(
                f"{self.registry} points to another host, {shown(url)}, which tagger does not follow",
                "ask its administrator for the right address",
            )

    def check_not_downgraded(self, url: str) -> None:
        """Raise BadAnswer for plain HTTP at the host that was reached over TLS: the proxy before it caused that."""
        scheme, host, port = origin_of(self.origin)
        plain = ("http", host, PORTS["http"] if port == PORTS[scheme] else port)
        if scheme == "https" and origin_of(url) == plain:
            raise BadAnswer(
                f"{self.registry} is reached over https and points to {shown(url)}, which tagger does not follow",
                "make the proxy in front of it send X-Forwarded-Proto: https, or set the registry's external URL",
            )

    def _probed(self) -> str:
        """Return the origin of an insecure registry: as for the Engine, HTTPS if possible, and HTTP otherwise."""
        try:
            self._transport.once("GET", f"{self._secure}/v2/", {}, limit=_GREETING_BYTES)
        except (urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError):
            return self._plain
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(self.registry, self._secure, error) from None
        return self._secure
