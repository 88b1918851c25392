"""Yank a version: take it out of the running without destroying it.

Its image is kept under a mark, a pre-release of its own to which nothing floats; while that is there, the version does
not count. So the floating tags fall back, and the plain tag goes where the registry can delete.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tagger.cascade import Scheme, Version, mark, parse_version, published, yanked_by
from tagger.drift import Move, listed_tags, moved
from tagger.errors import InputError, Refused, RegistryError, TaggerError, Unsettled
from tagger.observe import AsListed, ask, observe
from tagger.reference import Digest, Repository, Tag
from tagger.removal import Removable
from tagger.settle import Goal, settle

# Seconds before each look at what was just written: a registry may serve stale reads for a while.
_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Yank:
    """What a yank did, or would do.

    `marks` are the tags under which the image is kept now, `digests` what they hold; `removed` are the tags that went,
    `kept` those that still lead to it, since the registry does not delete or nobody said that they float.
    """

    repository: Repository
    dry_run: bool
    version: Version
    marks: tuple[Tag, ...]
    digests: tuple[Digest, ...]
    moved: tuple[Move, ...]
    removed: tuple[Tag, ...]
    kept: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """What happens in one line: the version's tags that are there, in either spelling, its mark, and the image."""

    scheme: Scheme
    tags: tuple[Tag, ...]
    mark: Tag
    digest: Digest
    moves: tuple[Move, ...]
    unclaimed: tuple[Tag, ...]


def yank(repository: Removable, schemes: Sequence[Scheme], text: str, *, dry_run: bool = False) -> Yank:
    """Take a version out of the running in every line that has it; once more finishes what broke off.

    Raises InputError when it is not there, Unsettled when some floating tags are not where they belong in the end, and
    what the registry raises.
    """
    version = parse_version(text, build_metadata="drop")
    if yanked_by(version):
        raise InputError(f"{version} is the mark of a yanked version already: give the version itself")
    tags = listed_tags(repository)
    found = [_look(repository, tags, scheme, version) for scheme in schemes]
    lines = [line for line in found if line is not None]
    if not lines:
        raise InputError(f"{repository.name} has no version {version}: tagger ls {repository.name} shows what it has")
    doomed = [tag for line in lines for tag in (*line.tags, *line.unclaimed)]
    moves = tuple(move for line in lines for move in line.moves)
    removed = tuple(doomed)
    if not dry_run:
        _put_marks(repository, lines)
        with _named_if_left(version, [*(move.tag for move in moves), *doomed]):
            moves = tuple(move for line in lines for move in _fall_back(repository, line, version))
            removed = tuple(tag for tag in doomed if _removed(repository, tag))
    kept = _kept(repository, tags, {line.digest for line in lines}, {*removed, *(move.tag for move in moves)})
    marks = tuple(line.mark for line in lines)
    digests = tuple(dict.fromkeys(line.digest for line in lines))
    further = tuple(tag for tag in kept if tag not in marks)
    return Yank(repository.name, dry_run, version, marks, digests, moves, removed, further)


def _look(repository: Removable, tags: Sequence[Tag], scheme: Scheme, version: Version) -> _Line | None:
    """See what a line has of a version, and where its floating tags go without it; None where it has nothing of it."""
    marked = scheme.version_tag(mark(version))
    spelt = sorted((tag for tag in tags if scheme.parse(tag) == version), key=scheme.version_tag(version).__ne__)
    without = [tag for tag in tags if scheme.parse(tag) != version]
    floats = [tag for tag in scheme.floating_tags(version) if tag in set(tags)]
    held = ask(repository, [*spelt, marked])
    digest = next((found for found in held.values() if found), None)
    if isinstance(digest, TaggerError):
        raise digest
    if digest is None:
        return None
    observed = observe(AsListed(repository, without), scheme, floats)
    claimed = {tag for v in published(without, scheme) for tag in scheme.floating_tags(v)}
    unclaimed = tuple(t for t in floats if t not in claimed and observed.digests[t] == digest)
    going = tuple(tag for tag in spelt if held[tag] == digest)
    return _Line(scheme, going, marked, digest, tuple(moved(observed, scheme, floats, repository.name)), unclaimed)


def _put_marks(repository: Removable, lines: Sequence[_Line]) -> None:
    """Keep the image under its mark, and see that, before anything goes."""
    for line in lines:
        manifest = repository.manifest(line.digest)
        if manifest is None:
            raise RegistryError(f"{repository.name} no longer has {line.digest}: take the version away with tagger rm")
        repository.put(line.mark, manifest)
        for pause in _PAUSES:
            repository.patience.sleep(pause)
            if repository.digest(line.mark) == line.digest:
                break
        else:
            raise RegistryError(
                f"{repository.name} does not show {line.mark}, which was just written: run the same command again"
            )


def _fall_back(repository: Removable, line: _Line, version: Version) -> list[Move]:
    goal = Goal(absent=frozenset({version}))  # a list may be too old to name the mark
    settled = settle(repository, line.scheme, [move.tag for move in line.moves], goal)
    return [Move(m.tag, m.before, settled.digests[m.tag], m.version) for m in line.moves]


@contextlib.contextmanager
def _named_if_left(version: Version, tags: Sequence[Tag]) -> Iterator[None]:
    """Name the tags that may still lead to a yanked version when the registry fails after it was marked."""
    try:
        yield
    except Unsettled:
        raise
    except TaggerError as error:
        names = ", ".join(tags)
        raise Unsettled(
            f"{error}; {version} is marked as yanked, and {names} may lead to it still: run the same command again",
            tags,
        ) from None


def _removed(repository: Removable, tag: Tag) -> bool:
    """Take a tag away, if the registry can; the version does not count either way, since it is marked."""
    try:
        repository.deletes_single_tags()
        repository.remove(tag)
    except Unsettled:
        raise
    except (Refused, RegistryError):
        return False
    return True


def _kept(repository: Removable, tags: Sequence[Tag], digests: set[Digest], gone: set[Tag]) -> list[Tag]:
    """Name the tags that still lead to an image."""
    asked = ask(repository, [tag for tag in tags if tag not in gone])
    return sorted(tag for tag, held in asked.items() if held in digests)
