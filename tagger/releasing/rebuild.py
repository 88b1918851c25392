"""Rebuilds of a version: the number of the next one, and the tag that the previous image keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tagger.errors import Conflict, InputError, Refused, TaggerError
from tagger.events import Line
from tagger.names import Digest, Repository
from tagger.releasing.order import Image, Opened, Order, Target
from tagger.releasing.outcome import Release
from tagger.releasing.placement import Placement
from tagger.releasing.state import Run, Share
from tagger.repository.observe import ask
from tagger.repository.write import fetch, put_seen
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version
from tagger.values import dataclass
from tagger.work import Pauses

_RIVALS = 8  # rebuilds of one version at the same time
_SAME_IMAGE = 16  # only the newest revisions of a version are compared


@dataclass(frozen=True, slots=True)
class _Seen:
    """The view of one repository: the existing revisions, the next free number, and the version of our image."""

    taken: frozenset[Version]
    free: int
    ours: Version | None


def next_revision(
    placements: Sequence[Placement],
    targets: Mapping[Repository, Target],
    images: Mapping[str, Image],
    version: Version,
) -> Version:
    """Return the revision of a version to release: the one that has the image already, or else the next free one.

    Raises InputError if the settings have no revisions, and what the registry raises.
    """
    if any(not placement.scheme.revisions for placement in placements):
        raise InputError(
            "--revision needs a form for revision tags",
            'set it in the settings, such as revisions = "-r{n}"',
        )
    numbering = placements[0].scheme.numbering
    if not numbering.is_plain(version):
        raise InputError(
            f"{version} names a revision already",
            f"give {numbering.plain(version)} with --revision, or leave out --revision",
        )
    if len({(placement.scheme.versions, placement.scheme.revisions) for placement in placements}) > 1:
        raise InputError("the images of this release spell revisions in different ways", "release them one at a time")
    looks = [partial(_look, targets[each.repository], each.scheme, images[each.image], version) for each in placements]
    seen = next(iter(targets.values())).deadline.at_once(looks)
    for mine in (each.ours for each in seen):
        if mine and all(each.ours == mine or mine not in each.taken for each in seen):
            return mine
    return numbering.rebuilt(version, max(each.free for each in seen))


def _look(repository: Target, scheme: Scheme, image: Image, version: Version) -> _Seen:
    published = Published.of(repository.tags(), scheme)
    numbering = scheme.numbering
    mine = published.revisions(version)
    marked = {found for found in published.yanked if numbering.plain(found) == numbering.plain(version)}
    newest = sorted(mine, reverse=True)[:_SAME_IMAGE]
    held = ask(repository, [mine[found] for found in newest])
    there = {found: digest for found in newest if isinstance(digest := held[mine[found]], str)}
    ours = next((found for found, digest in there.items() if _holds(repository, digest, image)), None)
    numbers = [found.revision or 0 for found in (*mine, *marked)]
    free = max(numbers, default=-1) + 1
    plain = repository.digest(scheme.version_tag(numbering.plain(version))) if free else None
    # A foreign image under the plain tag gets the next number, and this image the one after it.
    known = len(there) < len(newest) or plain in {None, *there.values()}
    strange = not known and numbering.plain(version) not in mine
    return _Seen(frozenset({*mine, *marked}), free + strange, ours)


def _holds(repository: Target, digest: Digest, image: Image) -> bool:
    if digest == image.digest:
        return True
    manifest = repository.manifest(digest)
    return manifest is not None and manifest.is_image(image.id)


def rebuild(release: Callable[[Order], Release], opened: Opened, order: Order) -> Release:
    """Release the image as a revision; if another release takes the number, use the next one.

    Raises what `next_revision` raises before anything is written.
    """
    number = partial(next_revision, opened.placements, opened.targets, opened.images, order.version)
    version = number()
    for _ in range(_RIVALS):
        done = release(replace(order, version=version, as_revision=False))
        if not isinstance(done.problem, Conflict | Refused):
            break
        try:
            taken, version = version, number()
        except TaggerError:
            break
        if version == taken:
            break
    return done


# -- the image before a rebuild ------------------------------------------------------------------------------------


def keep_plain(run: Run, share: Share) -> bool:
    """Give the image of the plain tag its own tag, and return whether it needed one."""
    change, repository = share.plan.named, share.repository
    if change is None or change.after is None or change.tag in share.named:
        return False
    manifest = fetch(repository, change.after)
    share.named[change.tag] = change
    put_seen(repository, change.tag, manifest, Pauses.SHOWN)
    share.now[change.tag] = change.after
    run.progress(Line.about("named", repository.name.tagged(change.tag), f", which {change.reason}"))
    return True
