"""`tagger yank`: withdraw a version, and keep its image.

The image is kept under a mark, a pre-release that no floating tag follows. While the mark is there, the version does
not count: floating tags fall back, and the version's own tag goes if the registry can delete.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import field, replace
from functools import partial

from tagger.errors import BadAnswer, CalledOff, InputError, NotThere, Refused, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Repository, Tag
from tagger.repository.ending import ended
from tagger.repository.floating import Move, is_half_removed, moved
from tagger.repository.observe import ask, asked, observe, published
from tagger.repository.removal import Removable, strays
from tagger.repository.settle import Goal, settle
from tagger.repository.write import fetch, put_seen, take
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, mark, yanked_by
from tagger.values import dataclass
from tagger.work import Pauses


@dataclass(frozen=True, slots=True)
class Yank:
    """The result of a yank, or of its dry run.

    `marks` are the tags that keep the image, `digests` what they hold. `removed` are the removed tags, `kept` those
    that still hold the image, because the registry does not delete them or the settings do not name them. `warnings`
    names the floating tags among the latter.
    """

    repository: Repository
    dry_run: bool
    version: Version
    marks: tuple[Tag, ...]
    digests: tuple[Digest, ...]
    moved: tuple[Move, ...]
    removed: tuple[Tag, ...]
    kept: tuple[Tag, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """The work on one version in one variant: its tags, in either spelling, its mark, and the image.

    `gone` are all withdrawn versions: this one, or every revision of one. `marked` is set if the mark exists already.
    `others` are tags of the version with another image. `wrote` is what floating tags hold, or what was written there.
    """

    scheme: Scheme
    version: Version
    gone: frozenset[Version]
    tags: tuple[Tag, ...]
    mark: Tag
    digest: Digest
    moves: tuple[Move, ...]
    unclaimed: tuple[Tag, ...]
    marked: bool
    others: tuple[Tag, ...] = ()
    wrote: dict[Tag, set[Digest]] = field(default_factory=dict)

    @property
    def doomed(self) -> tuple[Tag, ...]:
        """The tags to remove: the version's own, and the floating tags that belong to no other version."""
        return (*self.tags, *self.unclaimed)


def yank(repository: Removable, schemes: Sequence[Scheme], text: str, *, dry_run: bool = False) -> Yank:
    """Withdraw a version from every variant that has it; running it again finishes an interrupted run.

    Raises InputError when it does not exist, Unsettled when some floating tags are out of place in the end, and what
    the registry raises.
    """
    every = published(repository, schemes)
    meant = asked(every, text, lambda each: (*each.versions, *each.yanked))  # the marked ones may be unfinished
    version = meant[0][0].scheme.numbering.asked(text, build_metadata="drop")
    if yanked_by(version):
        raise InputError(f"{version} is the mark of a yanked version already", "give the version itself")
    looks = [partial(_look, repository, each, one, versions) for each, versions in meant for one in versions]
    parts = [part for look in looks if (part := look())]
    if not parts:
        raise NotThere(f"{repository.name} has no version {version}", f"tagger ls {repository.name} shows what it has")
    deletes = _deletes(repository) if any(part.doomed for part in parts) else False
    moves = tuple(dict.fromkeys(move for part in parts for move in part.moves))
    digests = tuple(dict.fromkeys(part.digest for part in parts))
    if dry_run:
        gone = [*dict.fromkeys(tag for part in parts for tag in part.doomed)] if deletes else []
    else:
        moves, gone = _withdrawn(repository, parts, version, deletes=deletes)
    find_kept = partial(_kept, repository, every[0].tags, digests, {*gone, *(move.tag for move in moves)})
    kept, unseen = (find_kept(), []) if dry_run else _seen_when_done(version, find_kept)
    marks = tuple(part.mark for part in parts)
    unclaimed = {tag for part in parts for tag in part.unclaimed}
    further = tuple(tag for tag in kept if tag not in marks)
    warnings = [
        f"{repository.name}:{tag} still holds the yanked {version}, and no other version can take it: remove it by the"
        " registry's own tool, or release a version that takes it"
        for tag in further
        if tag in unclaimed
    ]
    warnings += [
        f"{repository.name}:{tag} holds a different image from {part.mark}, so it stays: remove it with tagger rm"
        f" {repository.name} {tag}"
        for part in parts
        for tag in part.others
    ]
    return Yank(repository.name, dry_run, version, marks, digests, moves, tuple(gone), further, (*unseen, *warnings))


def _seen_when_done(version: Version, find_kept: Callable[[], list[Tag]]) -> tuple[list[Tag], list[str]]:
    """Return the tags that still lead to a withdrawn image, and a warning if tagger could not look for them.

    Raises Interrupted at a signal.
    """
    try:
        return find_kept(), []
    except (TaggerError, KeyboardInterrupt) as problem:
        if isinstance(problem, KeyboardInterrupt | CalledOff):
            said = f"{version} is yanked, and tagger did not see which tags still hold its image"
            raise ended(problem, said, ()) from None
        return [], [f"tagger could not see which other tags hold the image of {version}, because {problem}"]


def _look(repository: Removable, published: Published, version: Version, gone: Collection[Version]) -> _Part | None:
    """Return a variant's tags of a version, and where its floating tags go without it; None if it has no such tag.

    An existing mark holds the image; then the version's own tag may hold anything.
    """
    scheme, marked = published.scheme, published.scheme.version_tag(mark(version))
    own = scheme.version_tag(version)
    spelt = sorted((tag for tag, found in published.spelt.items() if found == version), key=own.__ne__)
    floats = [tag for tag in scheme.floating_tags(version) if tag in set(published.tags)]
    held = ask(repository, [marked, *spelt])
    digest = next((found for found in held.values() if found), None)
    if isinstance(digest, TaggerError):
        raise digest
    if digest is None:
        return None
    without = published.without([tag for tag, found in published.spelt.items() if found in gone])
    observed = observe(repository, without, floats)
    forced = [t for t in floats if observed.digests[t] == digest or is_half_removed(repository, observed, t)]
    owners = observed.owners()
    unclaimed = tuple(tag for tag in forced if tag not in owners)
    moves = tuple(moved(observed, forced, repository))
    going = tuple(
        tag for tag in spelt if held[tag] == digest or (held[tag] is None and repository.is_half_removed(tag))
    )
    others = tuple(tag for tag in spelt if isinstance(held[tag], str) and held[tag] != digest)
    wrote = {tag: {digest} for tag in forced}
    return _Part(
        scheme, version, frozenset(gone), going, marked, digest, moves, unclaimed, held[marked] == digest, others, wrote
    )


def _deletes(repository: Removable) -> bool:
    try:
        repository.check_removal()
    except Refused:
        return False
    return True


def _put_marks(repository: Removable, parts: Sequence[_Part]) -> None:
    """Write the marks, and read them back before anything is removed."""
    for part in parts:
        if not part.marked:
            _put_mark(repository, part)


def _see_marks(repository: Removable, parts: Sequence[_Part]) -> None:
    """Write a mark again that disappeared during the removal of the version's tag, by a concurrent undo."""
    for part in parts:
        if repository.digest(part.mark) is None:
            _put_mark(repository, part)


def _put_mark(repository: Removable, part: _Part) -> None:
    put_seen(repository, part.mark, fetch(repository, part.digest, "remove the version with tagger rm"))


def _withdrawn(
    repository: Removable, parts: Sequence[_Part], version: Version, *, deletes: bool
) -> tuple[tuple[Move, ...], list[Tag]]:
    """Let floating tags fall back, and remove the version's tags; return the moves and the removed tags.

    If that fails halfway, raises Unsettled or Interrupted. Unsettled names the tags that may still hold the version.
    """
    try:
        _put_marks(repository, parts)
        moves = tuple(move for part in parts for move in _fall_back(repository, part))
        gone = [tag for part in parts for tag in part.doomed if deletes and _removed(repository, tag, part.digest)]
        if gone:
            _see_marks(repository, parts)
        for part in parts:
            _settle(repository, part, part.unclaimed)
        late = [_strayed(repository, part) for part in parts]
        parts = [*parts, *late]
        moves += tuple(move for part in late for move in _fall_back(repository, part))
        gone += [tag for part in late for tag in part.doomed if deletes and _removed(repository, tag, part.digest)]
    except (TaggerError, KeyboardInterrupt) as problem:
        repository.deadline.put_back()
        if error := _unfinished(repository, parts, version, problem):
            raise error from None
        return tuple(move for part in parts for move in part.moves), [tag for part in parts for tag in part.doomed]
    return tuple({move.tag: move for move in moves}.values()), [*dict.fromkeys(gone)]


def _strayed(repository: Removable, part: _Part) -> _Part:
    """Return the remaining work for floating tags that somebody has moved to the yanked image meanwhile."""
    floats = part.scheme.floating_tags(part.version)
    found = strays(repository, part.scheme, floats, {part.digest}, absent=part.gone)
    wrote = {tag: {part.digest} for tag in (*(move.tag for move in found.moves), *found.dropped)}
    return replace(part, tags=(), moves=found.moves, unclaimed=tuple(found.dropped), wrote=wrote)


def _unfinished(
    repository: Removable, parts: Sequence[_Part], version: Version, problem: TaggerError | KeyboardInterrupt
) -> TaggerError | None:
    """Look at what an interrupted yank has done, and return the error that says so; None if it is complete."""
    images = {part.digest for part in parts}
    tags = [*dict.fromkeys(tag for part in parts for tag in (*(move.tag for move in part.moves), *part.doomed))]
    marks = [part.mark for part in parts]
    try:
        if not _shown(repository, marks, refused=isinstance(problem, Refused)):
            said = f"{version} is not marked as yanked, and no tag moved"
            return problem if isinstance(problem, Refused) else ended(problem, said, ())
        held = ask(repository, tags)
        astray = [
            t for t in tags if isinstance(held[t], Unreadable) or held[t] in images or repository.is_half_removed(t)
        ]
    except (TaggerError, KeyboardInterrupt):
        astray = [*tags, *marks]
    if not astray and isinstance(problem, TaggerError):
        return None
    may = f"{', '.join(astray)} may still point to it" if astray else "no tag points to it any more"
    return ended(problem, f"{version} is marked as yanked, and {may}", astray)


def _shown(repository: Removable, marks: Sequence[Tag], *, refused: bool) -> bool:
    """Return whether a mark is there; an interrupted write may arrive late, unless the registry refused it."""
    for _ in repository.deadline.attempts(Pauses.STALE):
        if any(ask(repository, marks).values()):
            return True
        if refused:
            break
    return False


def _fall_back(repository: Removable, part: _Part) -> list[Move]:
    held = _settle(repository, part, [move.tag for move in part.moves])
    return [Move(m.tag, m.before, held[m.tag], m.version) for m in part.moves]


def _settle(repository: Removable, part: _Part, floats: Sequence[Tag]) -> dict[Tag, Digest | None]:
    """Settle floating tags to the other versions; a list may be too old to name the mark."""
    if not floats:
        return {}
    goal = Goal(absent=part.gone, wrote=part.wrote)
    settled = settle(repository, part.scheme, floats, goal)
    return {tag: settled.digests[tag] for tag in floats}


def _removed(repository: Removable, tag: Tag, image: Digest) -> bool:
    """Remove a tag if the registry can, and return whether it is gone; the version is marked and does not count."""
    try:
        take(repository, tag, image)
    except Unsettled:
        raise
    except (Refused, BadAnswer):
        return False
    since = f"{repository.name.registry} still shows {tag}, which was deleted"
    return any(repository.digest(tag) != image for _ in repository.deadline.attempts(Pauses.STALE, since=since))


def _kept(repository: Removable, tags: Sequence[Tag], digests: Collection[Digest], gone: set[Tag]) -> list[Tag]:
    """Return the tags that still hold an image."""
    asked = ask(repository, [tag for tag in tags if tag not in gone])
    return sorted(tag for tag, held in asked.items() if held in digests)
