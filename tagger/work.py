"""How long a command may take, and whether it is called off: every wait and all work at once go through here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar, cast

from tagger.errors import AGAIN, Abandoned, CalledOff, TimedOut

AT_ONCE = 8
"""So many tasks run at once, the others after them."""
# The part of the time, and the most seconds of it, that are kept for putting tags back.
_RESERVED, _MOST_RESERVED = 0.25, 60.0
# A signal that comes just before the interpreter begins to wait is seen only when that wait ends.
_GLANCE_SECONDS = 0.2
_NOTICED_SECONDS = 1.0
Trace = Callable[[str], None]
T = TypeVar("T")
U = TypeVar("U")


class Patience:
    """The time that one command has: `seconds` in all (None: as long as it takes); safe to use from several threads.

    A part of it is kept for putting tags back, which `put_back` begins.
    """

    def __init__(self, seconds: float | None = None, told: Trace = lambda _: None) -> None:
        """Take the time in all, and who is told of long waits."""
        self._seconds = seconds
        self._told = told
        self._called_off = threading.Event()
        self._deadline = self._last_deadline = None
        if seconds is not None:
            self._last_deadline = time.monotonic() + seconds
            self._deadline = self._last_deadline - min(seconds * _RESERVED, _MOST_RESERVED)

    def check(self) -> None:
        """Raise CalledOff or TimedOut when there is no more time."""
        self.left()
        if self._called_off.is_set():
            raise CalledOff("called off", AGAIN)

    def left(self) -> float | None:
        """Give the seconds that are left, more than none; None for no end. Raises TimedOut."""
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimedOut(
                f"it was not done within the {self._seconds:g} s of --timeout",
                "see what is slow with --verbose, or give it more",
            )
        return left

    def sleep(self, seconds: float, since: str = "") -> None:
        """Wait; raise TimedOut at once when the time ends before that, and CalledOff as soon as it is called off.

        A wait that a person would notice is told, with its reason.
        """
        if since and seconds >= _NOTICED_SECONDS:
            self.tell(f"waiting {seconds:.2g} s, since {since}")
        left = self.left()
        if left is not None and left < seconds:
            self._deadline = 0.0
            self.left()
        end = time.monotonic() + seconds
        while not self._called_off.is_set() and (rest := end - time.monotonic()) > 0:
            self._called_off.wait(min(rest, _GLANCE_SECONDS))
        self.check()

    def tell(self, line: str) -> None:
        """Tell whoever waits, in a line."""
        self._told(line)

    def put_back(self) -> None:
        """Begin to put things back: the time that is kept for this begins."""
        self._deadline = self._last_deadline

    def at_once(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run independent tasks at once and give their results in order; the first exception is raised at the end.

        An interruption calls off their waits and reads; what they write is waited for, so that nothing happens behind
        the caller's back. A second one does not wait either, and raises Abandoned.
        """
        pending = list(tasks)
        if len(pending) <= 1:
            return [task() for task in pending]
        pool, running = ThreadPoolExecutor(max_workers=AT_ONCE), _Running()
        try:
            futures = [pool.submit(running.run, partial(self._unless_called_off, task)) for task in pending]
            for future in futures:
                while not future.done():
                    wait((future,), _GLANCE_SECONDS)
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            running.end(self._called_off)
            self._called_off.clear()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def both(self, one: Callable[[], T], other: Callable[[], U]) -> tuple[T, U]:
        """Run two independent tasks at once, as `at_once` does."""
        tasks: list[Callable[[], T | U]] = [one, other]
        first, second = self.at_once(tasks)
        return cast("T", first), cast("U", second)

    def _unless_called_off(self, task: Callable[[], T]) -> T:
        if self._called_off.is_set():
            raise CalledOff("called off before it began")
        return task()


class _Running:
    """A count of the tasks that run: a pool interrupted while it starts a thread does not know of that one."""

    def __init__(self) -> None:
        self._count = 0
        self._change = threading.Condition()

    def run(self, task: Callable[[], T]) -> T:
        with self._change:
            self._count += 1
        try:
            return task()
        finally:
            with self._change:
                self._count -= 1
                self._change.notify_all()

    def end(self, call_off: threading.Event) -> None:
        """Call off what runs and wait until nothing does; raise Abandoned when that is interrupted."""
        try:
            call_off.set()
            with self._change:
                while not self._change.wait_for(lambda: not self._count, _GLANCE_SECONDS):
                    pass
        except KeyboardInterrupt:
            if self._count:
                raise Abandoned from None
