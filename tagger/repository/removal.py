"""The plan of a removal: the tags that it removes and moves, decided before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Protocol

from tagger.errors import NotThere, Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.oci.referrers import hanging_tags
from tagger.repository.floating import Move, is_half_removed, moved
from tagger.repository.observe import Listed, ask, look, observe
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, newest_first
from tagger.text import printable
from tagger.values import dataclass

Note = Callable[[str], None]


class Removable(Listed, Protocol):
    """A repository whose tags can be removed."""

    def check_removal(self) -> None:
        """Check that tags can be removed. Raises Refused when none can."""


@dataclass(frozen=True, slots=True)
class Fall:
    """The changes to the floating tags of one variant: some fall back, and some lose their last version.

    The removed versions compete for the `others` too, but those hold other images.
    """

    scheme: Scheme
    moves: tuple[Move, ...]
    dropped: tuple[Tag, ...]
    others: tuple[Tag, ...] = ()

    def moving(self) -> list[Tag]:
        """Return the tags that fall back."""
        return [move.tag for move in self.moves]

    def all_tags(self) -> list[Tag]:
        """Return the tags that fall back or are removed."""
        return [*self.moving(), *self.dropped]


@dataclass(frozen=True, slots=True)
class Going:
    """The tags to remove and what they hold, and the changes to floating tags.

    `versions` are the version tags among them, which go last, `images` the images of the named tags. `wrote` is what
    floating tags held or hold.
    """

    doomed: Mapping[Tag, Digest | None]
    versions: Collection[Tag]
    images: set[Digest]
    falls: Sequence[Fall]
    wrote: dict[Tag, set[Digest]] = field(default_factory=dict)

    @property
    def moves(self) -> tuple[Move, ...]:
        """The moves in every variant."""
        return tuple(move for fall in self.falls for move in fall.moves)


def named(name: Repository, every: Sequence[Published], names: Sequence[str], note: Note) -> tuple[Tag, ...]:
    """Find the named tags: by their exact name, or as a version of these variants in any spelling.

    A version never finds the tag of another variant or line: with variant alpine, `2.1.106` is 2.1.106-alpine.
    """
    listed = {*every[0].tags}
    bare = [_bare(published.scheme) for published in every]
    others = {replace(published.scheme, variant=other) for published in every for other in published.scheme.variants}
    others |= {other for published in every for other in published.scheme.beside}
    beside = {each for other in others for each in (other, _bare(other))}
    found: dict[Tag, None] = {}
    for text in names:
        own = [published.scheme.parse(text) for published in every]
        read = own if any(own) else [scheme.parse(text) for scheme in bare]
        meant = [(published, version) for published, version in zip(every, read, strict=True) if version]
        rebuilt = any(published.meant(version) != [version] for published, version in meant)
        is_version = bool(meant) or any(scheme.parse(text) for scheme in beside)
        if text in listed and not rebuilt and any(own) == is_version:
            here = [Tag(text)]
        else:
            here = [tag for each, version in meant for v in each.meant(version) if (tag := each.versions.get(v))]
        if not here:
            note(f"{name} has no tag {printable(text)}, so there is nothing to remove")
        found |= dict.fromkeys(here)
    if not found:
        raise NotThere(f"{name} has none of these tags", f"tagger ls {name} shows those that it has")
    return tuple(found)


def _bare(scheme: Scheme) -> Scheme:
    """Return the scheme by which a line reads a version alone, without the prefix and the variant of its tag."""
    return replace(scheme, floats=(), variant="", prefix="", aliases=(), channels=())


def planned(repository: Removable, every: Sequence[Published], named: Sequence[Tag]) -> Going:
    """Return the tags to remove and to move; for a version with two spellings, the other one's image takes over.

    A floating tag that holds none of the removed images has drifted, and is left to a repair. If it or its version is
    unreadable, it counts as holding that version.
    """
    doomed = {tag: None if isinstance(held, Unreadable) else held for tag, held in ask(repository, named).items()}
    images = {held for held in doomed.values() if held}
    going = dict(doomed)
    falls = []
    wrote: dict[Tag, set[Digest]] = {}
    for published in every:
        fall, held = _fall(repository, published, going, images)
        falls.append(fall)
        doomed |= {tag: held[tag] for tag in fall.dropped}
        wrote |= {tag: images | ({now} if now else set()) for tag, now in held.items()}
    moving = {tag for fall in falls for tag in fall.moving()}
    doomed |= _attached(repository, [tag for tag in every[0].tags if tag not in moving], doomed)
    versions = {tag for tag in doomed if any(tag in published.spelt for published in every)}
    return Going(doomed, versions, images, falls, wrote)


def _fall(
    repository: Removable, published: Published, going: Mapping[Tag, Digest | None], images: Collection[Digest]
) -> tuple[Fall, Mapping[Tag, Digest | None]]:
    """Return the changes to a variant's floating tags when these tags go, and what each of those held."""
    versions = {tag: published.spelt[tag] for tag in going if tag in published.spelt}
    affected = newest_first(set(versions.values()))
    cascade = dict.fromkeys(tag for version in affected for tag in published.scheme.floating_tags(version))
    staying = {*published.tags} - going.keys()
    floats = [tag for tag in cascade if tag in staying]
    observed = observe(repository, published.without({*going}), floats)
    unread = {version for tag, version in versions.items() if going[tag] is None}
    forced = [
        tag
        for tag in floats
        if observed.digests[tag] in images
        or published.owners.get(tag) in (affected if tag in observed.unreadable else unread)
        or is_half_removed(repository, observed, tag)
    ]
    dropped = tuple(tag for tag in forced if tag not in observed.owners())
    others = tuple(tag for tag in floats if tag not in forced)
    moves = tuple(moved(observed, forced, repository))
    return Fall(published.scheme, moves, dropped, others), {tag: observed.digests[tag] for tag in forced}


@dataclass(frozen=True, slots=True)
class Strays:
    """Floating tags that somebody has moved to a removed image: where they belong, and those that belong nowhere."""

    moves: tuple[Move, ...] = ()
    dropped: Mapping[Tag, Digest | None] = field(default_factory=dict)


def strays(
    repository: Removable,
    scheme: Scheme,
    floats: Collection[Tag],
    images: Collection[Digest],
    absent: Collection[Version] = (),
) -> Strays:
    """Return which of these floating tags hold one of these images now.

    Two concurrent removals may each move floating tags to an image of the other one; the last one sees it here.
    """
    tags = [tag for tag, held in ask(repository, floats).items() if held in images]
    if not tags:
        return Strays()
    observed = look(repository, scheme, tags, absent=absent)
    dropped = {tag: observed.digests[tag] for tag in tags if tag not in observed.owners()}
    return Strays(tuple(moved(observed, tags, repository)), dropped)


def with_strays(repository: Removable, plan: Going) -> Going:
    """Return the plan, with the floating tags that somebody has since moved to a removed image."""
    falls, doomed, wrote = [], dict(plan.doomed), dict(plan.wrote)
    for fall in plan.falls:
        found = strays(repository, fall.scheme, fall.others, plan.images)
        falls.append(replace(fall, moves=(*fall.moves, *found.moves), dropped=(*fall.dropped, *found.dropped)))
        doomed |= found.dropped
        wrote |= {tag: set(plan.images) for tag in (*(move.tag for move in found.moves), *found.dropped)}
    return replace(plan, doomed=doomed, falls=falls, wrote=wrote)


def _attached(
    repository: Removable, tags: Sequence[Tag], doomed: Mapping[Tag, Digest | None]
) -> Mapping[Tag, Digest | None]:
    """Return the tags for signatures and the like of images that lose their last tag, and what they hold."""
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
