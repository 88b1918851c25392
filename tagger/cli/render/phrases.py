"""Phrases that text, table and Markdown share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tagger.names import SHORT_DIGEST, Digest
from tagger.releasing.outcome import Outcome, Release, Released
from tagger.rules.plan import Action, Change
from tagger.rules.spelling import DEFAULT_VARIANT

if TYPE_CHECKING:
    from tagger.gating.command import Present, Ran

HOLDERS = 3
"""The most names in one list of holders."""
_MOST = 50


def heading(release: Release, released: Released) -> str:
    """Name the place of an event: the repository, and the variant and image if there are several."""
    several = len({each.image for each in release.repositories}) > 1
    variant = "" if released.variant == DEFAULT_VARIANT else f" ({released.variant})"
    return f"{released.repository}{variant}" + (f" from {released.image}" if several else "")


def commands(release: Release) -> Iterator[tuple[str, Ran]]:
    """Return the commands that ran around a release, each with a word for its kind."""
    yield from (("gate", ran) for ran in release.gates)
    yield from (("after", ran) for ran in release.after)


def ran_line(what: str, ran: Ran) -> str:
    """Say how a command ended, and for which image."""
    return f"{what} {ran.command}: {ran.failed or 'succeeded'} for {ran.subject.reference}"


def evidence_line(found: Present) -> str:
    """Say where the evidence about an image is, or that it is missing."""
    if found.lacks:
        return f"{found.kind}: missing for {found.subject.reference}"
    return f"{found.kind}: present for {found.subject.reference} ({some(found.where, HOLDERS)})"


def verdict(release: Release) -> str | None:
    """Say how a release ended; None for a failure, which has its error."""
    where = ", ".join(dict.fromkeys(f"{r.repository}@{r.digest}" for r in release.repositories if r.digest))
    match release.outcome:
        case Outcome.PLANNED:
            return "dry run: nothing was written"
        case Outcome.RELEASED:
            return f"released {release.version} as {where}"
        case Outcome.UNCHANGED:
            return f"unchanged: {release.version} is already released as {where}"
        case _:
            return None


def movement(change: Change) -> str:
    """Say from which digest to which a tag moves."""
    match change.action:
        case Action.CREATE:
            return short(change.after) if change.after else ""
        case Action.MOVE:
            return f"{short(change.before)} to {short(change.after)}"
        case Action.UNCHANGED:
            return short(change.after)
        case _:
            return ""


def short(digest: Digest | None) -> str:
    """Shorten a digest for people.

    >>> short(Digest("sha256:" + "0" * 64)), short(None)
    ('sha256:000000000000', 'the new image')
    """
    return digest[:SHORT_DIGEST] if digest else "the new image"


def some(names: Sequence[str], most: int = _MOST) -> str:
    """Name tags, but not too many for a person.

    >>> some(["2.1", "2", "latest"], most=2)
    '2.1, 2 and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
