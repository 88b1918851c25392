"""What is told while something runs: lines, and how far uploads are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


class Line(str):
    """A line that says what state something is in: it reads as any other text does, and a terminal can follow it."""

    __slots__ = ("state", "subject")

    subject: str
    state: str

    @classmethod
    def about(cls, state: str, subject: object, detail: str = "") -> Self:
        """Say what state something is in.

        >>> Line.about("pushed", "registry.local:5000/ui:2", " at sha256:12")
        'pushed registry.local:5000/ui:2 at sha256:12'
        """
        line = cls(f"{state} {subject}{detail}")
        line.subject, line.state = str(subject), state
        return line


@dataclass(frozen=True, slots=True)
class Upload:
    """How far an upload is: `done` of `total` bytes (0: not known yet); what is over has `done` equal to `total`."""

    name: str
    done: int
    total: int


Progress = Callable[[str], None]
Meter = Callable[[Upload], None]
