"""Where output goes: data to stdout, everything else to stderr; live and in colour where that is a terminal.

Whatever names, files and answers hold, it reaches neither a terminal nor a log with control characters, or as a command
to a CI system.

Elsewhere, in a CI log or a pipe, it is plain lines, one for each event, without control characters.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from tagger.events import Line, Upload
from tagger.text import in_lines, one_line, without_secrets

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

    from tagger.releasing.outcome import Release, Released

_NARROWEST_TABLE = 60
_MOST_UPLOADS = 8
_MOST_TAGS = 12
_SYMBOLS = {"create": "+", "move": "→", "keep": "·", "unchanged": "=", "refuse": "✗", "done": "✓"}
_ASCII = {"create": "+", "move": ">", "keep": ".", "unchanged": "=", "refuse": "x", "done": "*"}
_COLOURS = {"create": "green", "move": "cyan", "keep": "dim", "unchanged": "dim", "refuse": "red"}
_OVER = frozenset({"pushed", "verified", "copied", "mounted"})

_watching: list[Watch] = []


def say(line: str) -> None:
    """Tell a line on stderr; a log that nobody reads any more must not break off what is under way."""
    line = one_line(without_secrets(line))
    with contextlib.suppress(OSError):
        if _watching:
            _watching[-1].above(f"tagger: {line}")
        else:
            # In one piece: several threads tell.
            sys.stderr.write(f"tagger: {_lit(line)}\n")
            sys.stderr.flush()


def announce(line: str) -> None:
    """Tell a line from where a signal arrived: whatever was interrupted there may hold the locks that others take."""
    if _watching:
        _watching[-1].announced = line
    else:
        _write_at_once(f"tagger: {line}\n")


def show_cursor() -> None:
    """Show the cursor again where a live part hides it, which may not come to its end."""
    if _watching:
        _write_at_once("\x1b[?25h")


def _write_at_once(text: str) -> None:
    """Write to stderr past all buffers, unless that would have to wait for a reader."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stderr.fileno()
        if select.select((), (descriptor,), (), 0)[1]:
            os.write(descriptor, text.encode())


def _lit(line: str) -> str:
    """Let an error stand out where stderr shows colour."""
    red = line.startswith("error: ") and is_rich(sys.stderr) and not os.environ.get("NO_COLOR")
    return f"\x1b[1;31merror:\x1b[0m {line.removeprefix('error: ')}" if red else line


def show(text: str) -> None:
    """Print lines of data; a reader that has left, or a full disk, does not change how the command ended."""
    try:
        print(in_lines(text.split("\n")), flush=True)  # noqa: T201 - this is where output goes
    except OSError as error:
        _lost(error)


def show_release(release: Release) -> bool:
    """Show a release as a table where stdout takes one; say whether it did."""
    if not is_rich(sys.stdout):
        return False
    console = _console(sys.stdout)
    if console.width < _NARROWEST_TABLE:
        return False
    try:
        for each in _tables(release):
            console.print(each)
    except OSError as error:
        _lost(error)
    return True


def show_traceback(error: BaseException) -> None:
    """Tell where an exception arose, and those that led to it, but no variable that a secret may be in."""
    import traceback

    for line in without_secrets("".join(traceback.format_exception(error))).splitlines():
        say(line)


def annotating(asked: bool | None = None) -> bool:
    """Say whether errors are told to GitHub Actions: as asked, or where it runs this."""
    return os.environ.get("GITHUB_ACTIONS") == "true" if asked is None else asked


def tell_github(kind: str, text: str) -> None:
    """Tell GitHub Actions of an error or a warning, which it shows beside the run."""
    escaped = one_line(without_secrets(text)).replace("%", "%25")
    with contextlib.suppress(OSError):
        print(f"::{kind} title=tagger::{escaped}", file=sys.stderr, flush=True)  # noqa: T201 - as above


def is_rich(stream: TextIO) -> bool:
    """Say whether a stream shows colour and symbols: a terminal, or whatever FORCE_COLOR says is one."""
    forced = os.environ.get("FORCE_COLOR", "0") not in ("", "0")
    return forced or (stream.isatty() and os.environ.get("TERM") != "dumb")


def _lost(error: OSError) -> None:
    # What is left in the buffer must not fail once more when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        say(f"the report cannot be written ({error.strerror}): the exit code says how the command ended")


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    colourless = bool(os.environ.get("NO_COLOR"))
    return Console(file=stream, force_terminal=True, no_color=colourless, highlight=False, markup=False, emoji=False)


def _symbols(stream: TextIO) -> dict[str, str]:
    return _SYMBOLS if "utf" in (stream.encoding or "").lower() else _ASCII


# -- the result ----------------------------------------------------------------------------------------------------


def _tables(release: Release) -> Iterator[RenderableType]:
    from tagger.cli.render.text import heading, verdict

    for released in release.repositories:
        yield _text(heading(release, released), "bold")
        yield _table(released)
    for warning in release.warnings:
        yield _text(f"note: {warning}", "yellow")
    if said := verdict(release):
        yield _text(said, "bold green" if release.outcome in ("released", "unchanged") else "bold")


def _table(released: Released) -> RenderableType:
    from rich.table import Table

    from tagger.cli.render.text import movement

    symbols = _symbols(sys.stdout)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for change in released.changes:
        style = _COLOURS[change.action]
        detail = _text(movement(change), style)
        if change.reason:
            reason = one_line(change.reason)
            detail.append(("; " if detail else "") + reason, style="red" if change.action == "refuse" else "dim")
        action = _text(f"  {symbols[change.action]} {change.action}", style)
        table.add_row(action, _text(change.tag, "bold"), detail)
    return table


def _text(line: str, style: str = "") -> Text:
    """Give a line for rich, which would pass control characters on."""
    from rich.text import Text

    return Text(one_line(line), style)


# -- live ----------------------------------------------------------------------------------------------------------


class Watch:
    """What is under way, shown while it is: a line for each tag and each layer that uploads, gone at the end.

    Without a terminal each line is told as it comes; when `quiet`, none is.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live: Live | None = None
        self._tags: dict[str, str] = {}
        self._uploads: dict[str, Upload] = {}
        self.announced = ""

    def __enter__(self) -> Watch:
        if not self._quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._live = self._started()
            _watching.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            _watching.remove(self)
            with contextlib.suppress(OSError):
                self._live.stop()
            self._live = None

    def progress(self, line: str) -> None:
        """Take a line."""
        if self._quiet:
            return
        if self._live is None or not isinstance(line, Line):
            say(line)
            return
        self._tags.pop(line.subject, None)
        self._tags[line.subject] = str(line) if line.state not in _OVER else line.state
        self._refresh()

    def meter(self, upload: Upload) -> None:
        """Take how far an upload is."""
        if self._live is None:
            return
        if upload.done >= upload.total > 0:
            self._uploads.pop(upload.name, None)
        else:
            self._uploads[upload.name] = upload

    def above(self, line: str) -> None:
        """Print a line that stays, above what is shown live."""
        if self._live:
            self._live.console.print(line, style="yellow")

    def __rich__(self) -> RenderableType:
        """Show what is under way now."""
        from rich.console import Group

        # Copied in one step each; a lock could be held by the code that a signal interrupts.
        tags, uploads = self._tags.copy(), list(self._uploads.copy().values())
        bars = [*map(_upload_line, uploads[:_MOST_UPLOADS]), *_more(uploads)]
        return Group(*self._tag_lines(tags), *bars, *self._announcement())

    def _announcement(self) -> Iterator[RenderableType]:
        from rich.text import Text

        if self.announced:
            yield Text(f"tagger: {self.announced}", style="yellow")

    def _tag_lines(self, tags: dict[str, str]) -> Iterator[RenderableType]:
        from rich.spinner import Spinner

        done = _symbols(sys.stderr)["done"]
        if len(tags) > _MOST_TAGS:
            over = sum(state in _OVER for state in tags.values())
            yield _text(f"{done} {over} of {len(tags)} done", "green")
            tags = {subject: state for subject, state in tags.items() if state not in _OVER}
        for subject, state in list(tags.items())[:_MOST_TAGS]:
            if state in _OVER:
                yield _cut_off(f"{done} {state} {subject}", "green")
            else:
                kind = "dots" if done == _SYMBOLS["done"] else "line"
                yield Spinner(kind, _cut_off(state))

    def _started(self) -> Live:
        from rich.live import Live

        live = Live(
            get_renderable=lambda: self,
            console=_console(sys.stderr),
            transient=True,
            refresh_per_second=10,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live

    def _refresh(self) -> None:
        if self._live:
            with contextlib.suppress(OSError):
                self._live.refresh()


def _upload_line(upload: Upload) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    line = Table.grid(padding=(0, 1))
    total = upload.total or None
    size = f"{_megabytes(upload.done)} of {_megabytes(upload.total)} MB" if total else "begins"
    line.add_row(_text(f"  {upload.name}"), ProgressBar(total=total, completed=upload.done, width=24), _text(size))
    return line


def _cut_off(line: str, style: str = "") -> Text:
    """Give a line that is cut off where the terminal ends."""
    text = _text(line, style)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _more(uploads: list[Upload]) -> Iterator[RenderableType]:
    if len(uploads) > _MOST_UPLOADS:
        yield _text(f"  and {len(uploads) - _MOST_UPLOADS} more layers", "dim")


def _megabytes(number: int) -> str:
    return f"{number / 1_000_000:.1f}"
