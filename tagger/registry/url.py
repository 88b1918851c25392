"""URLs: the part that may be shown, and the origin."""

from __future__ import annotations

import urllib.parse

from tagger.text import printable

PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int | str | None]
"""Scheme, host and port."""


def shown(url: str) -> str:
    """Return a URL without user and query, which may be a password or a signature that grants access."""
    return printable(url.partition("?")[0])


def origin_of(url: str) -> Origin:
    """Return the origin of a URL as RFC 6454 compares it; a URL with a user equals no other origin."""
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return parts.scheme, "", parts.netloc
    return parts.scheme, parts.hostname or "", parts.netloc if "@" in parts.netloc else port
