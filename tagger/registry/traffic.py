"""The requests to one registry, its token server and its redirects: their rate and their number."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus

from tagger.registry.quota import spacing
from tagger.registry.retry_after import seconds_to_wait
from tagger.work import Deadline

_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_LONGEST_SECONDS = 24 * 3600.0
_UNSAID_SECONDS = 1.0
"""The seconds to wait after too many requests if the registry does not say."""
_NOTICED_SECONDS = 10.0


class Traffic:
    """The requests of all repositories of one registry; safe to use from several threads.

    `rate` is the most requests per second (None: any number). `sharers` is the number of processes that share the
    registry's quota, this one included.
    """

    def __init__(self, name: str, deadline: Deadline, *, rate: float | None = None, sharers: int = 1) -> None:
        self._name, self._deadline, self._sharers = name, deadline, sharers
        self._least = self._spacing = 1 / rate if rate else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self.counts: Counter[tuple[str, str]] = Counter()
        """The number of requests, by host and status; the status without an answer is "none"."""

    def wait(self, deadline: Deadline) -> None:
        """Wait until the next request may be sent. Raises TimedOut and CalledOff."""
        while (seconds := self._until_mine()) > 0:
            deadline.sleep(seconds)

    def _until_mine(self) -> float:
        """Return the seconds until the next request may be sent; 0 for now."""
        with self._lock:
            now = self._deadline.clock.monotonic()
            if now < self._next:
                return self._next - now
            self._next = now + self._spacing
            return 0.0

    def unheard(self, host: str) -> None:
        """Count a request without an answer."""
        with self._lock:
            self.counts[host, "none"] += 1

    def heard(self, host: str, status: int, headers: Mapping[str, str]) -> None:
        """Count an answer, and wait or slow down as it asks."""
        pause = 0.0
        if status in _BUSY:
            pause = seconds_to_wait(headers.get("retry-after", ""), time.time(), _LONGEST_SECONDS)
            pause = pause or _UNSAID_SECONDS
        asked = spacing(headers, time.time())
        with self._lock:
            self.counts[host, str(status)] += 1
            if asked is not None:
                self._spacing = max(self._least, min(asked * self._sharers, _LONGEST_SECONDS))
                pause = max(pause, self._spacing if asked else 0.0)
            since = self._deadline.clock.monotonic() + pause
            longer = pause >= _NOTICED_SECONDS and since > self._next + 1
            self._next = max(self._next, since if pause else 0.0)
        if longer:
            self._deadline.tell(f"waiting {pause:.0f} s, because {self._name} asks for it")
