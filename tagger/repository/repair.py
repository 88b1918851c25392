"""`tagger repair`: move drifted floating tags back to their versions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from tagger.errors import Refused, TaggerError, Unsettled
from tagger.names import Repository, Tag
from tagger.repository.ending import ended
from tagger.repository.floating import Move, half_removed, moved
from tagger.repository.holders import holders
from tagger.repository.observe import Listed, ask, observe, published
from tagger.repository.settle import Goal, settle
from tagger.rules.plan import Observed
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Repair:
    """The tags that a repair moved or would move, and the tags whose unfinished removal it completed."""

    repository: Repository
    dry_run: bool
    repaired: tuple[Move, ...]
    warnings: tuple[str, ...] = ()
    removed: tuple[Tag, ...] = ()


def repair(
    repository: Listed, schemes: Sequence[Scheme], *, dry_run: bool, among: Collection[str] | None = None
) -> Repair:
    """Put every floating tag of these variants where `resolve` says, digest for digest.

    It reads every variant before it writes one, and changes only tags of `among`, if it is given.

    Raises Refused if a tag holds a near-version, Unsettled when some tags are out of place in the end,
    InputError when there is no such repository, and what the registry raises.
    """
    every = published(repository, schemes)
    found = repository.deadline.at_once([partial(_drifted, repository, each, among) for each in every])
    if refused := [reason for drifted in found for reason in drifted.refusals()]:
        raise Refused("; ".join(refused))
    warnings = tuple(warning for drifted in found for warning in drifted.warnings(repository.name))
    moves = tuple(move for drifted in found for move in drifted.moves)
    half = tuple(dict.fromkeys(tag for drifted in found for tag in drifted.half_removed))
    if dry_run:
        return Repair(repository.name, dry_run, moves, warnings, half)
    placeholders = [tag for tag in half if tag not in {move.tag for move in moves}]
    try:
        done = repository.deadline.at_once([partial(_fix, repository, drifted) for drifted in found if drifted.moves])
        if failed := [each for each in done if isinstance(each, Unsettled)]:
            raise Unsettled("; ".join(map(str, failed)), [tag for error in failed for tag in error.tags])
        staying = _remove_placeholders(repository, placeholders)
    except (TaggerError, KeyboardInterrupt) as problem:
        raise _unfinished(repository, moves, placeholders, problem) from None
    repaired = tuple(move for each in done if not isinstance(each, Unsettled) for move in each)
    removed = tuple(tag for tag in placeholders if tag not in staying)
    return Repair(repository.name, dry_run, repaired, (*warnings, *staying.values()), removed)


def _remove_placeholders(repository: Listed, tags: Sequence[Tag]) -> dict[Tag, str]:
    """Finish the removal of tags, and return a sentence for each that the registry does not delete."""
    staying = {}
    for tag in tags:
        try:
            repository.remove(tag)
        except Refused as error:
            staying[tag] = f"{repository.name}:{tag} holds a placeholder and stays, because {error}"
    return staying


@dataclass(frozen=True, slots=True)
class _Drifted:
    """The drift in one variant, with the versions and near-versions whose images the tags hold."""

    observed: Observed
    moves: tuple[Move, ...]
    half_removed: Sequence[Tag]

    def refusals(self) -> list[str]:
        """Return a sentence for each tag that seems to follow other rules."""
        return [
            f"{tag} holds the image of {near}, which is almost a version, so this repository may follow other rules:"
            f" add {near} to ignore, or choose other floats"
            for tag, near in self.observed.nearly.items()
        ]

    def warnings(self, name: Repository) -> list[str]:
        """Return a sentence for each tag that holds an image of no known version."""
        known = {*self.observed.holders, *self.observed.nearly}
        unknown = {move.tag: move.before for move in self.moves if move.before and move.tag not in known}
        return [f"{name}:{tag} held an image of no known version: {digest}" for tag, digest in unknown.items()]


def _drifted(repository: Listed, published: Published, among: Collection[str] | None) -> _Drifted:
    observed = observe(repository, published, published.owners)
    half = half_removed(repository, published, observed)
    if observed.lost_marks:  # their versions count again, and so do the floating tags of those
        published = published.without(observed.lost_marks)
        observed = observe(repository, published, published.owners)
    every = moved(observed, list(published.owners), repository)
    moves = tuple(move for move in every if among is None or move.tag in among)
    half = [tag for tag in half if among is None or tag in among]
    versions, nearly = holders(repository, observed, [move.tag for move in moves])
    return _Drifted(replace(observed, holders=versions, nearly=nearly), moves, half)


def _fix(repository: Listed, drifted: _Drifted) -> list[Move] | Unsettled:
    """Settle the tags to move; return the error instead of raising it, because other variants continue."""
    observed = drifted.observed
    familiar = frozenset(digest for tag in observed.holders if (digest := observed.digests[tag]))
    tags = [move.tag for move in drifted.moves]
    try:
        settled = settle(repository, observed.published.scheme, tags, Goal(familiar=familiar), observed)
    except Unsettled as error:
        return error
    moves = [replace(move, after=settled.digests[move.tag]) for move in drifted.moves]
    return [move for move in moves if move.before != move.after]


def _unfinished(
    repository: Listed, moves: Sequence[Move], placeholders: Sequence[Tag], problem: TaggerError | KeyboardInterrupt
) -> TaggerError:
    """Look at what a failed repair has done, and return the error that names that and the rest."""
    repository.deadline.put_back()
    try:
        held = ask(repository, [move.tag for move in moves])
        left = [tag for tag in placeholders if repository.is_half_removed(tag)]
    except (TaggerError, KeyboardInterrupt):
        names = [*(move.tag for move in moves), *placeholders]
        return ended(problem, f"tagger could not see what became of {', '.join(names)}", names)
    done = [move.tag for move in moves if held[move.tag] == move.after]
    said = {
        "moved": done,
        "removed": [tag for tag in placeholders if tag not in left],
        "still to move": [move.tag for move in moves if move.tag not in done],
        "still to remove": left,
    }
    parts = [f"{what}: {', '.join(tags)}" for what, tags in said.items() if tags]
    if isinstance(problem, KeyboardInterrupt):
        return ended(problem, "; ".join(parts), ())
    return ended(problem, "; ".join(parts), [*(problem.tags if isinstance(problem, Unsettled) else ()), *left])
