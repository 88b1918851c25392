"""Floating tags that are not where `resolve` puts them: find them, and mend them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tagger.cascade import Scheme, Version, floating, newest_first, published
from tagger.errors import InputError
from tagger.plan import Observed
from tagger.reference import Digest, Repository, Tag
from tagger.settle import AsListed, Goal, Tags, observe, settle

# A tag that drifted mostly holds a version shortly before the one that it should; no more than this are asked.
_SEARCHED = 64
_BATCH = 8


class Listed(Tags, Protocol):
    """A repository that tells whether it exists."""

    def listed(self) -> Sequence[Tag] | None:
        """List every tag; None when there is no such repository."""


@dataclass(frozen=True, slots=True)
class Floating:
    """A floating tag: the digest and version that it holds (None: none, or unknown), and the version it belongs to."""

    tag: Tag
    digest: Digest | None
    version: Version | None
    expected: Version
    ok: bool
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found: the floating tags that drifted."""

    repository: Repository
    drift: tuple[Floating, ...]

    @property
    def ok(self) -> bool:
        """Say whether every floating tag is where it should be."""
        return not self.drift


@dataclass(frozen=True, slots=True)
class Move:
    """A floating tag that is put where its version is."""

    tag: Tag
    before: Digest | None
    after: Digest | None
    version: Version


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair moved, or would move."""

    repository: Repository
    dry_run: bool
    repaired: tuple[Move, ...]


def listed_tags(repository: Listed) -> Sequence[Tag]:
    """List the tags of a repository that has to exist. Raises InputError when it does not."""
    found = repository.listed()
    if found is None:
        raise InputError(
            f"there is no repository {repository.name.path} at {repository.name.registry}: check the name, and whether"
            " its first version was released"
        )
    return found


def check(repository: Listed, scheme: Scheme) -> Check:
    """Compare every floating tag with `resolve`; it asks for about two digests for each.

    Raises InputError when there is no such repository, and what the registry raises.
    """
    tags = listed_tags(repository)
    goal = floating(published(tags, scheme), scheme)
    observed = observe(AsListed(repository, tags), scheme, goal)
    return Check(repository.name, tuple(f for f in examine(repository, scheme, observed, goal) if not f.ok))


def repair(repository: Listed, scheme: Scheme, *, dry_run: bool) -> Repair:
    """Put every floating tag where `resolve` says, digest for digest.

    Raises Unsettled when some are not there in the end, and what `check` raises.
    """
    tags = listed_tags(repository)
    goal = floating(published(tags, scheme), scheme)
    observed = observe(AsListed(repository, tags), scheme, goal)
    moves = moved(observed, scheme, goal)
    if moves and not dry_run:
        settled = settle(repository, scheme, [move.tag for move in moves], Goal())
        moves = [Move(m.tag, m.before, settled.digests[m.tag], m.version) for m in moves]
    return Repair(repository.name, dry_run, tuple(moves))


def moved(observed: Observed, scheme: Scheme, tags: Collection[Tag]) -> list[Move]:
    """Say which of these floating tags are to move, and where to."""
    owners = floating(observed.versions, scheme)
    found = []
    for tag in tags:
        if tag in owners:
            before, after = observed.digests[tag], observed.digests[observed.versions[owners[tag]]]
            if before != after or tag in observed.unreadable:
                found.append(Move(tag, before, after, owners[tag]))
    return found


def examine(repository: Tags, scheme: Scheme, observed: Observed, tags: Collection[Tag]) -> Iterator[Floating]:
    """Say of each of these floating tags whether it is right, and of one that is not, which version it holds."""
    owners = floating(observed.versions, scheme)
    known = {observed.digests[tag]: v for v, tag in observed.versions.items() if observed.digests.get(tag)}
    for tag in tags:
        if tag not in owners:
            continue
        owner, digest = owners[tag], observed.digests[tag]
        if digest is not None and digest == observed.digests[observed.versions[owner]]:
            yield Floating(tag, digest, owner, owner, ok=True)
        else:
            line = _candidates(observed.versions, scheme, tag, owners)
            held = _holder(repository, {observed.versions[v]: v for v in line}, digest, known) if digest else None
            yield Floating(tag, digest, held, owner, ok=False, unreadable=tag in observed.unreadable)


def _candidates(
    versions: Mapping[Version, Tag], scheme: Scheme, tag: Tag, owners: Mapping[Tag, Version]
) -> list[Version]:
    """Say which versions a floating tag that drifted may hold: the newest of each line first, then the newest."""
    line = [version for version in newest_first(versions) if tag in scheme.floating_tags(version)]
    leading = set(owners.values())
    return sorted(line, key=lambda version: version not in leading)[:_SEARCHED]


def _holder(
    repository: Tags, line: Mapping[Tag, Version], digest: Digest, known: dict[Digest | None, Version]
) -> Version | None:
    """Look for the version with a digest in a line of version tags, a few at a time."""
    tags = list(line)
    for start in range(0, len(tags), _BATCH):
        if digest in known:
            break
        batch = tags[start : start + _BATCH]
        asking = [partial(repository.digest, tag) for tag in batch]
        for tag, answer in zip(batch, repository.patience.at_once(asking), strict=True):
            known.setdefault(answer, line[tag])
    return known.get(digest)
