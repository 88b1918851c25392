"""URLs: what may be shown of one, and whose it is."""

from __future__ import annotations

import urllib.parse

from tagger.text import printable

PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int | str | None]
"""Scheme, host and port."""


def shown(url: str) -> str:
    """A URL without user and query, which may be a password or a signature that grants access."""
    return printable(url.partition("?")[0])


def origin_of(url: str) -> Origin:
    """The origin of a URL as RFC 6454 compares it; a URL with a user in it has an origin that no other one has."""
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return parts.scheme, "", parts.netloc
    return parts.scheme, parts.hostname or "", parts.netloc if "@" in parts.netloc else port
