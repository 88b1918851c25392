"""`tagger yank --undo`: bring a yanked version back from its mark, which holds its image.

The version's own tag comes first, then the floating tags that belong to it, and the mark goes last. While the mark is
there, the version does not count, and the same command finishes the job; after a failure the floating tags go back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Protocol

from tagger.errors import AGAIN, Abandoned, BadAnswer, InputError, NotThere, Refused, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Repository, Tag
from tagger.oci.manifest import Manifest
from tagger.repository.ending import ended
from tagger.repository.floating import Move, moved
from tagger.repository.observe import ask, asked, observe, published
from tagger.repository.removal import Removable
from tagger.repository.settle import Goal, settle
from tagger.repository.write import fetch, put_seen, take
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, yanked_by
from tagger.values import dataclass
from tagger.work import Pauses


class Markable(Removable, Protocol):
    """A repository whose tags can be removed, or emptied where its registry deletes nothing."""

    def empty(self, tag: Tag) -> None:
        """Point a tag at its placeholder, so that it counts as absent."""


@dataclass(frozen=True, slots=True)
class Unyank:
    """The result of an undone yank, or of its dry run.

    `restored` are its version tags, `digests` what they hold, `removed` the removed marks. `kept` are marks that the
    registry does not delete: they hold a placeholder, and `warnings` names them.
    """

    repository: Repository
    dry_run: bool
    version: Version
    restored: tuple[Tag, ...]
    digests: tuple[Digest, ...]
    moved: tuple[Move, ...]
    removed: tuple[Tag, ...]
    kept: tuple[Tag, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """The work on one version in one variant: its tag, whether to write it, the marks, and the image.

    `before` is what the version's floating tags held, `moves` where they go, `wrote` what was written to them, `now`
    their last known content, and `kept` the marks that the registry did not delete.
    """

    scheme: Scheme
    version: Version
    tag: Tag
    restores: bool
    marks: tuple[Tag, ...]
    image: Manifest
    before: dict[Tag, Digest | None]
    moves: tuple[Move, ...]
    wrote: dict[Tag, set[Digest]] = field(default_factory=dict)
    now: dict[Tag, Digest | None] = field(default_factory=dict)
    kept: list[Tag] = field(default_factory=list)

    @property
    def digest(self) -> Digest:
        """The digest of the image."""
        return self.image.digest

    def moved(self) -> tuple[Move, ...]:
        """Return the floating tags that hold the image now."""
        came = [tag for tag, held in self.now.items() if held == self.digest != self.before[tag]]
        return tuple(Move(tag, self.before[tag], self.digest, self.version) for tag in came)


def unyank(repository: Markable, schemes: Sequence[Scheme], text: str, *, dry_run: bool = False) -> Unyank:
    """Bring a version back in every variant that has its mark; running it again finishes an interrupted run.

    A version that is published and has no mark stays as it is.

    Raises InputError when it is neither published nor marked, Refused when its tag holds another image than its mark,
    Unsettled when some tags are not where they belong in the end, and what the registry raises.
    """
    every = published(repository, schemes)
    meant = asked(every, text, lambda each: each.yanked)
    version = meant[0][0].scheme.numbering.asked(text, build_metadata="drop")
    if yanked := yanked_by(version):
        raise InputError(f"{version} is the mark of a yanked version", f"give the version itself, {yanked}")
    looks = [partial(_look, repository, each, one, back) for each, back in meant for one in back]
    parts = [part for look in looks if (part := look())]
    if not parts and not any(
        one in each.versions for each, back in asked(every, text, lambda each: each.versions) for one in back
    ):
        raise NotThere(
            f"{repository.name} has no yanked version {version}", f"tagger ls {repository.name} shows what it has"
        )
    if not dry_run:
        _bring_back(repository, parts, version)
    kept = tuple(mark for part in parts for mark in part.kept)
    return Unyank(
        repository.name,
        dry_run,
        version,
        restored=tuple(part.tag for part in parts),
        digests=tuple(dict.fromkeys(part.digest for part in parts)),
        moved=tuple(move for part in parts for move in (part.moves if dry_run else part.moved())),
        removed=tuple(mark for part in parts for mark in part.marks if mark not in kept),
        kept=kept,
        warnings=tuple(
            f"{repository.name.registry} does not delete {mark}, so it stays, holds a placeholder and marks nothing:"
            " remove it by the registry's own tool"
            for mark in kept
        ),
    )


def _look(repository: Markable, published: Published, version: Version, back: Collection[Version]) -> _Part | None:
    """Return a variant's tags of a yanked version, and where its floating tags go with it; None without a mark.

    `back` are all restored versions: this one, or every yanked revision of one.

    A mark with an unfinished removal no longer holds the image; then the version's own tag has it.
    """
    scheme, own = published.scheme, published.scheme.version_tag(version)
    listed = sorted(tag for tag, found in published.spelt.items() if yanked_by(found) == version)
    spelt = [own, *(tag for tag, found in published.spelt.items() if found == version and tag != own)]
    held = _known(ask(repository, [*listed, *spelt]))
    marks = tuple(tag for tag in listed if held[tag] or repository.is_half_removed(tag))
    digest = next((found for tag in (*marks, *spelt) if (found := held[tag])), None)
    if not marks or not digest:
        return None
    if other := next((tag for tag, found in held.items() if found not in (None, digest)), None):
        raise Refused(
            f"{repository.name}:{other} holds a different image from {marks[0]}, {held[other]}",
            f"keep it, or remove it with tagger rm {repository.name} {other} first",
        )
    image = fetch(repository, digest, "release the version again with --force")
    tag = next((tag for tag in spelt if held[tag]), own)
    floats = scheme.floating_tags(version)
    of_all = [*marks, *(tag for tag, found in published.spelt.items() if yanked_by(found) in back)]
    observed = observe(repository, published.without(of_all), floats, present=[version])
    before, owners = {tag: observed.digests[tag] for tag in floats}, observed.owners(back)
    due = [tag for tag in floats if owners[tag] == version and before[tag] != digest]
    moves = tuple(Move(tag, before[tag], digest, version) for tag in due)
    return _Part(scheme, version, tag, held[tag] is None, marks, image, before, moves)


def _known(held: Mapping[Tag, Digest | Unreadable | None]) -> dict[Tag, Digest | None]:
    """Return where tags point. Raises Unreadable."""
    found: dict[Tag, Digest | None] = {}
    for tag, digest in held.items():
        if isinstance(digest, Unreadable):
            raise digest
        found[tag] = digest
    return found


# -- write -----------------------------------------------------------------------------------------------------------


def _bring_back(repository: Markable, parts: Sequence[_Part], version: Version) -> None:
    """Write the version's tags, settle the floating tags, and remove the marks.

    If that fails halfway, raises what `_unfinished` returns.
    """
    try:
        for part in parts:
            _restore(repository, part)
        for part in parts:
            _settle(repository, parts, part)
        for part in parts:
            _restore(repository, part)  # right before the removal of the mark, which holds the image too
            for mark in part.marks:
                _unmark(repository, part, mark)
        for part in parts:
            _restore(repository, part)  # some registries delete all tags of an image at once
            _settle(repository, parts, part)  # a command that read the tags with the mark took the version for yanked
    except (TaggerError, KeyboardInterrupt) as problem:
        repository.deadline.put_back()
        if error := _unfinished(repository, parts, version, problem):
            raise error from None


def _restore(repository: Markable, part: _Part) -> None:
    """Write the version's tag unless it holds the image, and read it back."""
    held = repository.digest(part.tag)
    if held == part.digest:
        return
    if held is not None:
        raise Refused(f"somebody else wrote {repository.name}:{part.tag} meanwhile, and it now holds {held}", AGAIN)
    put_seen(repository, part.tag, part.image)


def _unmark(repository: Markable, part: _Part, mark: Tag) -> None:
    """Remove a mark, and check that; if the registry does not delete it, put a placeholder there."""
    try:
        take(repository, mark, part.digest)
    except (Unsettled, Unreadable):
        raise
    except (Refused, BadAnswer):
        repository.empty(mark)
        part.kept.append(mark)
    since = f"{repository.name.registry} still shows {mark}, which was deleted"
    for _ in repository.deadline.attempts(Pauses.STALE, since=since):
        if repository.digest(mark) is None:
            return
    raise BadAnswer(f"{repository.name.registry} still shows {mark} after its removal", AGAIN)


def _settle(repository: Markable, parts: Sequence[_Part], part: _Part) -> None:
    """Settle the floating tags without the marks: to these versions, or away from what was written here."""
    floats = part.scheme.floating_tags(part.version)
    together = [each for each in parts if each.scheme == part.scheme]
    marks = frozenset(mark for each in together for mark in each.marks)
    goal = Goal(present={each.version: each.digest for each in together}, hidden=marks, wrote=part.wrote)
    settled = settle(repository, part.scheme, floats, goal)
    part.now.update({tag: settled.digests[tag] for tag in floats})


# -- a failure -------------------------------------------------------------------------------------------------------


def _unfinished(
    repository: Markable, parts: Sequence[_Part], version: Version, problem: TaggerError | KeyboardInterrupt
) -> TaggerError | None:
    """Put floating tags back where a mark is still there, and return the error that says so; None if all is done."""
    every = dict.fromkeys(tag for part in parts for tag in (part.tag, *part.wrote, *part.marks))
    unseen = ended(problem, f"tagger could not see what became of {', '.join(every)}", [*every])
    if isinstance(problem, Abandoned):
        return unseen  # running writes may arrive after a read
    try:
        marked = [part for part in parts if any(_known(ask(repository, part.marks)).values())]
        astray = [tag for part in parts for tag in (_put_back if part in marked else _left)(repository, part)]
        begun = [part.tag for part in marked if part.restores and _shown(repository, part, problem)]
    except (TaggerError, KeyboardInterrupt):
        return unseen
    if not marked and not astray:
        return None
    if len(marked) == len(parts) and not astray and not begun and isinstance(problem, Refused):
        return problem
    by = f"still marked as yanked by {', '.join(mark for part in marked for mark in part.marks)}"
    leads = f", and {', '.join(begun)} {'points' if len(begun) == 1 else 'point'} to it again" if begun else ""
    floats = f"{', '.join(astray)} may not be in place" if astray else "the floating tags are in place"
    return ended(problem, f"{version} is {by if marked else 'no longer yanked'}{leads}; {floats}", astray)


def _shown(repository: Markable, part: _Part, problem: TaggerError | KeyboardInterrupt) -> bool:
    """Return whether the version's tag is there; an interrupted write may arrive late, unless it was refused."""
    for _ in repository.deadline.attempts(Pauses.STALE):
        if repository.digest(part.tag) is not None:
            return True
        if isinstance(problem, Refused):
            break
    return False


def _put_back(repository: Markable, part: _Part) -> list[Tag]:
    """Settle the written tags to the versions without this one; return the tags that are out of place in the end."""
    if not part.wrote:
        return []
    wrote = {tag: digests | {held for held in [part.before[tag]] if held} for tag, digests in part.wrote.items()}
    goal = Goal(absent=frozenset({part.version}), otherwise=part.before, rewritten=frozenset(wrote), wrote=wrote)
    try:
        settle(repository, part.scheme, [*wrote], goal)
    except Unsettled as error:
        return [*map(Tag, error.tags)]
    return []


def _left(repository: Markable, part: _Part) -> list[Tag]:
    """Return the tags that are out of place for a version that counts again, and the rest of its mark."""
    half = [mark for mark in part.marks if mark not in part.kept and repository.is_half_removed(mark)]
    gone = [part.tag] if repository.digest(part.tag) is None else []
    floats = [*part.before]
    observed = observe(repository, Published.of(repository.tags(), part.scheme).without(part.marks), floats)
    owners = observed.owners()
    mine = [tag for tag in floats if tag in part.wrote or owners.get(tag) == part.version]
    return [*gone, *half, *(move.tag for move in moved(observed, mine, repository))]
