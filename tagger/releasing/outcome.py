"""The result of a release: values that `report` shows and the Python API returns."""

from __future__ import annotations

from enum import StrEnum

from tagger.errors import Refused, TaggerError, Unsettled
from tagger.gating.command import Present, Ran
from tagger.names import Digest, Repository
from tagger.releasing.placement import Placement
from tagger.rules.plan import Change
from tagger.rules.spelling import DEFAULT_VARIANT
from tagger.values import dataclass

AFTER_FAILED = 7
"""The exit code of a successful release with a failed command after it."""


class Outcome(StrEnum):
    """How a release ended."""

    PLANNED = "planned"
    RELEASED = "released"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"
    PARTIAL = "partial"

    @classmethod
    def of(cls, problem: TaggerError) -> Outcome:
        """Return the outcome of a release that ended with an error."""
        if isinstance(problem, Refused):
            return cls.REFUSED
        return cls.PARTIAL if isinstance(problem, Unsettled) else cls.FAILED


@dataclass(frozen=True, slots=True)
class Released:
    """The result at one placement: the version's digest (None: absent or unknown), and the changes."""

    placement: Placement
    digest: Digest | None
    changes: tuple[Change, ...]

    @property
    def repository(self) -> Repository:
        """The repository."""
        return self.placement.repository

    @property
    def variant(self) -> str:
        """The variant's name; "default" for plain tags."""
        return self.placement.scheme.variant or DEFAULT_VARIANT

    @property
    def image(self) -> str:
        """The image, by the name that the user gave it."""
        return self.placement.image


@dataclass(frozen=True, slots=True)
class Release:
    """A finished release: the order, the outcome, the result at each placement, the error if any, and warnings.

    `gates` are the gates that ran, the last of which may have failed. `after` are the commands that ran after the
    release, and `evidence` is the required evidence: present or not, but never verified.
    """

    image: str
    version: str
    dry_run: bool
    outcome: Outcome
    repositories: tuple[Released, ...] = ()
    problem: TaggerError | None = None
    warnings: tuple[str, ...] = ()
    gates: tuple[Ran, ...] = ()
    after: tuple[Ran, ...] = ()
    evidence: tuple[Present, ...] = ()

    @classmethod
    def not_begun(cls, image: str, version: str, problem: TaggerError, *, dry_run: bool) -> Release:
        """Return a release that failed before it read any repository."""
        return cls(image, version, dry_run, Outcome.of(problem), problem=problem)

    @property
    def exit_code(self) -> int:
        """The exit code; a command after the release may have failed."""
        if self.problem:
            return self.problem.exit_code
        return AFTER_FAILED if any(ran.failed for ran in self.after) else 0

    @property
    def error(self) -> str | None:
        """The error of the release."""
        return str(self.problem) if self.problem else None

    def or_raise(self) -> Release:
        """Return this release, or raise its error with this release as its `release`."""
        if self.problem is None:
            return self
        self.problem.release = self
        raise self.problem
