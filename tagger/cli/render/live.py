"""Progress: live on a terminal, and one plain line for each event in a CI log or a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tagger.cli.render.console import console, say, screens, styled, symbols
from tagger.events import Line, Upload

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

_MOST_UPLOADS = 8
_MOST_TAGS = 12
_OVER = frozenset({"pushed", "verified", "copied", "mounted"})


class Watch:
    """A live display with a line for each tag and each layer in work; it disappears at the end.

    Without a terminal, each line is printed when it arrives; with `quiet`, none is.
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
            screens.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            screens.remove(self)
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
        """Take the progress of an upload."""
        if self._live is None:
            return
        if upload.done >= upload.total > 0:
            self._uploads.pop(upload.name, None)
        else:
            self._uploads[upload.name] = upload

    def above(self, line: str) -> None:
        """Print a permanent line above the live display."""
        if self._live:
            self._live.console.print(line, style="yellow")

    def __rich__(self) -> RenderableType:
        """Show the current state."""
        from rich.console import Group

        # Each copy is one step; the code that a signal interrupts could hold a lock.
        tags, uploads = self._tags.copy(), list(self._uploads.copy().values())
        bars = [*map(_upload_line, uploads[:_MOST_UPLOADS]), *_more(uploads)]
        return Group(*self._tag_lines(tags), *bars, *self._announcement())

    def _announcement(self) -> Iterator[RenderableType]:
        from rich.text import Text

        if self.announced:
            yield Text(f"tagger: {self.announced}", style="yellow")

    def _tag_lines(self, tags: dict[str, str]) -> Iterator[RenderableType]:
        from rich.spinner import Spinner

        done = symbols(sys.stderr)["done"]
        if len(tags) > _MOST_TAGS:
            over = sum(state in _OVER for state in tags.values())
            yield styled(f"{done} {over} of {len(tags)} done", "green")
            tags = {subject: state for subject, state in tags.items() if state not in _OVER}
        for subject, state in list(tags.items())[:_MOST_TAGS]:
            if state in _OVER:
                yield _cut_off(f"{done} {state} {subject}", "green")
            else:
                kind = "line" if done.isascii() else "dots"
                yield Spinner(kind, _cut_off(state))

    def _started(self) -> Live:
        from rich.live import Live

        live = Live(
            get_renderable=lambda: self,
            console=console(sys.stderr),
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
    line.add_row(styled(f"  {upload.name}"), ProgressBar(total=total, completed=upload.done, width=24), styled(size))
    return line


def _cut_off(line: str, style: str = "") -> Text:
    """A line that is cut off at the edge of the terminal."""
    text = styled(line, style)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _more(uploads: list[Upload]) -> Iterator[RenderableType]:
    if len(uploads) > _MOST_UPLOADS:
        yield styled(f"  and {len(uploads) - _MOST_UPLOADS} more layers", "dim")


def _megabytes(number: int) -> str:
    return f"{number / 1_000_000:.1f}"
