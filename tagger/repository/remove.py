"""Remove versions and tags without losing a tag that nobody named.

All tags of a cascade share one digest, and deleting a digest deletes every tag on it. So tags go one by one, and images
are left to the registry's own clean-up. The first tag goes before a floating tag moves, since only that shows that the
registry deletes; then floating tags fall back, and the others go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, Self

from tagger.errors import InputError, Refused, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Repository, Tag
from tagger.oci.referrers import hanging_tags
from tagger.repository.check import Listed, Move, listed_tags, moved
from tagger.repository.ending import ended
from tagger.repository.observe import AsListed, View, ask, observe
from tagger.repository.settle import Goal, settle
from tagger.rules.scheme import Scheme, floating, newest_first, published
from tagger.text import printable
from tagger.work import Pauses

Note = Callable[[str], None]


class Removable(Listed, Protocol):
    """A repository whose tags can be removed."""

    def check_removal(self) -> None:
        """Find out whether a tag can be taken away; raise Refused when none can."""

    def is_half_removed(self, tag: Tag) -> bool:
        """Say whether a tag holds a placeholder, since its removal broke off."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, or would be, and the floating tags that moved for it."""

    repository: Repository
    dry_run: bool
    removed: tuple[Tag, ...]
    moved: tuple[Move, ...]
    problem: TaggerError | None = None

    def or_raise(self) -> Self:
        """Return this removal, or raise its error, which has it as its `removal`."""
        if self.problem is None:
            return self
        self.problem.removal = self
        raise self.problem


@dataclass(frozen=True, slots=True)
class _Fall:
    """What happens to the floating tags of one line: those that fall back, and those that nothing is left for."""

    scheme: Scheme
    moves: tuple[Move, ...]
    dropped: tuple[Tag, ...]

    def moving(self) -> list[Tag]:
        """List the tags that fall back."""
        return [move.tag for move in self.moves]

    def all_tags(self) -> list[Tag]:
        """List the tags that fall back or go."""
        return [*self.moving(), *self.dropped]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to go, with what it holds, and what happens to floating tags.

    `versions` are the version tags of what is to go, which come last; `wrote` is what floating tags held or hold.
    """

    doomed: Mapping[Tag, Digest | None]
    versions: Collection[Tag]
    falls: Sequence[_Fall]
    wrote: dict[Tag, set[Digest]] = field(default_factory=dict)

    @property
    def moves(self) -> tuple[Move, ...]:
        """Give the moves of every line."""
        return tuple(move for fall in self.falls for move in fall.moves)


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
    the way, and what the registry raises. What fails after the first delete is the `problem` of what is returned.
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
    if not plan.doomed:
        return Removal(repository.name, dry_run, (), ())
    repository.check_removal()
    if dry_run:
        return Removal(repository.name, dry_run, tuple(plan.doomed), plan.moves)
    problem: TaggerError | KeyboardInterrupt | None = None
    try:
        first, *others = sorted(plan.doomed, key=lambda tag: tag in plan.versions)
        _take_first(repository, first, plan.doomed[first], tags)
        _settle(repository, plan, tuple(plan.doomed), _Fall.moving)
        # While the tag of a version is there, the same command finds what is left of a removal that broke off.
        for group in ([t for t in others if t not in plan.versions], [t for t in others if t in plan.versions]):
            repository.deadline.at_once([partial(take, repository, tag, plan.doomed[tag]) for tag in group])
    except (TaggerError, KeyboardInterrupt) as error:
        problem = error
    repository.deadline.put_back()
    try:
        done, left, unknown = _look(repository, plan)
        astray = [*unknown, *(tag for tag in left if tag not in unknown and repository.is_half_removed(tag))]
    except (TaggerError, KeyboardInterrupt) as error:
        names = [*plan.doomed, *(move.tag for move in plan.moves)]
        said = f"what became of {', '.join(names)} was not seen"
        if isinstance(error, Unsettled):
            names, said = [*dict.fromkeys([*map(Tag, error.tags), *plan.doomed])], f"{error}; {said}"
        raise ended(problem or error, said, names) from None
    if left or isinstance(problem, KeyboardInterrupt):
        return replace(done, problem=_incomplete(problem, done, left, astray))
    return done


def take(repository: Removable, tag: Tag, expected: Digest | None) -> None:
    """Take a tag away that holds what is expected (None: anything); one that somebody has moved meanwhile is left."""
    (held,) = ask(repository, [tag]).values()
    if expected is None or held is None or isinstance(held, Unreadable) or held == expected:
        repository.remove(tag)


def _take_first(repository: Removable, tag: Tag, expected: Digest | None, tags: Sequence[Tag]) -> None:
    """Take a tag away, and see that it went and that no other tag went with it.

    Some old registries delete the manifest of a tag, and with it every tag that points there. Raises Refused for such a
    registry, with the tags put back.
    """
    image = repository.manifest(expected) if expected else None
    take(repository, tag, expected)
    since = f"{repository.name.registry} still shows {tag}, which was deleted"
    for _ in repository.deadline.attempts(Pauses.STALE, since=since):
        (held,) = ask(repository, [tag]).values()
        if held is None or held != expected:
            break
    else:
        raise TaggerError(f"{repository.name.registry} said yes to deleting {tag}, which is still there")
    lost = set(tags) - {*repository.tags(), tag} if image else set()
    if image and lost and repository.digest(image.digest) is None:
        for other in (*lost, tag):
            repository.put(other, image)
        raise Refused(
            f"{repository.name.registry} deletes an image with every tag on it ({', '.join(sorted(lost))}"
            f" went with {tag}), so the tags are back and nothing is removed",
            "move the others to another image first",
        )


def _settle(
    repository: Removable, plan: _Plan, hidden: Collection[Tag], floats: Callable[[_Fall], Sequence[Tag]]
) -> dict[Tag, Digest | None]:
    """Settle floating tags of every line to the versions but those hidden; say where they are."""
    held: dict[Tag, Digest | None] = {}
    for fall in plan.falls:
        if tags := floats(fall):
            settled = settle(_Without(repository, hidden), fall.scheme, tags, Goal(wrote=plan.wrote))
            held |= {tag: settled.digests[tag] for tag in tags}
    return held


def _look(repository: Removable, plan: _Plan) -> tuple[Removal, list[Tag], list[Tag]]:
    """Settle to what is there now; say what went, which tags that should have gone are left, and which nobody knows.

    A version that stayed has its floating tags back, and so has one that somebody else has released meanwhile. A tag
    that holds something strange is no version of anybody's.
    """
    held = _asked_for_some_time(repository, list(plan.doomed))
    strange = [tag for tag, now in held.items() if now is not None and now != plan.doomed[tag]]
    settled = _settle(repository, plan, strange, _Fall.all_tags)
    listed = set(repository.tags())
    dropped = [tag for fall in plan.falls for tag in fall.dropped]
    taken = {tag for tag in dropped if settled[tag] not in (None, plan.doomed[tag])}
    back = {tag for tag in dropped if settled[tag] and tag not in taken}
    left = [tag for tag, now in held.items() if now is not None or (plan.doomed[tag] is None and tag in listed)]
    left = [tag for tag in dict.fromkeys([*left, *sorted(back)]) if tag not in taken]
    done = Removal(
        repository.name,
        dry_run=False,
        removed=tuple(tag for tag in plan.doomed if tag not in left and tag not in taken),
        moved=tuple(replace(m, after=settled[m.tag]) for m in plan.moves if settled[m.tag] != m.before),
    )
    return done, left, [tag for tag in left if isinstance(held[tag], Unreadable)]


def _asked_for_some_time(repository: Removable, tags: Sequence[Tag]) -> dict[Tag, Digest | Unreadable | None]:
    """Ask where tags point, and again while the registry does not say it of one."""
    since = f"{repository.name.registry} does not say where {', '.join(tags)} point"
    for _ in repository.deadline.attempts(Pauses.STALE, since=since):
        held = ask(repository, tags)
        if not any(isinstance(answer, Unreadable) for answer in held.values()):
            break
    return held


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
        raise InputError(f"{name} has none of the tags named", f"tagger ls {name} shows those that it has")
    return tuple(found)


def _planned(repository: Removable, schemes: Sequence[Scheme], tags: Sequence[Tag], named: Sequence[Tag]) -> _Plan:
    """Say what goes and what moves; of a version with two spellings the other one's image takes over.

    A floating tag that does not hold an image that goes has drifted, and is left to a repair. One that belongs to a
    version that goes counts as holding it where either cannot be read.
    """
    doomed = {tag: None if isinstance(held, Unreadable) else held for tag, held in ask(repository, named).items()}
    images = {held for held in doomed.values() if held}
    falls = []
    wrote: dict[Tag, set[Digest]] = {}
    for scheme in schemes:
        going = set(named)
        affected = newest_first({version for tag in named if (version := scheme.parse(tag))})
        cascade = dict.fromkeys(tag for version in affected for tag in scheme.floating_tags(version))
        floats = [tag for tag in cascade if tag in set(tags) - going]
        observed = observe(AsListed(repository, [tag for tag in tags if tag not in going]), scheme, floats)
        claimed = {tag for version in observed.versions for tag in scheme.floating_tags(version)}
        owners = floating(published(tags, scheme), scheme)
        unread = {version for tag in named if (version := scheme.parse(tag)) and doomed[tag] is None}
        forced = [
            tag
            for tag in floats
            if observed.digests[tag] in images
            or owners.get(tag) in (affected if tag in observed.unreadable else unread)
            or (observed.digests[tag] is None and tag not in observed.unreadable and repository.is_half_removed(tag))
        ]
        dropped = tuple(tag for tag in forced if tag not in claimed)
        doomed |= {tag: observed.digests[tag] for tag in dropped}
        wrote |= {tag: images | {held for held in [observed.digests[tag]] if held} for tag in forced}
        falls.append(_Fall(scheme, tuple(moved(observed, scheme, forced, repository.name)), dropped))
    moving = {tag for fall in falls for tag in fall.moving()}
    doomed |= _attached(repository, [tag for tag in tags if tag not in moving], doomed)
    own = {tag for tag in doomed if any(scheme.parse(tag) for scheme in schemes)}
    return _Plan(doomed, own, falls, wrote)


def _attached(
    repository: Removable, tags: Sequence[Tag], doomed: Mapping[Tag, Digest | None]
) -> Mapping[Tag, Digest | None]:
    """Say which signatures, attestations and the like hang on images that lose their last tag, and what they hold."""
    found: dict[Tag, Digest | None] = {}
    going: Iterable[Digest] = {held for held in doomed.values() if held}
    while hanging := {tag: image for image in going for tag in hanging_tags(tags, image) if tag not in found}:
        kept = ask(repository, [tag for tag in tags if tag not in {*doomed, *found, *hanging}]).values()
        if any(isinstance(held, Unreadable) for held in kept):
            break  # and that may be the image
        going_tags = [tag for tag, image in hanging.items() if image not in kept]
        held = ask(repository, going_tags)
        found |= {tag: now if isinstance(now, str) else None for tag, now in held.items()}
        going = {now for now in held.values() if isinstance(now, str)}
        if not going_tags:
            break
    return found


def _incomplete(
    problem: TaggerError | KeyboardInterrupt | None, done: Removal, left: Sequence[Tag], astray: Sequence[Tag]
) -> TaggerError:
    there = f"still there, or not known: {', '.join(left)}" if left else "everything named is gone"
    went = f"removed: {', '.join(done.removed)}; " if done.removed and left else ""
    what = problem or TaggerError(f"{done.repository.registry} took every delete without an error")
    if isinstance(what, Refused) and not done.removed and not astray:
        return what
    partly = left if done.removed and not isinstance(what, KeyboardInterrupt) else ()
    nothing = "" if done.removed or astray or isinstance(what, KeyboardInterrupt) else "nothing was removed, and "
    moved = f"moved: {', '.join(move.tag for move in done.moved)}; " if done.moved else ""
    return ended(what, f"{went}{moved}{nothing}{there}", [*dict.fromkeys([*astray, *partly])])
