"""When a registry wants the next request: the header `Retry-After` (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

_LONGEST = 30.0
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


def seconds_to_wait(asked: str, now: float, longest: float = _LONGEST) -> float:
    """Return the seconds that a registry asks tagger to wait, within a limit; 0 if the header is missing or invalid.

    `now` is in seconds since 1970. GitHub's registry writes durations as Go does: `880.092µs`, `1m30s`.

    >>> seconds_to_wait("7", 0), seconds_to_wait("250ms", 0), seconds_to_wait("1m30s", 0), seconds_to_wait("soon", 0)
    (7.0, 0.25, 30.0, 0.0)
    """
    asked = asked.strip()
    parts = _DURATION.findall(asked)
    try:
        if asked and "".join(number + unit for number, unit in parts) == asked:
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        else:
            seconds = parsedate_to_datetime(asked).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), longest)
