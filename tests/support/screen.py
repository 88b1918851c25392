"""A terminal for tests: run tagger on it, see what it shows, and draw that as a picture (SVG)."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import pyte
from launcher import STEM

CELL, LINE, MARGIN = 8.4, 19, 14
COLOURS = {
    "default": "#d6deeb", "black": "#575656", "red": "#ef5350", "green": "#22da6e", "brown": "#f2d06b",
    "blue": "#82aaff", "magenta": "#c792ea", "cyan": "#21c7a8", "white": "#ffffff",
}  # fmt: skip
FONT = "ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace"
_BLACK, _FAINT = 30, 2  # of "Select Graphic Rendition" (ECMA-48)
DIM = "#7f8a99"
BACKGROUND = "#011627"


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal's size, in characters."""

    columns: int = 110
    rows: int = 24


class Screen(pyte.Screen):
    """A terminal that keeps dim text, which pyte ignores, as the colour black, which nothing else uses."""

    def select_graphic_rendition(self, *attributes: int, **_: object) -> None:
        """Take colours and weights."""
        super().select_graphic_rendition(*([_BLACK if number == _FAINT else number for number in attributes] or [0]))


def record(
    words: list[str], environment: Mapping[str, str], size: Size, moment: Callable[[str], bool] | None = None
) -> Screen:
    """Run tagger on a terminal, and return the screen at the first such moment, or at the end."""
    screen = Screen(size.columns, size.rows)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))
    typed = f"$ tagger {shlex.join(words)}\r\n".encode()
    stream.feed(typed)
    env = {**environment, "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "", "LINES": ""}
    env = {name: value for name, value in env.items() if value}
    talk = STEM.fork(words, env, Path(), theirs, theirs, theirs)
    os.close(theirs)
    pid: int = talk.recv()
    try:
        for piece in _pieces(ours):
            stream.feed(piece)
            if moment and moment("\n".join(screen.display)):
                time.sleep(0.3)
                break
    finally:
        if moment and not talk.poll():
            os.kill(pid, signal.SIGTERM)
        talk.recv()
        talk.close()
        os.close(ours)
    return screen


def _pieces(terminal: int) -> Iterator[bytes]:
    while select.select([terminal], [], [], 60)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            return
        if not piece:
            return
        yield piece


def picture(screen: Screen) -> str:
    """Draw a screen as SVG, without the empty lines below."""
    lines = [screen.buffer[row] for row in range(screen.lines)]
    texts = [line.rstrip() for line in screen.display]
    used = max((number for number, text in enumerate(texts) if text), default=0) + 1
    width, height = screen.columns * CELL + 2 * MARGIN, used * LINE + 2 * MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}">',
        f'<g font-family="{FONT}" font-size="14">',
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
    ]
    for number, line in enumerate(lines[:used]):
        for start, text, colour, bold in _runs(line, screen.columns):
            weight = ' font-weight="bold"' if bold else ""
            place = f'x="{MARGIN + start * CELL:.1f}" y="{MARGIN + (number + 1) * LINE - 5}"'
            length = f'textLength="{len(text) * CELL:.1f}" lengthAdjust="spacingAndGlyphs" xml:space="preserve"'
            drawn.append(f'<text {place} {length} fill="{colour}"{weight}>{escape(text)}</text>')
    return "\n".join([*drawn, "</g></svg>", ""])


def _runs(line: Mapping[int, pyte.screens.Char], columns: int) -> Iterator[tuple[int, str, str, bool]]:
    """Stretches of one look: where each begins, its text, colour and weight."""
    column = 0
    while column < columns:
        first, start, text = line[column], column, ""
        while column < columns and (line[column].fg, line[column].bold) == (first.fg, first.bold):
            text += line[column].data
            column += 1
        if text.strip():
            colour = DIM if first.fg == "black" else COLOURS.get(first.fg, f"#{first.fg}")
            indent = len(text) - len(text.lstrip())
            yield start + indent, text.strip(), colour, first.bold
