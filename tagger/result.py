"""What a release came to: values that `report` shows and the Python API returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tagger.plan import Change
from tagger.reference import Digest, Repository


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
    """What happened in one repository: the version's digest (None: not there, or not known) and each tag's change."""

    repository: Repository
    digest: Digest | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """A release as it ended: the image and version asked for, the outcome, and what happened where."""

    image: str
    version: str
    dry_run: bool
    outcome: Outcome
    repositories: tuple[Released, ...] = ()
    error: str | None = None
