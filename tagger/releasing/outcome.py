"""What a release came to: values that `report` shows and the Python API returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tagger.names import Digest, Repository
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
    """What happened in one line of a repository: the version's digest (None: not there, or not known), the changes.

    `variant` is the line's name, "default" for the plain one, `image` the image as it was named.
    """

    repository: Repository
    digest: Digest | None
    changes: tuple[Change, ...]
    variant: str = DEFAULT_VARIANT
    image: str = ""


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
