"""The exceptions of urllib3 as errors of tagger."""

from __future__ import annotations

import urllib.parse

import urllib3

from tagger.errors import AGAIN, RegistryUnreachable, Unreadable
from tagger.names import Registry
from tagger.text import printable


def connection_lost(registry: Registry, error: Exception) -> Unreadable:
    """Return the error for a connection that ended before the answer."""
    return Unreadable(f"{registry} closed the connection early ({_cause(error)})", AGAIN)


def unreachable(registry: Registry, url: str, error: Exception) -> RegistryUnreachable:
    """Return the error for a request that never reached its server: the registry, or the target of a redirect."""
    netloc = urllib.parse.urlsplit(url).netloc
    own = netloc == registry.api_host
    host = registry.host if own else printable(netloc.rpartition("@")[2])
    return RegistryUnreachable(*_reason(registry, host, error, own=own))


def _reason(registry: Registry, host: str, error: Exception, *, own: bool) -> tuple[str, str]:
    """Return the problem, and what to do about it."""
    if isinstance(error, urllib3.exceptions.ProxyError):
        return f"the proxy on the way to {host} fails ({_cause(error)})", "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return f"no host {host} is known", "check the registry's name"
    if not isinstance(error, urllib3.exceptions.SSLError):
        service = "registry" if own else f"server for {registry}"
        return f"no {service} answers at {host} ({_cause(error)})", "check the address and that it runs"
    if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error):
        return (
            f"{host} speaks plain HTTP, not HTTPS",
            f"if that is intended, add it to the Engine's insecure-registries, or pass --insecure {host}",
        )
    return f"{host} fails the TLS check ({_cause(error)})", f"put its CA into /etc/docker/certs.d/{registry}/ca.crt"


def _cause(error: Exception) -> str:
    """Return the innermost reason of an error of urllib3, without its object names."""
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
