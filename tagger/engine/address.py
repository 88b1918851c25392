"""Whether an Engine or a registry is on this machine."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse

from tagger.engine.failures import unreachable
from tagger.names import Registry


def is_local(host: str) -> bool:
    """Whether an Engine's address leads to this machine.

    >>> is_local("unix:///var/run/docker.sock"), is_local("tcp://127.0.0.1:2375"), is_local("ssh://build@192.0.2.7")
    (True, True, False)
    """
    try:
        parts = urllib.parse.urlsplit(host if "://" in host else f"tcp://{host}")
    except ValueError as error:
        raise unreachable(host, error) from None
    return parts.scheme not in ("tcp", "http", "https", "ssh") or _is_loopback(parts.hostname or "")


def is_at_loopback(registry: Registry) -> bool:
    """Whether a registry's name leads to this machine and nowhere else."""
    return _is_loopback(registry.hostname)


def addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the addresses of a host; none for an unknown one."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter for a label of more than 63 characters
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _is_loopback(host: str) -> bool:
    found = addresses(host)
    return bool(found) and all(address.is_loopback for address in found)
