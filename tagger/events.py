"""Progress while a command runs: lines of text, and the progress of uploads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from tagger.values import dataclass


class Line(str):
    """A line that says what state something is in: plain text, with the parts that a live display needs."""

    __slots__ = ("state", "subject")

    subject: str
    state: str

    @classmethod
    def about(cls, state: str, subject: object, detail: str = "") -> Self:
        """Return the line for the state that something is in.

        >>> Line.about("pushed", "registry.local:5000/ui:2", " at sha256:12")
        'pushed registry.local:5000/ui:2 at sha256:12'
        """
        line = cls(f"{state} {subject}{detail}")
        line.subject, line.state = str(subject), state
        return line


@dataclass(frozen=True, slots=True)
class Upload:
    """The progress of an upload: `done` of `total` bytes (0: not known yet); at its end, both are equal."""

    name: str
    done: int
    total: int


Progress = Callable[[str], None]
Meter = Callable[[Upload], None]


def silent(_: str) -> None:
    """Ignore a line."""
