"""Floating tags that are not where `resolve` puts them: find them, and move them back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from tagger.errors import InputError, Refused, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Repository, Tag
from tagger.repository.ending import ended
from tagger.repository.observe import AsListed, Tags, ask, digest_of, holders, observe
from tagger.repository.platforms import lost
from tagger.repository.settle import Goal, settle
from tagger.rules.plan import Observed
from tagger.rules.scheme import Scheme, Version, floating, mark, marks, newest_first, other_lines, published

# A tag that drifted mostly holds a version shortly before the one that it should; no more than this are asked.
_SEARCHED = 64
_BATCH = 8


class Listed(Tags, Protocol):
    """A repository that tells whether it exists."""

    def listed(self) -> Sequence[Tag] | None:
        """List every tag; None when there is no such repository."""

    def is_half_removed(self, tag: Tag) -> bool:
        """Say whether a tag holds a placeholder, since its removal broke off."""


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
class Incomplete:
    """An index that lists what its repository no longer has, and the floating tags that hold it."""

    digest: Digest
    tags: tuple[Tag, ...]
    missing: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found: the tags that it checked, those that drifted, and those of lines that it does not know.

    `half_removed` are tags whose removal broke off.
    """

    repository: Repository
    drift: tuple[Floating, ...]
    checked: tuple[Tag, ...]
    not_looked_at: tuple[Tag, ...]
    half_removed: tuple[Tag, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()

    @property
    def ok(self) -> bool:
        """Say whether every floating tag is where it should be, no removal broke off, and no index has lost a part."""
        return not self.drift and not self.half_removed and not self.incomplete


@dataclass(frozen=True, slots=True)
class Move:
    """A floating tag that is put where its version is."""

    tag: Tag
    before: Digest | None
    after: Digest | None
    version: Version


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair moved, or would move, and the tags whose removal had broken off that it removed."""

    repository: Repository
    dry_run: bool
    repaired: tuple[Move, ...]
    warnings: tuple[str, ...] = ()
    removed: tuple[Tag, ...] = ()


def listed_tags(repository: Listed) -> Sequence[Tag]:
    """List the tags of a repository that has to exist. Raises InputError when it does not."""
    found = repository.listed()
    if found is None:
        raise InputError(
            f"there is no repository {repository.name.path} at {repository.name.registry}",
            f"check the name, whether its first version was released, and whether you may read it (docker"
            f" login {repository.name.registry}), since registries hide what one may not read",
        )
    return found


def check(repository: Listed, schemes: Sequence[Scheme]) -> Check:
    """Compare every floating tag of these lines with `resolve`; it asks for about two digests for each.

    Of each image that they hold it asks whether all that belongs to it is there.

    Raises InputError when there is no such repository or it has no version of a line that was named, and what the
    registry raises.
    """
    tags = listed_tags(repository)
    for scheme in schemes:
        _check_named(repository.name, tags, scheme, alone=len(schemes) == 1)
    lines = repository.deadline.at_once([partial(_check_line, repository, tags, scheme) for scheme in schemes])
    states = [state for line, _ in lines for state in line]
    checked = tuple(state.tag for state in states)
    drift = tuple(state for state in states if not state.ok)
    half_removed = tuple(dict.fromkeys(tag for _, half in lines for tag in half))
    others = tuple(other_lines(tags, schemes, {*checked}))
    return Check(repository.name, drift, checked, others, half_removed, _incomplete(repository, states))


def _incomplete(repository: Listed, states: Sequence[Floating]) -> tuple[Incomplete, ...]:
    """Find the indexes that floating tags hold and of which a part is gone."""
    held: dict[Digest, list[Tag]] = {}
    for state in states:
        if state.digest:
            held.setdefault(state.digest, []).append(state.tag)
    missing = repository.deadline.at_once([partial(lost, repository, digest) for digest in held])
    found = zip(held.items(), missing, strict=True)
    return tuple(Incomplete(digest, tuple(tags), tuple(gone)) for (digest, tags), gone in found if gone)


def _check_named(name: Repository, tags: Sequence[Tag], scheme: Scheme, *, alone: bool) -> None:
    """Refuse a line that was named, by its variant or prefix or beside others, and has no version."""
    named = scheme.variant or scheme.prefix not in {"", "v"} or not alone
    if named and not published(tags, scheme):
        variant = f"of variant {scheme.variant}" if scheme.variant else "of the plain line"
        prefix = f" with prefix {scheme.prefix}" if scheme.prefix else ""
        raise InputError(f"{name} has no version {variant}{prefix}", f"tagger ls {name} shows what it has")


def _check_line(repository: Listed, tags: Sequence[Tag], scheme: Scheme) -> tuple[list[Floating], list[Tag]]:
    goal = floating(published(tags, scheme), scheme)
    left = left_behind(tags, scheme)
    observed = observe(AsListed(repository, tags), scheme, [*goal, *left])
    half = half_removed(repository, tags, scheme, observed)
    return [*examine(repository, scheme, observed, tags, [*goal, *left])], half


def half_removed(repository: Listed, tags: Sequence[Tag], scheme: Scheme, observed: Observed) -> list[Tag]:
    """Name the tags whose removal broke off, among those that were asked for and the marks of yanked versions."""
    ghosts = {tag for tag in tags if tag in observed.digests and observed.digests[tag] is None} - observed.unreadable
    marked = {tag for tag in marks(tags, scheme).values() if tag not in observed.yanked.values()}
    return sorted(tag for tag in ghosts | marked if repository.is_half_removed(tag))


def left_behind(tags: Sequence[Tag], scheme: Scheme) -> list[Tag]:
    """Name the listed floating tags that yanked versions competed for, and no other version claims."""
    claimed = floating(published(tags, scheme), scheme)
    cascade = dict.fromkeys(tag for version in marks(tags, scheme) for tag in scheme.floating_tags(version))
    listed = set(tags)
    return [tag for tag in cascade if tag in listed and tag not in claimed]


def repair(repository: Listed, schemes: Sequence[Scheme], *, dry_run: bool) -> Repair:
    """Put every floating tag of these lines where `resolve` says, digest for digest.

    Every line is looked at before one is written. Raises Refused where a tag holds what is nearly a version, Unsettled
    when some tags are not there in the end, and what `check` raises.
    """
    tags = listed_tags(repository)
    found = repository.deadline.at_once([partial(_drifted, repository, tags, scheme) for scheme in schemes])
    if refused := [reason for line in found for reason in line.refusals()]:
        raise Refused("; ".join(refused))
    warnings = tuple(warning for line in found for warning in line.warnings(repository.name))
    moves = tuple(move for line in found for move in line.moves)
    half = tuple(dict.fromkeys(tag for line in found for tag in line.half_removed))
    if dry_run:
        return Repair(repository.name, dry_run, moves, warnings, half)
    try:
        done = repository.deadline.at_once([partial(_fix, repository, line) for line in found if line.moves])
    except KeyboardInterrupt as signal:
        raise _interrupted(repository, moves, signal) from None
    if failed := [line for line in done if isinstance(line, Unsettled)]:
        raise Unsettled("; ".join(map(str, failed)), [tag for line in failed for tag in line.tags])
    repaired = tuple(m for line in done if not isinstance(line, Unsettled) for m in line)
    moved_to = {move.tag for move in repaired}
    removed = tuple(tag for tag in half if tag not in moved_to)
    for tag in removed:
        repository.remove(tag)
    return Repair(repository.name, dry_run, repaired, warnings, removed)


@dataclass(frozen=True, slots=True)
class _Drifted:
    """What has drifted in one line, with the versions and near-versions whose images the tags hold."""

    scheme: Scheme
    observed: Observed
    moves: tuple[Move, ...]
    half_removed: Sequence[Tag]

    def refusals(self) -> list[str]:
        """Say which tags follow other rules, as it seems."""
        return [
            f"{tag} holds the image of {near}, which is nearly a version, so this repository may follow other rules:"
            f" add {near} to ignore, or choose other floats"
            for tag, near in self.observed.nearly.items()
        ]

    def warnings(self, name: Repository) -> list[str]:
        """Say which tags hold what nobody can name."""
        known = {*self.observed.holders, *self.observed.nearly}
        unknown = {move.tag: move.before for move in self.moves if move.before and move.tag not in known}
        return [f"{name}:{tag} held an image of no known version: {digest}" for tag, digest in unknown.items()]


def _drifted(repository: Listed, tags: Sequence[Tag], scheme: Scheme) -> _Drifted:
    goal = floating(published(tags, scheme), scheme)
    observed = observe(AsListed(repository, tags), scheme, goal)
    moves = tuple(moved(observed, scheme, goal, repository.name))
    versions, nearly = holders(repository, scheme, observed, [move.tag for move in moves])
    half = half_removed(repository, tags, scheme, observed)
    return _Drifted(scheme, replace(observed, holders=versions, nearly=nearly), moves, half)


def _fix(repository: Listed, line: _Drifted) -> list[Move] | Unsettled:
    """Settle what is to move; give the error rather than raise it, since other lines have theirs."""
    familiar = frozenset(d for tag in line.observed.holders if (d := line.observed.digests[tag]))
    tags = [move.tag for move in line.moves]
    try:
        settled = settle(repository, line.scheme, tags, Goal(familiar=familiar), line.observed)
    except Unsettled as error:
        return error
    moves = [Move(m.tag, m.before, settled.digests[m.tag], m.version) for m in line.moves]
    return [move for move in moves if move.before != move.after]


def _interrupted(repository: Listed, moves: Sequence[Move], signal: KeyboardInterrupt) -> TaggerError:
    """Look which tags have moved, and return the error that names those and the others."""
    repository.deadline.put_back()
    try:
        held = ask(repository, [move.tag for move in moves])
    except (TaggerError, KeyboardInterrupt):
        return ended(signal, f"which of {', '.join(m.tag for m in moves)} moved was not seen", [m.tag for m in moves])
    done = [move.tag for move in moves if held[move.tag] == move.after]
    left = [move.tag for move in moves if held[move.tag] != move.after]
    parts = [f"{what}: {', '.join(tags)}" for what, tags in (("moved", done), ("still to move", left)) if tags]
    return ended(signal, "; ".join(parts), ())


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
