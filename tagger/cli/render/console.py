"""Where output goes: data to stdout, everything else to stderr, in colour where that is a terminal.

Whatever names, files and answers hold, it reaches neither a terminal nor a log with control characters, or as a command
to a CI system.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol, TextIO

from tagger.text import in_lines, one_line, without_secrets

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_SYMBOLS = {"create": "+", "move": "→", "keep": "·", "unchanged": "=", "refuse": "✗", "done": "✓"}
_ASCII = {"create": "+", "move": ">", "keep": ".", "unchanged": "=", "refuse": "x", "done": "*"}


class Screen(Protocol):
    """What shows progress live; lines go above it."""

    announced: str

    def above(self, line: str) -> None:
        """Print a line that stays."""


screens: list[Screen] = []
"""What shows progress now, the innermost last."""


def say(line: str) -> None:
    """Print a line on stderr. A reader that has left does not stop the command."""
    line = one_line(without_secrets(line))
    with contextlib.suppress(OSError):
        if screens:
            screens[-1].above(f"tagger: {line}")
        else:
            # In one piece: several threads write.
            sys.stderr.write(f"tagger: {_lit(line)}\n")
            sys.stderr.flush()


def announce(line: str) -> None:
    """Print a line from a signal handler, without a lock: the interrupted code may hold it."""
    if screens:
        screens[-1].announced = line
    else:
        _write_at_once(f"tagger: {line}\n")


def show_cursor() -> None:
    """Show the cursor again where a live part hides it, which may not come to its end."""
    if screens:
        _write_at_once("\x1b[?25h")


def _write_at_once(text: str) -> None:
    """Write to stderr past all buffers, unless that would have to wait for a reader."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stderr.fileno()
        if select.select((), (descriptor,), (), 0)[1]:
            os.write(descriptor, text.encode())


def _lit(line: str) -> str:
    """The line, with the word "error" in red if stderr shows colour."""
    red = line.startswith("error: ") and is_rich(sys.stderr) and not os.environ.get("NO_COLOR")
    return f"\x1b[1;31merror:\x1b[0m {line.removeprefix('error: ')}" if red else line


def show(text: str) -> None:
    """Print lines of data, if any; a reader that has left, or a full disk, does not change how the command ended."""
    if not text:
        return
    try:
        print(in_lines(text.split("\n")), flush=True)  # noqa: T201 - this is where output goes
    except OSError as error:
        lost(error)


def show_traceback(error: BaseException) -> None:
    """Print the traceback of an exception and its causes, without any variable, since one may hold a secret."""
    import traceback

    for line in without_secrets("".join(traceback.format_exception(error))).splitlines():
        say(line)


def is_rich(stream: TextIO) -> bool:
    """Whether a stream shows colour and symbols: a terminal does, and with FORCE_COLOR every stream."""
    forced = os.environ.get("FORCE_COLOR", "0") not in ("", "0")
    return forced or (stream.isatty() and os.environ.get("TERM") != "dumb")


def lost(error: OSError) -> None:
    """Report that stdout took no more, unless its reader has left; nothing else is written there."""
    # What is left in the buffer must not fail again when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        say(f"the report cannot be written ({error.strerror}): the exit code says how the command ended")


def console(stream: TextIO) -> Console:
    """A console of rich for a stream, with colour unless NO_COLOR is set."""
    from rich.console import Console

    colourless = bool(os.environ.get("NO_COLOR"))
    return Console(file=stream, force_terminal=True, no_color=colourless, highlight=False, markup=False, emoji=False)


def symbols(stream: TextIO) -> dict[str, str]:
    """A symbol for each action, in ASCII where the stream has no UTF."""
    return _SYMBOLS if "utf" in (stream.encoding or "").lower() else _ASCII


def styled(line: str, style: str = "") -> Text:
    """A line for rich, without control characters, which rich would pass on."""
    from rich.text import Text

    return Text(one_line(line), style)


def verbose_asked() -> bool:
    """Whether --verbose is anywhere on the command line, even where typer did not come to read it."""
    options = takewhile(lambda word: word != "--", sys.argv[1:])
    return any(word == "--verbose" or re.fullmatch("-[hqvy]*v[hqvy]*", word) for word in options)
