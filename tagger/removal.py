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

from tagger.cascade import Scheme, Version, newest_first, published
from tagger.drift import Listed, Move, listed_tags, moved
from tagger.errors import InputError, Interrupted, Refused, TaggerError, Unsettled, printable
from tagger.manifest import Descriptor
from tagger.plan import Observed
from tagger.reference import Digest, Repository, Tag
from tagger.settle import Goal, at_once, observe, settle

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
    """What is to go: the tags (dropped floating ones among them) and versions; and which floating tags fall back."""

    doomed: tuple[Tag, ...]
    gone: frozenset[Version]
    moves: tuple[Move, ...]
    observed: Observed


def remove(
    repository: Removable, scheme: Scheme, names: Sequence[str], *, dry_run: bool = False, note: Note = lambda _: None
) -> Removal:
    """Remove these versions and tags; floating tags of a removed version fall back to the next one, or go with it.

    `note` is told of names that are not there.

    Raises InputError when none of the names is there, Refused when the registry deletes nothing or a sibling stands in
    the way, Unsettled when tags are left that should have gone, and what the registry raises.
    """
    tags = listed_tags(repository)
    return _remove(repository, scheme, tags, _named(repository.name, tags, names, scheme, note), dry_run=dry_run)


def remove_all(repository: Removable, scheme: Scheme, *, dry_run: bool = False) -> Removal:
    """Empty a repository. Raises what `remove` raises."""
    tags = listed_tags(repository)
    return _remove(repository, scheme, tags, tags, dry_run=dry_run)


def _remove(
    repository: Removable, scheme: Scheme, tags: Sequence[Tag], named: Sequence[Tag], *, dry_run: bool
) -> Removal:
    plan = _planned(repository, scheme, tags, named)
    if dry_run or not plan.doomed:
        return Removal(repository.name, dry_run, plan.doomed, plan.moves)
    single = repository.deletes_single_tags()
    floats = [move.tag for move in plan.moves]
    problem: TaggerError | KeyboardInterrupt | None = None
    try:
        settle(repository, scheme, floats, Goal(absent=plan.gone))
        _delete(repository, tags, plan.doomed, single=single)
    except (TaggerError, KeyboardInterrupt) as error:
        problem = error
    # What is published now decides, whatever was deleted: a version that stayed has its floating tags back.
    settled = settle(repository, scheme, floats, Goal())
    left = [tag for tag, held in zip(plan.doomed, _ask(repository, plan.doomed), strict=True) if held]
    done = Removal(
        repository.name,
        dry_run,
        tuple(tag for tag in plan.doomed if tag not in left),
        tuple(replace(m, after=settled.digests[m.tag]) for m in plan.moves if settled.digests[m.tag] != m.before),
    )
    if problem is None and not left:
        return done
    raise _incomplete(problem, done, left)


def _named(name: Repository, tags: Sequence[Tag], names: Sequence[str], scheme: Scheme, note: Note) -> tuple[Tag, ...]:
    """Find the tags that were named: as they stand, or as the other spelling of a version."""
    versions = published(tags, scheme)
    found: dict[Tag, None] = {}
    for text in names:
        version = scheme.parse(text)
        tag = Tag(text) if text in tags else versions.get(version) if version else None
        if tag is None:
            note(f"{name} has no tag {printable(text)}, so there is nothing to remove")
        else:
            found[tag] = None
    if not found:
        raise InputError(f"{name} has none of the tags named: tagger ls {name} shows those that it has")
    return tuple(found)


def _planned(repository: Removable, scheme: Scheme, tags: Sequence[Tag], named: Sequence[Tag]) -> _Plan:
    staying = published([tag for tag in tags if tag not in set(named)], scheme)
    gone = frozenset(published(tags, scheme).keys() - staying.keys())
    cascade = dict.fromkeys(tag for version in newest_first(gone) for tag in scheme.floating_tags(version))
    floats = [tag for tag in cascade if tag in set(tags) - set(named)]
    observed = observe(repository, scheme, floats, absent=gone)
    moves = moved(observed, scheme, floats)
    held = set(_ask(repository, named)) - {None}
    claimed = {tag for version in observed.versions for tag in scheme.floating_tags(version)}
    dropped = [tag for tag in floats if tag not in claimed and observed.digests[tag] in held]
    return _Plan((*named, *dropped), gone, tuple(moves), observed)


def _delete(repository: Removable, tags: Sequence[Tag], doomed: Collection[Tag], *, single: bool) -> None:
    if single:
        at_once([partial(repository.delete, tag) for tag in doomed])
        return
    holders, parts = _holders(repository, tags)
    for digest, holding in holders.items():
        going = [tag for tag in holding if tag in doomed]
        siblings = [tag for tag in (*holding, *parts.get(digest, ())) if tag not in doomed]
        if going and not siblings:
            repository.delete(digest)
        for tag in going if siblings else ():
            _delete_beside(repository, tag, siblings)


def _delete_beside(repository: Removable, tag: Tag, siblings: Sequence[Tag]) -> None:
    try:
        repository.remove(tag)
    except TaggerError as error:
        raise Refused(
            f"{tag} shares its digest with {', '.join(siblings)}, and deleting that would delete them too ({error}):"
            " remove them as well, or move them first"
        ) from None


def _holders(
    repository: Removable, tags: Sequence[Tag]
) -> tuple[Mapping[Digest, list[Tag]], Mapping[Digest, list[Tag]]]:
    """Say which tags point at each digest, and which tags' indexes list it."""
    holders: dict[Digest, list[Tag]] = {}
    parts: dict[Digest, list[Tag]] = {}
    for tag, found in zip(tags, at_once([partial(repository.descriptor, tag) for tag in tags]), strict=True):
        if found is None:
            continue
        holders.setdefault(found.digest, []).append(tag)
        index = repository.manifest(found.digest) if found.is_index else None
        for child in index.children() if index else ():
            parts.setdefault(child, []).append(tag)
    return holders, parts


def _ask(repository: Removable, tags: Sequence[Tag]) -> list[Digest | None]:
    return at_once([partial(repository.digest, tag) for tag in tags])


def _incomplete(problem: TaggerError | KeyboardInterrupt | None, done: Removal, left: Sequence[Tag]) -> TaggerError:
    names = ", ".join(left)
    if isinstance(problem, KeyboardInterrupt):
        return Interrupted(f"interrupted: still there: {names}; run the same command again", problem)
    if isinstance(problem, Refused) and not done.removed:
        found: TaggerError = problem
    elif done.removed:
        found = Unsettled(
            f"{problem or 'the registry said yes'}; still there: {names}: run the same command again", left
        )
    else:
        found = TaggerError(f"{problem or 'the registry said yes'}; nothing was removed: run the same command again")
    found.removal = done
    return found
