"""The remaining quota of a registry: the headers RateLimit, RateLimit-Remaining and their like; pure.

Docker Hub sends `ratelimit-remaining: 76;w=21600`, GitHub `x-ratelimit-remaining` with the time of the reset, others
what the IETF's draft "RateLimit header fields for HTTP" describes, in one of its forms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SCARCE = 0.1
"""The fraction of a quota below which requests are spread over the remaining time."""
_SCARCE_ALONE = 20.0
"""The same as a number of requests, if the registry does not say its whole quota."""
_EARLIEST_DATE = 1_000_000_000.0
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)")
_PARAMETER = re.compile(r"(?:^|[;,\s])([a-z]+)\s*=\s*([0-9]+(?:\.[0-9]+)?)")
_PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")


def spacing(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds between requests that make the quota last; 0.0 if there is enough, None if it is unknown.

    `now` is in seconds since 1970.

    >>> spacing({"ratelimit-remaining": "90;w=100", "ratelimit-limit": "100;w=100"}, 0)
    0.0
    >>> spacing({"ratelimit-remaining": "5;w=100", "ratelimit-limit": "100;w=100"}, 0)
    20.0
    >>> spacing({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000060"}, 1700000000)
    60.0
    >>> spacing({"ratelimit": '"default";r=2;t=30'}, 0)
    15.0
    """
    combined = {name: float(value) for name, value in _PARAMETER.findall(headers.get("ratelimit", "").lower())}
    left = combined.get("r", combined.get("remaining", _number(headers, "remaining")))
    if left is None:
        return None
    limit = combined.get("limit", _number(headers, "limit"))
    if left > (_SCARCE_ALONE if limit is None else limit * _SCARCE):
        return 0.0
    reset = combined.get("t", combined.get("reset", _number(headers, "reset")))
    if reset is None:
        reset = _window(headers)
    elif reset >= _EARLIEST_DATE:
        reset = max(reset - now, 0.0)
    return reset / max(left, 1.0)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    found = (_NUMBER.match(headers.get(prefix + name, "")) for prefix in _PREFIXES)
    return next((float(match[1]) for match in found if match), None)


def _window(headers: Mapping[str, str]) -> float:
    """Return the seconds of the window in a parameter `w`; without one, a second."""
    for prefix in _PREFIXES:
        for name in ("remaining", "limit"):
            if window := dict(_PARAMETER.findall(headers.get(prefix + name, "").lower())).get("w"):
                return float(window)
    return 1.0
