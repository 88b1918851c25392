"""Remove versions and tags without losing a tag that nobody named.

All tags of a cascade share one digest, and deleting a digest deletes every tag on it. So floating tags fall back first;
then a tag is deleted by itself where the registry can do that, by its digest where every tag on that is to go, and
otherwise by way of a throw-away manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from tagger.cascade import Scheme, newest_first, published
from tagger.drift import Listed, Move, listed_tags, moved
from tagger.errors import (
    Denied,
    InputError,
    Interrupted,
    Refused,
    RegistryError,
    RegistryUnreachable,
    TaggerError,
    Unreadable,
    Unsettled,
    printable,
)
from tagger.manifest import IMAGES, Descriptor, Manifest, beneath
from tagger.observe import AsListed, View, ask, observe
from tagger.reference import Digest, Repository, Tag
from tagger.settle import Goal, settle

Note = Callable[[str], None]


class Removable(Listed, Protocol):
    """A repository whose tags can be removed."""

    def deletes_single_tags(self) -> bool:
        """Say whether it deletes single tags, rather than manifests with their tags; raise Refused if neither."""

    def descriptor(self, tag: Tag) -> Descriptor | None:
        """Ask where a tag points; None when it is absent."""

    def delete(self, reference: Tag | Digest) -> None:
        """Delete a tag by itself, or a digest with every tag on it."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, or would be, and the floating tags that moved for it."""

    repository: Repository
    dry_run: bool
    removed: tuple[Tag, ...]
    moved: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to go, with what it holds, dropped floating tags among it; and which floating tags fall back, by line."""

    doomed: Mapping[Tag, Digest | None]
    lines: Sequence[tuple[Scheme, tuple[Move, ...]]]

    @property
    def moves(self) -> tuple[Move, ...]:
        """Give the moves of every line."""
        return tuple(move for _, moves in self.lines for move in moves)


class _Without(View):
    """A repository as if some of its tags were not listed."""

    def __init__(self, repository: Removable, hidden: Collection[Tag]) -> None:
        super().__init__(repository)
        self._hidden = frozenset(hidden)

    def tags(self) -> list[Tag]:
        return [tag for tag in self._repository.tags() if tag not in self._hidden]


def remove(
    repository: Removable,
    schemes: Sequence[Scheme],
    names: Sequence[str],
    *,
    dry_run: bool = False,
    note: Note = lambda _: None,
) -> Removal:
    """Remove these versions and tags; floating tags of a removed version fall back to the next one, or go with it.

    What is listed as it was named is that tag alone; any other version goes from each of these lines that has it.

    `note` is told of names that are not there.

    Raises InputError when none of the names is there, Refused when the registry deletes nothing or a sibling stands in
    the way, Unsettled when tags are left that should have gone, and what the registry raises.
    """
    tags = listed_tags(repository)
    return _remove(repository, schemes, tags, _named(repository.name, tags, names, schemes, note), dry_run=dry_run)


def remove_all(repository: Removable, schemes: Sequence[Scheme], *, dry_run: bool = False) -> Removal:
    """Empty a repository. Raises what `remove` raises."""
    tags = listed_tags(repository)
    return _remove(repository, schemes, tags, tags, dry_run=dry_run)


def _remove(
    repository: Removable, schemes: Sequence[Scheme], tags: Sequence[Tag], named: Sequence[Tag], *, dry_run: bool
) -> Removal:
    plan = _planned(repository, schemes, tags, named)
    doomed = tuple(plan.doomed)
    if dry_run or not doomed:
        return Removal(repository.name, dry_run, doomed, plan.moves)
    single = repository.deletes_single_tags()
    problem: TaggerError | KeyboardInterrupt | None = None
    try:
        _settle(repository, plan, doomed)
        _delete(repository, tags, plan.doomed, single=single)
    except (TaggerError, KeyboardInterrupt) as error:
        problem = error
    repository.patience.put_back()
    try:
        done, left = _look(repository, plan)
    except (RegistryError, RegistryUnreachable, Unsettled) as error:
        if isinstance(error, Unsettled) and problem is None:
            raise
        names = [*doomed, *(move.tag for move in plan.moves)]
        raise Unsettled(
            f"{problem or error}; what became of {', '.join(names)} cannot be read: run the same command again", names
        ) from None
    if left or isinstance(problem, KeyboardInterrupt):
        raise _incomplete(problem, done, left)
    return done


def _settle(repository: Removable, plan: _Plan, hidden: Collection[Tag]) -> dict[Tag, Digest | None]:
    """Settle the floating tags of every line to the versions but those hidden; say where they are."""
    held: dict[Tag, Digest | None] = {}
    for scheme, moves in plan.lines:
        if moves:
            settled = settle(_Without(repository, hidden), scheme, [move.tag for move in moves], Goal())
            held |= {move.tag: settled.digests[move.tag] for move in moves}
    return held


def _look(repository: Removable, plan: _Plan) -> tuple[Removal, list[Tag]]:
    """Settle to what is there now, since a version that stayed has its floating tags back; say what went and what not.

    A tag that holds something strange is no version of anybody's.
    """
    held = ask(repository, list(plan.doomed))
    strange = [tag for tag, now in held.items() if now is not None and now != plan.doomed[tag]]
    settled = _settle(repository, plan, strange)
    listed = set(repository.tags())
    left = [tag for tag, now in held.items() if now is not None or (plan.doomed[tag] is None and tag in listed)]
    done = Removal(
        repository.name,
        dry_run=False,
        removed=tuple(tag for tag in plan.doomed if tag not in left),
        moved=tuple(replace(m, after=settled[m.tag]) for m in plan.moves if settled[m.tag] != m.before),
    )
    return done, left


def _named(
    name: Repository, tags: Sequence[Tag], names: Sequence[str], schemes: Sequence[Scheme], note: Note
) -> tuple[Tag, ...]:
    """Find the tags that were named: as they stand, or as a version of these lines, however it is spelt.

    A version alone never finds another line's tag: with variant alpine, `2.1.106` is 2.1.106-alpine.
    """
    versions = [(scheme, published(tags, scheme)) for scheme in schemes]
    plain = Scheme(variants=frozenset().union(*(scheme.variants for scheme in schemes)))
    listed = set(tags)
    found: dict[Tag, None] = {}
    for text in names:
        mine = any(scheme.parse(text) for scheme in schemes)
        spelt = next((v for v in (*(scheme.parse(text) for scheme in schemes), plain.parse(text)) if v), None)
        if text in listed and mine == bool(spelt):
            here = [Tag(text)]
        else:
            here = [line[spelt] for scheme, line in versions if spelt in line and (scheme.parse(text) or not mine)]
        if not here:
            note(f"{name} has no tag {printable(text)}, so there is nothing to remove")
        found |= dict.fromkeys(here)
    if not found:
        raise InputError(f"{name} has none of the tags named: tagger ls {name} shows those that it has")
    return tuple(found)


def _planned(repository: Removable, schemes: Sequence[Scheme], tags: Sequence[Tag], named: Sequence[Tag]) -> _Plan:
    """Say what goes and what moves; of a version with two spellings the other one's image takes over."""
    doomed = {tag: None if isinstance(held, Unreadable) else held for tag, held in ask(repository, named).items()}
    images = set(doomed.values()) - {None}
    lines = []
    for scheme in schemes:
        going = set(named)
        affected = newest_first({version for tag in named if (version := scheme.parse(tag))})
        cascade = dict.fromkeys(tag for version in affected for tag in scheme.floating_tags(version))
        floats = [tag for tag in cascade if tag in set(tags) - going]
        observed = observe(AsListed(repository, [tag for tag in tags if tag not in going]), scheme, floats)
        claimed = {tag for version in observed.versions for tag in scheme.floating_tags(version)}
        doomed |= {t: observed.digests[t] for t in floats if t not in claimed and observed.digests[t] in images}
        lines.append((scheme, tuple(moved(observed, scheme, floats, repository.name))))
    return _Plan(doomed, lines)


def _delete(repository: Removable, tags: Sequence[Tag], doomed: Collection[Tag], *, single: bool) -> None:
    if single:
        repository.patience.at_once([partial(repository.delete, tag) for tag in doomed])
        return
    holders, parts, unknown = _holders(repository, tags)
    for digest, holding in holders.items():
        going = [tag for tag in holding if tag in doomed]
        siblings = [tag for tag in (*holding, *parts.get(digest, ()), *unknown) if tag not in doomed]
        if going and not siblings:
            repository.delete(digest)
        for tag in going if siblings else ():
            _delete_beside(repository, tag, siblings)
    leading_nowhere = set(tags) & set(doomed) - {tag for holding in holders.values() for tag in holding}
    for tag in sorted(leading_nowhere):
        repository.remove(tag)


def _delete_beside(repository: Removable, tag: Tag, siblings: Sequence[Tag]) -> None:
    try:
        repository.remove(tag)
    except RegistryError as error:
        if isinstance(error, Unreadable):
            raise
        raise Refused(
            f"{tag} shares its digest with {', '.join(siblings)}, and deleting that would delete them too ({error}):"
            " remove them as well, or move them first"
        ) from None


def _holders(
    repository: Removable, tags: Sequence[Tag]
) -> tuple[Mapping[Digest, list[Tag]], Mapping[Digest, list[Tag]], list[Tag]]:
    """Say which tags point at each digest, which tags' indexes list it, and of which tags nobody knows."""
    holders: dict[Digest, list[Tag]] = {}
    parts: dict[Digest, list[Tag]] = {}
    unknown: list[Tag] = []
    asking = [partial(_descriptor, repository, tag) for tag in tags]
    for tag, found in zip(tags, repository.patience.at_once(asking), strict=True):
        if isinstance(found, Unreadable):
            unknown.append(tag)
        elif found is not None:
            holders.setdefault(found.digest, []).append(tag)
            try:
                for part in _parts(repository, found):
                    parts.setdefault(part, []).append(tag)
            except (RegistryError, Denied):
                unknown.append(tag)
    return holders, parts, unknown


def _parts(repository: Removable, tagged: Descriptor) -> Collection[Digest]:
    """Give what an index lists, at every depth. Raises what the registry raises."""

    def read(listed: Sequence[Descriptor]) -> list[Manifest | None]:
        reading = [partial(repository.manifest, each.digest) for each in listed if each.media_type not in IMAGES]
        read = {manifest.digest: manifest for manifest in repository.patience.at_once(reading) if manifest}
        return [read.get(each.digest) for each in listed]

    index = repository.manifest(tagged.digest) if tagged.is_index else None
    return beneath(index, read) if index else ()


def _descriptor(repository: Removable, tag: Tag) -> Descriptor | Unreadable | None:
    try:
        return repository.descriptor(tag)
    except Unreadable as error:
        return error


def _incomplete(problem: TaggerError | KeyboardInterrupt | None, done: Removal, left: Sequence[Tag]) -> TaggerError:
    there = f"still there: {', '.join(left)}" if left else "everything named is gone"
    what = problem or f"{done.repository.registry} said yes to every delete"
    found: TaggerError
    if isinstance(problem, KeyboardInterrupt):
        found = Interrupted(f"interrupted; {there}: run the same command again", problem)
    elif isinstance(problem, Unsettled) or done.removed:
        found = Unsettled(f"{what}; {there}: run the same command again", left)
    elif isinstance(problem, Refused):
        found = problem
    else:
        found = TaggerError(f"{what}; nothing was removed, and {there}: run the same command again")
    found.removal = done
    return found
