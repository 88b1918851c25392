"""What text, table and Markdown say in the same words."""

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
"""How many names of what holds something a person is shown."""
_MOST = 50


def heading(release: Release, released: Released) -> str:
    """Name where something happened: the repository, and the variant and image where there are several."""
    several = len({each.image for each in release.repositories}) > 1
    variant = "" if released.variant == DEFAULT_VARIANT else f" ({released.variant})"
    return f"{released.repository}{variant}" + (f" from {released.image}" if several else "")


def commands(release: Release) -> Iterator[tuple[str, Ran]]:
    """What ran around a release, each with a word for what it is."""
    yield from (("gate", ran) for ran in release.gates)
    yield from (("after", ran) for ran in release.after)


def ran_line(what: str, ran: Ran) -> str:
    """How a command ended for which image."""
    return f"{what} {ran.command}: {ran.failed or 'succeeded'} for {ran.subject.reference}"


def evidence_line(found: Present) -> str:
    """Where evidence about which image is, or that it is not there."""
    if found.lacks:
        return f"{found.kind}: missing for {found.subject.reference}"
    return f"{found.kind}: present for {found.subject.reference} ({some(found.where, HOLDERS)})"


def verdict(release: Release) -> str | None:
    """How a release ended; None for a failure, which has its error."""
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
    """From which digest to which a tag goes."""
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
    """As much of a digest as a person reads.

    >>> short(Digest("sha256:" + "0" * 64)), short(None)
    ('sha256:000000000000', 'the new image')
    """
    return digest[:SHORT_DIGEST] if digest else "the new image"


def some(names: Sequence[str], most: int = _MOST) -> str:
    """Name tags, but no more than a person reads.

    >>> some(["2.1", "2", "latest"], most=2)
    '2.1, 2 and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
