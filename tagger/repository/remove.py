"""`tagger rm`: remove versions and tags without losing any other tag.

A version and its floating tags share one digest, and deleting a digest deletes every tag on it. So tags go one by one,
and images are left to the registry's own clean-up. The first tag goes before a floating tag moves, because only this
shows that the registry can delete. Then floating tags fall back, and the other tags go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Self

from tagger.errors import Abandoned, Interrupted, Refused, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Repository, Tag
from tagger.repository.ending import ended
from tagger.repository.floating import Move
from tagger.repository.observe import ask, published
from tagger.repository.removal import Fall, Going, Note, Removable, named, planned, with_strays
from tagger.repository.settle import Goal, settle
from tagger.repository.write import take, take_alone
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.values import dataclass
from tagger.work import Pauses


@dataclass(frozen=True, slots=True)
class Removal:
    """The removed tags, or those to remove, and the floating tags that moved for it."""

    repository: Repository
    dry_run: bool
    removed: tuple[Tag, ...]
    moved: tuple[Move, ...]
    problem: TaggerError | None = None

    def or_raise(self) -> Self:
        """Return this removal, or raise its error with this removal as its `removal`."""
        if self.problem is None:
            return self
        self.problem.removal = self
        raise self.problem


def remove(
    repository: Removable,
    schemes: Sequence[Scheme],
    names: Sequence[str],
    *,
    dry_run: bool = False,
    note: Note = lambda _: None,
) -> Removal:
    """Remove these versions and tags; floating tags of a removed version fall back to the next one, or go with it.

    A name that is listed exactly means only that tag; any other version is removed from each of these variants that has
    it. `note` gets a sentence for each missing name.

    Raises InputError when none of the names exists, Refused when the registry deletes nothing or would delete other
    tags too, and what the registry raises. A failure after the first delete is the `problem` of the result.
    """
    every = published(repository, schemes)
    return _remove(repository, every, named(repository.name, every, names, note), dry_run=dry_run)


def remove_all(
    repository: Removable,
    schemes: Sequence[Scheme],
    *,
    dry_run: bool = False,
    among: Collection[str] | None = None,
) -> Removal:
    """Remove every tag, or those in `among` in their order, each by its exact name. Raises what `remove` raises."""
    every = published(repository, schemes)
    listed = dict.fromkeys(every[0].tags)
    named = listed if among is None else [Tag(tag) for tag in among if tag in listed]
    return _remove(repository, every, [*named], dry_run=dry_run)


def _remove(repository: Removable, every: Sequence[Published], named: Sequence[Tag], *, dry_run: bool) -> Removal:
    plan = planned(repository, every, named)
    if not plan.doomed:
        return Removal(repository.name, dry_run, (), ())
    repository.check_removal()
    if dry_run:
        return Removal(repository.name, dry_run, tuple(plan.doomed), plan.moves)
    problem: TaggerError | KeyboardInterrupt | None = None
    try:
        first, *others = sorted(plan.doomed, key=lambda tag: tag in plan.versions)
        take_alone(repository, first, plan.doomed[first], every[0].tags)
        _settle(repository, plan, tuple(plan.doomed), Fall.moving)
        # While the tag of a version is there, the same command finds what an unfinished removal left.
        for group in ([t for t in others if t not in plan.versions], [t for t in others if t in plan.versions]):
            repository.deadline.at_once([partial(take, repository, tag, plan.doomed[tag]) for tag in group])
        before, plan = plan, with_strays(repository, plan)
        strays = [tag for tag in plan.doomed if tag not in before.doomed]
        repository.deadline.at_once([partial(take, repository, tag, plan.doomed[tag]) for tag in strays])
    except (TaggerError, KeyboardInterrupt) as error:
        problem = error
    repository.deadline.put_back()
    try:
        if isinstance(problem, Abandoned):
            raise problem  # running writes may arrive after a read
        done, left, unknown = _look(repository, plan)
        astray = [*unknown, *(tag for tag in left if tag not in unknown and repository.is_half_removed(tag))]
    except (TaggerError, KeyboardInterrupt) as error:
        names = [*plan.doomed, *(move.tag for move in plan.moves)]
        said = f"tagger could not see what became of {', '.join(names)}"
        if isinstance(error, Unsettled):
            names, said = [*dict.fromkeys([*map(Tag, error.tags), *plan.doomed])], f"{error}; {said}"
        raise ended(problem or error, said, names) from None
    if left or isinstance(problem, KeyboardInterrupt):
        return replace(done, problem=_incomplete(problem, done, left, astray))
    return done


def _settle(
    repository: Removable, plan: Going, hidden: Collection[Tag], floats: Callable[[Fall], Sequence[Tag]]
) -> dict[Tag, Digest | None]:
    """Settle the floating tags of every variant without the hidden tags; return where they are."""
    held: dict[Tag, Digest | None] = {}
    for fall in plan.falls:
        if tags := floats(fall):
            goal = Goal(hidden=frozenset(hidden), wrote=plan.wrote)
            settled = settle(repository, fall.scheme, tags, goal)
            held |= {tag: settled.digests[tag] for tag in tags}
    return held


def _look(repository: Removable, plan: Going) -> tuple[Removal, list[Tag], list[Tag]]:
    """Settle to the current versions; return the removed tags, the remaining ones, and the unreadable ones.

    A version that stayed gets its floating tags back, and so does one that somebody else has released meanwhile. A tag
    with unexpected content does not count as a version.
    """
    held = _asked_for_some_time(repository, list(plan.doomed))
    strange = [tag for tag, now in held.items() if now is not None and now != plan.doomed[tag]]
    settled = _settle(repository, plan, strange, Fall.all_tags)
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
    """Read where tags point, and read again while some are unreadable."""
    since = f"{repository.name.registry} does not say where {', '.join(tags)} point"
    for _ in repository.deadline.attempts(Pauses.STALE, since=since):
        held = ask(repository, tags)
        if not any(isinstance(answer, Unreadable) for answer in held.values()):
            break
    return held


def _incomplete(
    problem: TaggerError | KeyboardInterrupt | None, done: Removal, left: Sequence[Tag], astray: Sequence[Tag]
) -> TaggerError:
    moved = f"moved: {', '.join(move.tag for move in done.moved)}; " if done.moved else ""
    if isinstance(problem, KeyboardInterrupt) and not left:
        # The same command again could remove the other spelling of a version.
        return Interrupted(f"interrupted; {moved}everything that you named is gone", problem)
    there = f"still there, or unknown: {', '.join(left)}"
    went = f"removed: {', '.join(done.removed)}; " if done.removed else ""
    what = problem or TaggerError(f"{done.repository.registry} accepted every deletion")
    if isinstance(what, Refused) and not done.removed and not astray:
        return what
    partly = left if done.removed and not isinstance(what, KeyboardInterrupt) else ()
    nothing = "" if done.removed or astray or isinstance(what, KeyboardInterrupt) else "nothing was removed, and "
    return ended(what, f"{went}{moved}{nothing}{there}", [*dict.fromkeys([*astray, *partly])])
