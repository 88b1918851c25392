"""What a release came to: values that `report` shows and the Python API returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tagger.names import Digest, Repository
from tagger.releasing.placement import Placement
from tagger.rules.plan import Change
from tagger.rules.scheme import DEFAULT_VARIANT


class Outcome(StrEnum):
    """How a release ended."""

    PLANNED = "planned"
    RELEASED = "released"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Released:
    """What happened at one placement: the version's digest (None: not there, or not known), and the changes."""

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
    """A release as it ended: the images and version asked for, the outcome, what happened where, and what is odd."""

    image: str
    version: str
    dry_run: bool
    outcome: Outcome
    repositories: tuple[Released, ...] = ()
    error: str | None = None
    warnings: tuple[str, ...] = ()
