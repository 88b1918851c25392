"""The time of a command and its cancellation: every wait and all concurrent work go through here."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from enum import Enum
from functools import partial
from typing import Any, TypeVar, cast

from tagger.errors import AGAIN, Abandoned, CalledOff, TimedOut
from tagger.values import dataclass

AT_ONCE = 8
"""The number of concurrent tasks; the others wait."""
# The part of the time, and its most seconds, that are reserved for putting tags back.
_RESERVED, _MOST_RESERVED = 0.25, 60.0
# A signal just before the interpreter begins to wait is noticed only when that wait ends.
_GLANCE_SECONDS = 0.2
_NOTICED_SECONDS = 1.0
Trace = Callable[[str], None]
T = TypeVar("T")
U = TypeVar("U")


class Pauses(Enum):
    """The seconds between attempts, by the reason for waiting."""

    REQUEST = (0.2, 0.6, 1.5)
    """A server that was busy, or closed the connection."""
    BLOB = (1.0, 4.0)
    """A connection to a registry that broke during a blob."""
    PUSH = (1.0, 4.0, 10.0)
    """An Engine that restarted, or a registry that was down for it."""
    STALE = (0.5, 1.0, 2.0, 4.0)
    """A registry that serves stale reads and lists for a while after a write."""
    SETTLE = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    """Other releases that move the same tags, as well."""
    SHOWN = (0.3, 1.0, 2.0, 4.0, 8.0)
    """A registry that does not show a pushed image yet."""
    SCANNED = (15.0, 30.0, 60.0, 60.0, 60.0)
    """A registry that serves an image only after a scan."""


@dataclass(slots=True)
class Attempt:
    """One attempt: the seconds until the next (None: the last one), and the reason to show."""

    pause: float | None
    since: str = ""


class Clock:
    """The time, and waiting."""

    def monotonic(self) -> float:
        """The seconds since an arbitrary moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Deadline:
    """The time of one command: `seconds` in all (None: no limit); safe to use from several threads.

    A part of it is reserved for putting tags back, which `put_back` begins. `told` reports long waits; `pool` makes
    executors for concurrent tasks.
    """

    def __init__(
        self,
        seconds: float | None = None,
        told: Trace = lambda _: None,
        *,
        clock: Clock | None = None,
        pool: Callable[[int], Executor] = ThreadPoolExecutor,
    ) -> None:
        self.clock = clock or Clock()
        self._seconds = seconds
        self._told = told
        self._pool = pool
        self._called_off = threading.Event()
        self._whole: Deadline | None = None
        self._end = self._last_end = None
        if seconds is not None:
            self._last_end = self.clock.monotonic() + seconds
            self._end = self._last_end - min(seconds * _RESERVED, _MOST_RESERVED)

    def check(self) -> None:
        """Raise CalledOff or TimedOut when there is no more time."""
        self.left()
        if self._called_off.is_set():
            raise CalledOff("cancelled", AGAIN)

    def left(self) -> float | None:
        """Return the seconds left, more than 0; None without a limit. Raises TimedOut."""
        if self._end is None:
            return None
        left = self._end - self.clock.monotonic()
        if left <= 0:
            raise TimedOut(
                f"the command did not finish within the {self._seconds:g} s of --timeout",
                "find out what is slow with --verbose, or allow more time",
            )
        return left

    def sleep(self, seconds: float, since: str = "") -> None:
        """Wait; raise TimedOut at once when the time ends before that, and CalledOff as soon as it is called off.

        A wait that a person would notice is reported, with its reason.
        """
        if since and seconds >= _NOTICED_SECONDS:
            self.tell(f"waiting {seconds:.2g} s: {since}")
        left = self.left()
        if left is not None and left < seconds:
            self._end = 0.0
            if self._whole:
                self._whole._end = 0.0  # noqa: SLF001 - it is one of its own kind
            self.left()
        end = self.clock.monotonic() + seconds
        while not self._called_off.is_set() and (rest := end - self.clock.monotonic()) > 0:
            self.clock.sleep(min(rest, _GLANCE_SECONDS))
        self.check()

    def attempts(self, *pauses: Pauses, since: str = "") -> Iterator[Attempt]:
        """Yield attempts with pauses between them; a caller that is done stops iterating. The last has no pause.

        An attempt's `pause` and `since` may be changed while it lasts. Raises what `sleep` raises.
        """
        for pause in (*(pause for each in pauses for pause in each.value), None):
            attempt = Attempt(pause, since)
            yield attempt
            if attempt.pause is not None:
                self.sleep(attempt.pause, attempt.since)

    def tell(self, line: str) -> None:
        """Show a line to the user who waits."""
        self._told(line)

    def put_back(self) -> None:
        """Begin to put things back, in the reserved time."""
        self._end = self._last_end

    def at_once(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run independent tasks concurrently, and return their results in order; raise the first exception at the end.

        An interruption cancels their waits and reads, and waits for their writes, so that nothing happens after the
        return. A second interruption does not wait, and raises Abandoned.
        """
        pending = list(tasks)
        if len(pending) <= 1:
            return [task() for task in pending]
        pool, running = self._pool(AT_ONCE), _Running()
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

    def part(self, pool: Callable[[int], Executor] = ThreadPoolExecutor, *, finishing: bool = False) -> Deadline:
        """Return the time of one of several independent tasks: it ends with this one, and has its own reserve.

        With `finishing` it is not cancelled. A wait that does not fit into the time ends that of the others too.
        """
        part = copy.copy(self)
        part._whole = self  # noqa: SLF001 - it is one of its own kind
        part._pool = pool  # noqa: SLF001 - as above
        if finishing:
            part._called_off = threading.Event()  # noqa: SLF001 - as above
        return part

    def stream(self, tasks: Iterable[Callable[[], None]], at_once: int) -> None:
        """Run the independent tasks of a stream, at most `at_once` of them at a time.

        The first exception, of a task or of the stream, is raised when the running tasks have ended; no other begins.
        An interruption acts as in `at_once`.
        """
        room, failures = threading.Semaphore(at_once), list[BaseException]()

        def run(task: Callable[[], None]) -> None:
            try:
                self._unless_called_off(task)
            except BaseException as error:  # noqa: BLE001 - it is raised where the stream is run
                failures.append(error)
            finally:
                room.release()

        pool, running = self._pool(at_once), _Running()
        try:
            try:
                for task in tasks:
                    _take(room)
                    if failures or self.is_over():
                        room.release()
                        break
                    pool.submit(running.run, partial(run, task))
            except Exception as error:  # noqa: BLE001 - as above
                failures.append(error)
            for _ in range(at_once):
                _take(room)
        except KeyboardInterrupt:
            running.end(self._called_off)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        if failures:
            raise failures[0]
        self.check()

    def is_over(self) -> bool:
        """Whether the time is over, except the reserve for putting things back."""
        return self._end is not None and self.clock.monotonic() >= self._end

    def both(self, one: Callable[[], T], other: Callable[[], U]) -> tuple[T, U]:
        """Run two independent tasks concurrently, like `at_once`."""
        tasks: list[Callable[[], T | U]] = [one, other]
        first, second = self.at_once(tasks)
        return cast("T", first), cast("U", second)

    def _unless_called_off(self, task: Callable[[], T]) -> T:
        if self._called_off.is_set():
            raise CalledOff("cancelled before it began")
        return task()


def _take(room: threading.Semaphore) -> None:
    while not room.acquire(timeout=_GLANCE_SECONDS):
        pass


class AtHand(Executor):
    """Runs each task immediately, inside a task that is itself one of many."""

    def submit(self, task: Callable[..., T], /, *words: Any, **named: Any) -> Future[T]:
        """Run a task; its result is available at once."""
        future: Future[T] = Future()
        try:
            future.set_result(task(*words, **named))
        except Exception as error:  # noqa: BLE001 - as a thread would hand it on
            future.set_exception(error)
        return future


class _Running:
    """A count of the running tasks: a pool that is interrupted while it starts a thread does not know of that."""

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
        """Cancel the running tasks and wait for their end; raise Abandoned when that is interrupted."""
        try:
            call_off.set()
            with self._change:
                while not self._change.wait_for(lambda: not self._count, _GLANCE_SECONDS):
                    pass
        except KeyboardInterrupt:
            if self._count:
                raise Abandoned from None
