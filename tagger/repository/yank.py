"""Yank a version: take it out of the running without destroying it.

Its image is kept under a mark, a pre-release of its own to which nothing floats; while that is there, the version does
not count. So the floating tags fall back, and the plain tag goes where the registry can delete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tagger.errors import AGAIN, InputError, Refused, RegistryError, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Repository, Tag
from tagger.repository.check import Move, listed_tags, moved
from tagger.repository.ending import ended
from tagger.repository.observe import AsListed, ask, observe
from tagger.repository.remove import Removable, take
from tagger.repository.settle import Goal, settle
from tagger.rules.scheme import Scheme, Version, mark, parse_version, published, yanked_by
from tagger.work import Pauses


@dataclass(frozen=True, slots=True)
class Yank:
    """What a yank did, or would do.

    `marks` are the tags under which the image is kept now, `digests` what they hold; `removed` are the tags that went,
    `kept` those that still lead to it, since the registry does not delete or nobody said that they float. `warnings`
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
class _Line:
    """What happens in one line: the version's tags that are there, in either spelling, its mark, and the image.

    `marked` says that the mark is there already; `wrote` is what floating tags hold or were put to so far.
    """

    scheme: Scheme
    tags: tuple[Tag, ...]
    mark: Tag
    digest: Digest
    moves: tuple[Move, ...]
    unclaimed: tuple[Tag, ...]
    marked: bool
    wrote: dict[Tag, set[Digest]] = field(default_factory=dict)

    @property
    def doomed(self) -> tuple[Tag, ...]:
        """List the tags that are to go: the version's own, and the floating tags that no other version claims."""
        return (*self.tags, *self.unclaimed)


def yank(repository: Removable, schemes: Sequence[Scheme], text: str, *, dry_run: bool = False) -> Yank:
    """Take a version out of the running in every line that has it; once more finishes what broke off.

    Raises InputError when it is not there, Unsettled when some floating tags are not where they belong in the end, and
    what the registry raises.
    """
    version = parse_version(text, build_metadata="drop")
    if yanked_by(version):
        raise InputError(f"{version} is the mark of a yanked version already", "give the version itself")
    tags = listed_tags(repository)
    found = [_look(repository, tags, scheme, version) for scheme in schemes]
    lines = [line for line in found if line is not None]
    if not lines:
        raise InputError(
            f"{repository.name} has no version {version}", f"tagger ls {repository.name} shows what it has"
        )
    deletes = _deletes(repository) if any(line.doomed for line in lines) else False
    moves = tuple(move for line in lines for move in line.moves)
    if dry_run:
        gone = [tag for line in lines for tag in line.doomed] if deletes else []
    else:
        moves, gone = _withdrawn(repository, lines, version, deletes=deletes)
    kept = _kept(repository, tags, {line.digest for line in lines}, {*gone, *(move.tag for move in moves)})
    marks = tuple(line.mark for line in lines)
    floats = {tag for line in lines for tag in line.scheme.floating_tags(version)}
    further = tuple(tag for tag in kept if tag not in marks)
    warnings = tuple(
        f"{repository.name}:{tag} still holds the yanked {version}, and no other version can take it: remove it by the"
        " registry's own tool, or release a version that takes it"
        for tag in further
        if tag in floats
    )
    digests = tuple(dict.fromkeys(line.digest for line in lines))
    return Yank(repository.name, dry_run, version, marks, digests, moves, tuple(gone), further, warnings)


def _look(repository: Removable, tags: Sequence[Tag], scheme: Scheme, version: Version) -> _Line | None:
    """See what a line has of a version, and where its floating tags go without it; None where it has nothing of it.

    A mark that is there already holds the image; what the version's own tag holds then may be anything.
    """
    marked = scheme.version_tag(mark(version))
    spelt = sorted((tag for tag in tags if scheme.parse(tag) == version), key=scheme.version_tag(version).__ne__)
    without = [tag for tag in tags if scheme.parse(tag) != version]
    floats = [tag for tag in scheme.floating_tags(version) if tag in set(tags)]
    held = ask(repository, [marked, *spelt])
    digest = next((found for found in held.values() if found), None)
    if isinstance(digest, TaggerError):
        raise digest
    if digest is None:
        return None
    observed = observe(AsListed(repository, without), scheme, floats)
    claimed = {tag for v in published(without, scheme) for tag in scheme.floating_tags(v)}
    forced = [
        tag
        for tag in floats
        if observed.digests[tag] == digest
        or (observed.digests[tag] is None and tag not in observed.unreadable and repository.is_half_removed(tag))
    ]
    unclaimed = tuple(tag for tag in forced if tag not in claimed)
    moves = tuple(moved(observed, scheme, forced, repository.name))
    going = tuple(
        tag for tag in spelt if held[tag] == digest or (held[tag] is None and repository.is_half_removed(tag))
    )
    wrote = {tag: {digest} for tag in forced}
    return _Line(scheme, going, marked, digest, moves, unclaimed, held[marked] == digest, wrote)


def _deletes(repository: Removable) -> bool:
    try:
        repository.check_removal()
    except Refused:
        return False
    return True


def _put_marks(repository: Removable, lines: Sequence[_Line]) -> None:
    """Keep the image under its mark, and see that, before anything goes."""
    for line in lines:
        if line.marked:
            continue
        manifest = repository.manifest(line.digest)
        if manifest is None:
            raise RegistryError(
                f"{repository.name} no longer has {line.digest}", "take the version away with tagger rm"
            )
        repository.put(line.mark, manifest)
        for _ in repository.deadline.attempts(Pauses.STALE):
            if repository.digest(line.mark) == line.digest:
                break
        else:
            raise RegistryError(f"{repository.name} does not show {line.mark}, which was just written", AGAIN)


def _withdrawn(
    repository: Removable, lines: Sequence[_Line], version: Version, *, deletes: bool
) -> tuple[tuple[Move, ...], list[Tag]]:
    """Let floating tags fall back, and take away the version's tags; give what moved and what went.

    Raises Unsettled, naming the tags that may still lead to the version, when that breaks off; or Interrupted.
    """
    try:
        _put_marks(repository, lines)
        moves = tuple(move for line in lines for move in _fall_back(repository, line, version))
        gone = [tag for line in lines for tag in line.doomed if deletes and _removed(repository, tag, line.digest)]
        for line in lines:
            _settle(repository, line, version, line.unclaimed)
    except (TaggerError, KeyboardInterrupt) as problem:
        repository.deadline.put_back()
        if error := _broken_off(repository, lines, version, problem):
            raise error from None
        return tuple(move for line in lines for move in line.moves), [tag for line in lines for tag in line.doomed]
    return moves, gone


def _broken_off(
    repository: Removable, lines: Sequence[_Line], version: Version, problem: TaggerError | KeyboardInterrupt
) -> TaggerError | None:
    """Look what came of a yank that broke off, and return the error that says so; None where all of it is done."""
    images = {line.digest for line in lines}
    tags = [*dict.fromkeys(tag for line in lines for tag in (*(move.tag for move in line.moves), *line.doomed))]
    marks = [line.mark for line in lines]
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
    may = f"{', '.join(astray)} may lead to it still" if astray else "nothing leads to it any more"
    return ended(problem, f"{version} is marked as yanked, and {may}", astray)


def _shown(repository: Removable, marks: Sequence[Tag], *, refused: bool) -> bool:
    """Say whether a mark is there; one whose write broke off may come late, unless the registry refused it."""
    for _ in repository.deadline.attempts(Pauses.STALE):
        if any(ask(repository, marks).values()):
            return True
        if refused:
            break
    return False


def _fall_back(repository: Removable, line: _Line, version: Version) -> list[Move]:
    held = _settle(repository, line, version, [move.tag for move in line.moves])
    return [Move(m.tag, m.before, held[m.tag], m.version) for m in line.moves]


def _settle(repository: Removable, line: _Line, version: Version, floats: Sequence[Tag]) -> dict[Tag, Digest | None]:
    """Settle floating tags to the other versions; a list may be too old to name the mark."""
    if not floats:
        return {}
    goal = Goal(absent=frozenset({version}), wrote=line.wrote)
    settled = settle(repository, line.scheme, floats, goal)
    return {tag: settled.digests[tag] for tag in floats}


def _removed(repository: Removable, tag: Tag, image: Digest) -> bool:
    """Take a tag away, if the registry can, and see that it went; marked as it is, the version does not count."""
    try:
        take(repository, tag, image)
    except Unsettled:
        raise
    except (Refused, RegistryError):
        return False
    since = f"{repository.name.registry} still shows {tag}, which was deleted"
    return any(repository.digest(tag) != image for _ in repository.deadline.attempts(Pauses.STALE, since=since))


def _kept(repository: Removable, tags: Sequence[Tag], digests: set[Digest], gone: set[Tag]) -> list[Tag]:
    """Name the tags that still lead to an image."""
    asked = ask(repository, [tag for tag in tags if tag not in gone])
    return sorted(tag for tag, held in asked.items() if held in digests)
