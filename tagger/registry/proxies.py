"""Which proxy a request takes: the same as for the Engine, which uses golang.org/x/net/http/httpproxy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult

from tagger.names import is_loopback

_HOST_AND_PORT = re.compile(r"(?:\[([^]]*)\]|([^][:]*)):([^:]*)")
_PORTS = {"http": 80, "https": 443}


def proxy_of(url: SplitResult, environ: Mapping[str, str]) -> str | None:
    """Return the proxy that the environment names for a URL, None without one; loopback never uses a proxy.

    >>> from urllib.parse import urlsplit
    >>> environ = {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": "10.0.0.0/8, .example"}
    >>> proxy_of(urlsplit("https://registry.test/v2/"), environ), proxy_of(urlsplit("https://10.1.2.3/v2/"), environ)
    ('http://proxy:3128', None)
    """
    try:
        host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    except ValueError:
        return None  # not a port, so the request itself fails
    if host == "localhost" or is_loopback(host):
        return None
    if any(_matches(each.strip(), host, port) for each in _named("NO_PROXY", environ).lower().split(",")):
        return None
    if url.scheme == "http" and "REQUEST_METHOD" in environ:  # in CGI, HTTP_PROXY is a header that the client chose
        return None
    return proxies_of(environ).get(url.scheme)


def proxies_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies of the environment, by the scheme of the requests."""
    named = {scheme: _named(f"{scheme.upper()}_PROXY", environ) for scheme in ("https", "http")}
    return {scheme: proxy if "://" in proxy else f"http://{proxy}" for scheme, proxy in named.items() if proxy}


def _named(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name) or environ.get(name.lower()) or ""


def _matches(exception: str, host: str, port: int) -> bool:
    """Return whether an entry of NO_PROXY covers a host: *, a network, or a name or address, perhaps with a port."""
    if exception in ("", "*"):
        return exception == "*"
    address = _address(host)
    try:
        if "/" in exception:
            return address is not None and address in ipaddress.ip_network(exception, strict=False)
    except ValueError:
        return False
    name, its_port = exception, ""
    if parts := _HOST_AND_PORT.fullmatch(exception):
        name, its_port = parts[1] or parts[2] or "", parts[3]
    if not name or its_port not in ("", str(port)):
        return False
    if own := _address(name):
        return own == address
    name = name.removeprefix("*") if name.startswith("*.") else name
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
