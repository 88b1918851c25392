"""Connections to a registry and to the targets of its redirects, with their proxies and TLS."""

from __future__ import annotations

import os
import re
import threading
import urllib.parse

import urllib3

from tagger.errors import RegistryUnreachable
from tagger.names import Registry
from tagger.registry import tls
from tagger.registry.bounded import pool_classes
from tagger.registry.proxies import proxies_of, proxy_of
from tagger.registry.url import shown
from tagger.text import hide
from tagger.work import Deadline

CONNECTIONS = 8
"""The number of open connections to one host."""


class Pools:
    """Pools of connections, created on first use; safe to use from several threads.

    `insecure` says that the registry's own certificate is not verified.
    """

    def __init__(
        self, registry: Registry, *, insecure: bool, deadline: Deadline, connections: int = CONNECTIONS
    ) -> None:
        self._registry = registry
        self._insecure = insecure
        self._deadline = deadline
        self._connections = connections
        self._lock = threading.Lock()
        self._pools: dict[tuple[bool, bool, str | None], urllib3.PoolManager] = {}

    def to(self, url: str, *, of_blob: bool) -> urllib3.PoolManager:
        """Return the pool for a URL. Raises RegistryUnreachable for a proxy or certificate that cannot be used."""
        parts = urllib.parse.urlsplit(url)
        proxy = proxy_of(parts, os.environ)
        verified = not self._insecure or parts.hostname != self._registry.hostname.lower()
        key = (verified, of_blob, proxy)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._opened(proxy, verified=verified, of_blob=of_blob)
            return self._pools[key]

    def _opened(self, proxy: str | None, *, verified: bool, of_blob: bool) -> urllib3.PoolManager:
        login = _login(proxy) if proxy else None
        context = tls.context(self._registry, verified=verified)
        pool = (
            urllib3.ProxyManager(proxy, maxsize=self._connections, ssl_context=context, proxy_headers=login)
            if proxy
            else urllib3.PoolManager(maxsize=self._connections, ssl_context=context)
        )
        pool.pool_classes_by_scheme = pool_classes(self._deadline, of_blob=of_blob)
        return pool

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.clear()


def proxy_to(url: str) -> str | None:
    """Return the proxy for a URL, without its login; None without a proxy.

    Raises RegistryUnreachable for an unusable URL of a proxy.
    """
    proxy = proxy_of(urllib.parse.urlsplit(url), os.environ)
    return _without_login(proxy) if proxy else None


def proxies() -> dict[str, str]:
    """Return the proxies of the environment by scheme, without logins. Raises what `proxy_to` raises."""
    return {scheme: _without_login(proxy) for scheme, proxy in proxies_of(os.environ).items()}


def _without_login(proxy: str) -> str:
    _login(proxy)
    return shown(proxy)


def _login(proxy: str) -> dict[str, str] | None:
    """Return the header for a proxy's login, None without one. An error does not show the value of the variable."""
    try:
        parts = urllib3.util.parse_url(proxy)
    except urllib3.exceptions.LocationParseError:
        parts = urllib3.util.Url()
    kind = proxy.partition("://")[0].lower()
    if kind not in ("http", "https") and re.fullmatch("[a-z][a-z0-9]*", kind):
        raise RegistryUnreachable(
            f"HTTPS_PROXY or HTTP_PROXY names a {kind} proxy, a kind of proxy that tagger cannot use",
            "give http://HOST:PORT, or name the registry in NO_PROXY",
        )
    if not parts.host or parts.scheme not in ("http", "https"):
        raise RegistryUnreachable(
            "the proxy that HTTPS_PROXY or HTTP_PROXY names is not a URL",
            "give http://HOST:PORT, with the special characters of a password as % and two hexadecimal digits",
        )
    if not parts.auth:
        return None
    login = urllib.parse.unquote(parts.auth)
    for secret in (login.partition(":")[2], parts.auth.partition(":")[2]):
        hide(secret)
    headers = urllib3.util.make_headers(proxy_basic_auth=login)
    hide(headers["proxy-authorization"].removeprefix("Basic "))
    return headers
