"""The findings: one value for each check, and how a check becomes one."""

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
    """The result of a check: nothing to do, worth knowing, or something to fix."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one check, and advice; `repository` is None if it is about this machine.

    The text of an error has its own advice.
    """

    check: str
    level: Level
    text: str
    advice: str = ""
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The findings of all checks."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no check found a problem."""
        return all(finding.level is not Level.PROBLEM for finding in self.findings)


Said = tuple[Level, str, str]
"""The level of a finding, its text, and advice."""


def found(check: str, ask: Callable[[], Said], repository: Repository | None = None) -> Finding:
    """Run a check and return its finding; every error becomes a problem."""
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
    """Return a finding that needs nothing."""
    return Level.OK, text, ""


def note(text: str, advice: str = "") -> Said:
    """Return a finding that is worth knowing, and advice."""
    return Level.NOTE, text, advice


def problem(text: str, advice: str = "") -> Said:
    """Return a problem, and advice."""
    return Level.PROBLEM, text, advice
