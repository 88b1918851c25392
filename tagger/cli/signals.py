"""The first signal stops the work under way, the second ends the process at once, and nothing delays a third.

No signal handler takes a lock, because the interrupted code may hold it.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from tagger.cli.render.console import announce, show_cursor
from tagger.errors import Terminated

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WAKE = signal.SIGURG  # nothing sends it to a program that has not asked for it
_LEAVING_SECONDS = 10.0
_NOTICING_SECONDS = 0.1


def listen() -> None:
    """Raise KeyboardInterrupt at SIGINT, and Terminated at SIGTERM and SIGHUP, from now on."""
    _open_stderr_without_a_lock()
    _handle(_interrupt)
    signal.signal(_WAKE, _do_nothing)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), daemon=True).start()


def came() -> bool:
    """Whether a signal has stopped the work, whatever error the work ended with."""
    return any(signal.getsignal(number) is _leave for number in _SIGNALS)


def end_at_once() -> None:
    """Let any signal end the process from now on."""
    _handle(signal.SIG_DFL)


def _handle(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # under nohup it stays ignored
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    _handle(_leave)
    # An exception during the start of a thread leaves that thread behind, which then ends with an error of its own.
    sys.unraisablehook = _do_nothing
    announce("interrupted: finishing what is under way; press Ctrl-C again to quit now")
    _raise(number)


def _leave(number: int, _: FrameType | None) -> None:
    end_at_once()
    show_cursor()
    _raise(number)


def _raise(number: int) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)


def _do_nothing(*_: object) -> None:
    pass


def _watch(reading: int) -> None:
    """Wake the main thread at the first signal, and end the process if it is still there a while after the second.

    A signal that arrives just before a system call does not interrupt it, so Python would notice it only afterwards.
    And the last message may have no reader.
    """
    numbers = (number for number in iter(lambda: os.read(reading, 1)[0], None) if number != _WAKE)
    next(numbers)
    threading.Thread(target=_wake, daemon=True).start()
    last = next(numbers)
    time.sleep(_LEAVING_SECONDS)
    os._exit(128 + last)


def _wake() -> None:
    """Interrupt the main thread's system call until Python has noticed the first signal."""
    main = threading.main_thread().ident or 0
    time.sleep(_NOTICING_SECONDS)
    while any(signal.getsignal(number) is _interrupt for number in _SIGNALS):
        signal.pthread_kill(main, _WAKE)
        time.sleep(_NOTICING_SECONDS)


def _open_stderr_without_a_lock() -> None:
    """Write to stderr without a buffer: a thread that waits for a reader would keep its lock from all others."""
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        raw = io.FileIO(sys.stderr.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(
            raw,  # as `python -u` does
            encoding=sys.stderr.encoding,
            errors=sys.stderr.errors,
            write_through=True,
        )
