"""Clocks for tests, so that no test waits."""

import time

from tagger.work import Clock


class Skipping(Clock):
    """A clock that is set forward instead of waiting; `slept` counts all the seconds waited for."""

    def __init__(self) -> None:
        self.slept = 0.0

    def monotonic(self) -> float:
        """The seconds since some moment."""
        return time.monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        """Wait for nothing."""
        self.slept += seconds


class Racing(Clock):
    """A clock that runs a number of times as fast."""

    def __init__(self, times: float) -> None:
        self._times = times

    def monotonic(self) -> float:
        """The seconds since some moment."""
        return time.monotonic() * self._times

    def sleep(self, seconds: float) -> None:
        """Wait for a part of it."""
        time.sleep(seconds / self._times)
