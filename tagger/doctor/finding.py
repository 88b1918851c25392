"""What an examination found, a value for each check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tagger.names import Repository


class Level(StrEnum):
    """How a check came out: nothing to do, worth knowing, or something to put right."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do; `repository` is None where it is about this machine.

    An error says in its own sentence what to do.
    """

    check: str
    level: Level
    text: str
    advice: str = ""
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What all checks found."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Say that no check found a problem."""
        return all(finding.level is not Level.PROBLEM for finding in self.findings)
