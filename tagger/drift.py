"""Floating tags that are not where `resolve` puts them: find them, and mend them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tagger.cascade import Scheme, Version, floating, newest_first, published
from tagger.errors import InputError, Unsettled
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


def check(repository: Listed, schemes: Sequence[Scheme]) -> Check:
    """Compare every floating tag of these lines with `resolve`; it asks for about two digests for each.

    Raises InputError when there is no such repository, and what the registry raises.
    """
    tags = listed_tags(repository)
    lines = repository.patience.at_once([partial(_check_line, repository, tags, scheme) for scheme in schemes])
    return Check(repository.name, tuple(state for states in lines for state in states))


def _check_line(repository: Listed, tags: Sequence[Tag], scheme: Scheme) -> list[Floating]:
    goal = floating(published(tags, scheme), scheme)
    observed = observe(AsListed(repository, tags), scheme, goal)
    return [state for state in examine(repository, scheme, observed, goal) if not state.ok]


def repair(repository: Listed, schemes: Sequence[Scheme], *, dry_run: bool) -> Repair:
    """Put every floating tag of these lines where `resolve` says, digest for digest.

    Every line is looked at before one is written. Raises Unsettled when some tags are not there in the end, and what
    `check` raises.
    """
    tags = listed_tags(repository)
    goals = [floating(published(tags, scheme), scheme) for scheme in schemes]
    looks = [
        partial(observe, AsListed(repository, tags), scheme, goal) for scheme, goal in zip(schemes, goals, strict=True)
    ]
    seen = repository.patience.at_once(looks)
    found = [(s, o, moved(o, s, goal)) for s, o, goal in zip(schemes, seen, goals, strict=True)]
    if dry_run:
        return Repair(repository.name, dry_run, tuple(move for *_, moves in found for move in moves))
    mending = [partial(_mend, repository, scheme, observed, moves) for scheme, observed, moves in found if moves]
    done = repository.patience.at_once(mending)
    if failed := [line for line in done if isinstance(line, Unsettled)]:
        raise Unsettled("; ".join(map(str, failed)), [tag for line in failed for tag in line.tags])
    return Repair(repository.name, dry_run, tuple(m for line in done if not isinstance(line, Unsettled) for m in line))


def _mend(repository: Listed, scheme: Scheme, observed: Observed, moves: Sequence[Move]) -> list[Move] | Unsettled:
    """Settle what is to move; give the error rather than raise it, since other lines have theirs."""
    try:
        settled = settle(repository, scheme, [move.tag for move in moves], Goal(), observed)
    except Unsettled as error:
        return error
    return [Move(m.tag, m.before, settled.digests[m.tag], m.version) for m in moves]


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
    """Say of each of these floating tags whether it is right, and of one that is not, which version it holds.

    Versions that lead a line are asked first for a digest that is not known, then the newest.
    """
    owners = floating(observed.versions, scheme)
    known = {observed.digests[tag]: v for v, tag in observed.versions.items() if observed.digests.get(tag)}
    asked, leading = set(observed.digests), set(owners.values())
    lines: Mapping[Tag, Sequence[Version]] = {}
    for tag in tags:
        if tag not in owners:
            continue
        owner, digest = owners[tag], observed.digests[tag]
        if digest is not None and digest == observed.digests[observed.versions[owner]]:
            yield Floating(tag, digest, owner, owner, ok=True)
        else:
            lines = lines or _lines(observed.versions, scheme)
            line = sorted(lines[tag], key=lambda version: version not in leading)[:_SEARCHED]
            tags_of_line = {observed.versions[v]: v for v in line}
            held = _holder(repository, tags_of_line, digest, known, asked) if digest else None
            yield Floating(tag, digest, held, owner, ok=False, unreadable=tag in observed.unreadable)


def _lines(versions: Mapping[Version, Tag], scheme: Scheme) -> Mapping[Tag, Sequence[Version]]:
    """Give the versions that compete for each floating tag, the newest first."""
    found: dict[Tag, list[Version]] = {}
    for version in newest_first(versions):
        for tag in scheme.floating_tags(version):
            found.setdefault(tag, []).append(version)
    return found


def _holder(
    repository: Tags,
    line: Mapping[Tag, Version],
    digest: Digest,
    known: dict[Digest | None, Version],
    asked: set[Tag],
) -> Version | None:
    """Look for the version with a digest in a line of version tags, a few at a time, and none that was asked before."""
    tags = [tag for tag in line if tag not in asked]
    for start in range(0, len(tags), _BATCH):
        if digest in known:
            break
        batch = tags[start : start + _BATCH]
        asked.update(batch)
        asking = [partial(repository.digest, tag) for tag in batch]
        for tag, answer in zip(batch, repository.patience.at_once(asking), strict=True):
            known.setdefault(answer, line[tag])
    return known.get(digest)
