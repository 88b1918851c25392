"""The differences between repositories that should hold the same: version tags, and images of floating tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagger.errors import InputError
from tagger.names import Digest, Repository, Tag
from tagger.repository.listing import Listing
from tagger.rules.candidate import is_candidate
from tagger.rules.version import Version, newest_first
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Holding:
    """The content of a tag in a repository: a digest (None: absent or unreadable), and its version, if known."""

    repository: Repository
    digest: Digest | None
    version: Version | None
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A tag that differs between repositories, and what it holds in each."""

    tag: Tag
    held: tuple[Holding, ...]


def compare(listings: Sequence[Listing]) -> tuple[Difference, ...]:
    """Find the tags that differ: versions first, the newest first, then floating tags. Candidates may differ.

    A floating tag that holds one version everywhere does not differ, although that version may have two digests. An
    unreadable tag differs from a readable one.

    Raises InputError for a listing that does not show all versions.
    """
    if any(listing.older for listing in listings):
        raise InputError("a partial list cannot be compared", "list every version, without a limit")
    every = [(listing.repository, _held(listing)) for listing in listings]
    found = (
        Difference(tag, tuple(held.get(tag) or Holding(repository, None, None) for repository, held in every))
        for tag in _in_order(listings)
    )
    return tuple(each for each in found if not _agree(each.held))


def _in_order(listings: Sequence[Listing]) -> Sequence[Tag]:
    rows = [row for listing in listings for row in listing.versions]
    versions = {row.tag: row.version for row in rows if not is_candidate(row.version)}
    ranks = {version: rank for rank, version in enumerate(newest_first({*versions.values()}))}
    floating = [state.tag for listing in listings for state in listing.floating]
    return [*dict.fromkeys([*sorted(versions, key=lambda tag: (ranks[versions[tag]], tag)), *floating])]


def _held(listing: Listing) -> Mapping[Tag, Holding]:
    versions = {
        row.tag: Holding(listing.repository, row.digest, None, unreadable=row.digest is None)
        for row in listing.versions
    }
    floating = {
        state.tag: Holding(listing.repository, state.digest, state.version, state.unreadable)
        for state in listing.floating
    }
    return {**floating, **versions}


def _agree(held: Sequence[Holding]) -> bool:
    first, *others = held
    if any(each.unreadable for each in held):
        return False
    return all(each.digest == first.digest for each in others) or (
        first.version is not None and all(each.version == first.version for each in others)
    )
