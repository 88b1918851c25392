"""Floating tags that are not where `resolve` puts them: find them, and mend them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tagger.cascade import Scheme, Version, floating, mark, marks, newest_first, other_lines, published
from tagger.errors import InputError, Unreadable, Unsettled
from tagger.observe import AsListed, Tags, ask, digest_of, observe
from tagger.plan import Observed
from tagger.reference import Digest, Repository, Tag
from tagger.settle import Goal, settle

# A tag that drifted mostly holds a version shortly before the one that it should; no more than this are asked.
_SEARCHED = 64
_BATCH = 8


class Listed(Tags, Protocol):
    """A repository that tells whether it exists."""

    def listed(self) -> Sequence[Tag] | None:
        """List every tag; None when there is no such repository."""


@dataclass(frozen=True, slots=True)
class Floating:
    """A floating tag: the digest and version that it holds (None: none, or unknown), and the version it belongs to.

    One that holds a yanked version has the mark for its version. `expected` is None when no version is left for it.
    """

    tag: Tag
    digest: Digest | None
    version: Version | None
    expected: Version | None
    ok: bool
    unreadable: bool = False
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found: the tags that it checked, those that drifted, and those of lines that it does not know."""

    repository: Repository
    drift: tuple[Floating, ...]
    checked: tuple[Tag, ...]
    not_looked_at: tuple[Tag, ...]

    @property
    def ok(self) -> bool:
        """Say whether every floating tag that was checked is where it should be."""
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
            f"there is no repository {repository.name.path} at {repository.name.registry}: check the name, whether its"
            f" first version was released, and whether you may read it (docker login {repository.name.registry}), since"
            " registries hide what one may not read"
        )
    return found


def check(repository: Listed, schemes: Sequence[Scheme]) -> Check:
    """Compare every floating tag of these lines with `resolve`; it asks for about two digests for each.

    Raises InputError when there is no such repository or it has no version of a line that was named, and what the
    registry raises.
    """
    tags = listed_tags(repository)
    for scheme in schemes:
        _check_named(repository.name, tags, scheme, alone=len(schemes) == 1)
    lines = repository.patience.at_once([partial(_check_line, repository, tags, scheme) for scheme in schemes])
    states = [state for line in lines for state in line]
    checked = tuple(state.tag for state in states)
    drift = tuple(state for state in states if not state.ok)
    return Check(repository.name, drift, checked, tuple(other_lines(tags, schemes, {*checked})))


def _check_named(name: Repository, tags: Sequence[Tag], scheme: Scheme, *, alone: bool) -> None:
    """Refuse a line that was named, by its variant or prefix or beside others, and has no version."""
    named = scheme.variant or scheme.prefix not in {"", "v"} or not alone
    if named and not published(tags, scheme):
        variant = f"of variant {scheme.variant}" if scheme.variant else "of the plain line"
        prefix = f" with prefix {scheme.prefix}" if scheme.prefix else ""
        raise InputError(f"{name} has no version {variant}{prefix}: tagger ls {name} shows what it has")


def _check_line(repository: Listed, tags: Sequence[Tag], scheme: Scheme) -> list[Floating]:
    goal = floating(published(tags, scheme), scheme)
    left = left_behind(tags, scheme)
    observed = observe(AsListed(repository, tags), scheme, [*goal, *left])
    return [*examine(repository, scheme, observed, tags, [*goal, *left])]


def left_behind(tags: Sequence[Tag], scheme: Scheme) -> list[Tag]:
    """Name the listed floating tags that yanked versions competed for, and no other version claims."""
    claimed = floating(published(tags, scheme), scheme)
    cascade = dict.fromkeys(tag for version in marks(tags, scheme) for tag in scheme.floating_tags(version))
    listed = set(tags)
    return [tag for tag in cascade if tag in listed and tag not in claimed]


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
    found = [(s, o, moved(o, s, goal, repository.name)) for s, o, goal in zip(schemes, seen, goals, strict=True)]
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


def moved(observed: Observed, scheme: Scheme, tags: Collection[Tag], name: Repository) -> list[Move]:
    """Say which of these floating tags are to move, and where to. Raises Unreadable."""
    owners = floating(observed.versions, scheme)
    found = []
    for tag in tags:
        if tag in owners:
            before, after = observed.digests[tag], digest_of(observed, owners[tag], name)
            if before != after or tag in observed.unreadable:
                found.append(Move(tag, before, after, owners[tag]))
    return found


def examine(
    repository: Tags, scheme: Scheme, observed: Observed, listed: Sequence[Tag], tags: Collection[Tag]
) -> Iterator[Floating]:
    """Say of each of these floating tags whether it is right, and of one that is not, which version it holds.

    Of several versions with that digest it is the first of its line: yanked ones come first, then those that lead a
    line, then the newest. A tag that no version claims is named only if it holds a yanked one.
    """
    owners = floating(observed.versions, scheme)
    there = set(listed)
    known: dict[Tag, Digest | None] = dict(observed.digests)
    lines: Mapping[Tag, Sequence[tuple[Version, Tag]]] | None = None
    for tag in tags:
        owner, digest = owners.get(tag), observed.digests[tag]
        if owner and digest == digest_of(observed, owner, repository.name):
            yield Floating(tag, digest, owner, owner, ok=True)
            continue
        lines = _lines(observed, scheme, set(owners.values())) if lines is None else lines
        held = _holder(repository, lines.get(tag, ())[:_SEARCHED], digest, known) if digest else None
        if owner or held:
            unreadable = tag in observed.unreadable
            yield Floating(tag, digest, held, owner, ok=False, unreadable=unreadable, listed=tag in there)


def _lines(
    observed: Observed, scheme: Scheme, leading: Collection[Version]
) -> Mapping[Tag, Sequence[tuple[Version, Tag]]]:
    """Give the versions that compete for each floating tag and their tags, in the order in which they may hold it."""
    found: dict[Tag, list[tuple[Version, Tag]]] = {}
    for yanked in newest_first(observed.yanked):
        for tag in scheme.floating_tags(yanked):
            found.setdefault(tag, []).append((mark(yanked), observed.yanked[yanked]))
    for version in sorted(newest_first(observed.versions), key=lambda version: version not in leading):
        for tag in scheme.floating_tags(version):
            found.setdefault(tag, []).append((version, observed.versions[version]))
    return found


def _holder(
    repository: Tags, line: Sequence[tuple[Version, Tag]], digest: Digest, known: dict[Tag, Digest | None]
) -> Version | None:
    """Look for the first version of a line with a digest, asking a few at a time, and none whose digest is `known`."""
    for start in range(0, len(line), _BATCH):
        batch = line[start : start + _BATCH]
        answers = ask(repository, [tag for _, tag in batch if tag not in known])
        known.update((tag, None if isinstance(answer, Unreadable) else answer) for tag, answer in answers.items())
        for version, tag in batch:
            if known[tag] == digest:
                return version
    return None
