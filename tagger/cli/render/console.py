"""Output: data to stdout, everything else to stderr, in colour on a terminal.

No control character and no command for a CI system reaches a terminal or a log, whatever names, files and answers hold.
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
    """A live display of progress; lines go above it."""

    announced: str

    def above(self, line: str) -> None:
        """Print a permanent line."""


screens: list[Screen] = []
"""The live displays that are active, the innermost last."""


def say(line: str) -> None:
    """Print a line on stderr. A closed pipe does not stop the command."""
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
    """Show the cursor again, because a live display hides it and may not end normally."""
    if screens:
        _write_at_once("\x1b[?25h")


def _write_at_once(text: str) -> None:
    """Write to stderr without a buffer, unless that would block."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stderr.fileno()
        if select.select((), (descriptor,), (), 0)[1]:
            os.write(descriptor, text.encode())


def _lit(line: str) -> str:
    """Return the line, with the word "error" in red if stderr shows colour."""
    red = line.startswith("error: ") and is_rich(sys.stderr) and not os.environ.get("NO_COLOR")
    return f"\x1b[1;31merror:\x1b[0m {line.removeprefix('error: ')}" if red else line


def show(text: str) -> None:
    """Print lines of data, if any. A closed pipe or a full disk does not change the exit code."""
    if not text:
        return
    try:
        print(in_lines(text.split("\n")), flush=True)  # noqa: T201 - this is where output goes
    except OSError as error:
        lost(error)


def show_traceback(error: BaseException) -> None:
    """Print the traceback of an exception and its causes, without variables, because one may hold a secret."""
    import traceback

    for line in without_secrets("".join(traceback.format_exception(error))).splitlines():
        say(line)


def is_rich(stream: TextIO) -> bool:
    """Whether a stream shows colour and symbols: a terminal does, and every stream with FORCE_COLOR."""
    forced = os.environ.get("FORCE_COLOR", "0") not in ("", "0")
    return forced or (stream.isatty() and os.environ.get("TERM") != "dumb")


def lost(error: OSError) -> None:
    """Report that writing to stdout failed, unless its pipe is closed; nothing else is written there."""
    # The rest of the buffer must not fail again when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        say(f"the report cannot be written ({error.strerror}): the exit code says how the command ended")


def console(stream: TextIO) -> Console:
    """Return a console of rich for a stream, with colour unless NO_COLOR is set."""
    from rich.console import Console

    colourless = bool(os.environ.get("NO_COLOR"))
    return Console(file=stream, force_terminal=True, no_color=colourless, highlight=False, markup=False, emoji=False)


def symbols(stream: TextIO) -> dict[str, str]:
    """Return a symbol for each action, in ASCII if the stream has no UTF."""
    return _SYMBOLS if "utf" in (stream.encoding or "").lower() else _ASCII


def styled(line: str, style: str = "") -> Text:
    """Return a line for rich, without control characters, which rich would print."""
    from rich.text import Text

    return Text(one_line(line), style)


def verbose_asked() -> bool:
    """Whether --verbose is anywhere on the command line, even if typer never parsed it."""
    options = takewhile(lambda word: word != "--", sys.argv[1:])
    return any(word == "--verbose" or re.fullmatch("-[hqvy]*v[hqvy]*", word) for word in options)
