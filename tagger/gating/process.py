"""Runs a command in its own process group, shows its output, and limits its output and its time."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tagger.errors import InputError, TaggerError
from tagger.gating.command import Command, Ran, Subject, ending
from tagger.text import printable
from tagger.work import Deadline

_GLANCE_SECONDS = 0.2
_GRACE_SECONDS = 5.0
_PIECE = 1 << 16
_LONGEST_LINE = 500
_MOST_SHOWN = 500
_MOST_KEPT = 20
# How much output of its children is read after the command itself has ended.
_MOST_PIECES_LEFT = 16


def check_there(commands: Iterable[Command]) -> None:
    """Raise InputError for a command whose program does not exist."""
    for command in commands:
        if shutil.which(command.words[0]) is None:
            raise InputError(f"there is no program {printable(command.words[0])} to run as {command}", "install it")


def run(command: Command, subject: Subject, seconds: float, deadline: Deadline, show: Callable[[str], None]) -> Ran:
    """Run a command about an image, and return how it ended; `show` takes its lines.

    It has no input. Its process group ends after `seconds`, at the deadline, or at an interruption.
    """
    # A signal interrupts this thread, and must not arrive between the start of a process and the code that ends it.
    starter = ThreadPoolExecutor(1)
    starting = starter.submit(_start, command, subject)
    output = _Output(lambda line: show(f"{command.name}: {line}"))
    try:
        if isinstance(error := starting.exception(), OSError | ValueError):
            return Ran(command, subject, f"cannot be started ({printable(error)})")
        late = _follow(starting.result(), output, deadline, seconds)
    finally:
        starter.shutdown()
        if starting.exception() is None:
            _end(starting.result())
        output.close()
    failed = late or ending(starting.result().returncode)
    return Ran(command, subject, failed, tuple(printable(line, _LONGEST_LINE) for line in output.last))


def _start(command: Command, subject: Subject) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the user's own words, and no shell
        command.about(subject),
        env={**os.environ, **subject.variables()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _follow(process: subprocess.Popen[bytes], output: _Output, deadline: Deadline, seconds: float) -> str | None:
    """Take the output of a process until it ends; return why it must be ended, or None if it ended in time."""
    assert process.stdout  # noqa: S101 - it is a pipe
    pipe, end = process.stdout.fileno(), deadline.clock.monotonic() + seconds
    while process.poll() is None:
        try:
            deadline.check()
        except TaggerError as error:
            return f"was ended, because {error.what}"
        if deadline.clock.monotonic() >= end:
            return f"did not end within {seconds:g} s"
        if select.select((pipe,), (), (), _GLANCE_SECONDS)[0]:
            piece = os.read(pipe, _PIECE)
            output.take(piece)
            if not piece:  # it closed its output and still runs
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GLANCE_SECONDS)
    for _ in range(_MOST_PIECES_LEFT):
        if not select.select((pipe,), (), (), 0)[0] or not (piece := os.read(pipe, _PIECE)):
            break
        output.take(piece)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, with its group: first with a request, then at once."""
    running = process.returncode is None
    try:
        if running:
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
    finally:  # even if a second signal arrives
        if running:
            _signal(process, signal.SIGKILL)
            process.wait()
        if process.stdout:
            process.stdout.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # they may have ended by themselves
        os.killpg(process.pid, number)


class _Output:
    """The output of a command: the first lines are shown, the last are kept, and long lines are cut."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.last: deque[str] = deque(maxlen=_MOST_KEPT)
        self._show = show
        self._shown = 0
        self._begun = b""

    def take(self, piece: bytes) -> None:
        """Take a piece of output."""
        *lines, rest = (self._begun + piece.replace(b"\r", b"\n")).split(b"\n")
        self._begun = rest[:_PIECE]
        for line in lines:
            self._line(line)

    def close(self) -> None:
        """Take the last line, which may have no line break."""
        self._line(self._begun)

    def _line(self, line: bytes) -> None:
        if not (text := line[: 4 * _LONGEST_LINE].decode(errors="replace").rstrip()):
            return
        self.last.append(text)
        self._shown += 1
        if self._shown <= _MOST_SHOWN:
            self._show(printable(text, _LONGEST_LINE))
        elif self._shown == _MOST_SHOWN + 1:
            self._show("more output is not shown")
