"""What the checks found, a value for each, and how a check becomes one."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from tagger.errors import Fault, TaggerError
from tagger.names import Repository
from tagger.values import dataclass

T = TypeVar("T")


class Level(StrEnum):
    """How a check came out: nothing to do, worth knowing, or something to fix."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do; `repository` is None if it is about this machine.

    The text of an error says itself what to do.
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
        """Whether no check found a problem."""
        return all(finding.level is not Level.PROBLEM for finding in self.findings)


Said = tuple[Level, str, str]
"""How a check came out, what it found, and what to do."""


def found(check: str, ask: Callable[[], Said], repository: Repository | None = None) -> Finding:
    """Run a check and return its finding; whatever goes wrong in it becomes a problem."""
    try:
        return Finding(check, *ask(), repository)
    except Exception as problem:  # noqa: BLE001 - no check may end the others
        error = problem if isinstance(problem, TaggerError) else Fault(problem)
        return Finding(check, Level.PROBLEM, str(error), "", repository)


def once(ask: Callable[[], T]) -> Callable[[], T]:
    """Return a function that asks only once: later calls get the same answer, or the same error."""

    @functools.cache
    def outcome() -> T | TaggerError:
        try:
            return ask()
        except TaggerError as error:
            return error

    def again() -> T:
        if isinstance(answer := outcome(), TaggerError):
            raise answer
        return answer

    return again


def got(ask: Callable[[], T]) -> T | None:
    """Return an answer, or None if there is none."""
    with contextlib.suppress(TaggerError):
        return ask()
    return None


def ok(text: str) -> Said:
    """Return that there is nothing to do."""
    return Level.OK, text, ""


def note(text: str, advice: str = "") -> Said:
    """Return what is worth knowing, and what could be done."""
    return Level.NOTE, text, advice


def problem(text: str, advice: str = "") -> Said:
    """Return what is wrong, and what to do."""
    return Level.PROBLEM, text, advice
