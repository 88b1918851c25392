"""The steps of a release that read: observe the tags, plan the changes, and do both again later."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tagger.errors import AGAIN, Conflict, Refused, TaggerError, Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.releasing.order import Image, Order, Target
from tagger.releasing.outcome import Outcome
from tagger.releasing.placement import Placement
from tagger.releasing.rebuild import keep_plain
from tagger.releasing.state import NotBegun, Run, Share
from tagger.repository import observe as repositories
from tagger.repository.holders import holders
from tagger.repository.observe import Tags
from tagger.repository.platforms import lost
from tagger.repository.settle import explained
from tagger.rules import plan as rules
from tagger.rules.plan import Action, Observed, Plan
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, mark
from tagger.work import Pauses

AGREE = "agree on one image, and release the other under a new version"


# -- observe -------------------------------------------------------------------------------------------------------


def observe(run: Run) -> None:
    """Observe each placement."""
    run.sights = run.sights or look(run.opened.placements, run.opened.targets, run.order.version)


def look(placements: Sequence[Placement], targets: Mapping[Repository, Target], version: Version) -> list[Observed]:
    """Return the tags that the release of a version may touch, at each placement. Raises TaggerError."""
    looks = [partial(_first_look, targets[each.repository], version, each.scheme) for each in placements]
    return next(iter(targets.values())).deadline.at_once(looks)


def _first_look(repository: Target, version: Version, scheme: Scheme) -> Observed:
    """Observe, and find whose image each floating tag holds that will move or has drifted."""
    seen = observed(repository, version, scheme)
    own, owners = scheme.version_tag(version), seen.owners([version])
    right = {tag: seen.digests.get(seen.versions.get(owners[tag], own)) for tag in scheme.floating_tags(version)}
    odd = [tag for tag, digest in right.items() if seen.digests[tag] != digest]
    # Without a list (--assume-newest), tagger knows no other versions.
    versions, nearly = holders(repository, seen, odd) if seen.listed else ({}, {})
    return replace(seen, holders=versions, nearly=nearly)


def observed(
    repository: Tags, version: Version, scheme: Scheme, digest: Callable[[Tag], Digest | None] | None = None
) -> Observed:
    """Return the content of a version's tags, and of the floating tags that it competes for.

    `digest` reads where a tag points (default: the method of the repository).
    """
    return repositories.look(repository, scheme, scheme.floating_tags(version), present=[version], digest=digest)


# -- plan ----------------------------------------------------------------------------------------------------------


def plan(run: Run) -> Outcome | None:
    """Plan the changes at each placement; end a dry run here, and a release without changes."""
    sights = zip(run.opened.placements, run.sights or (), strict=True)
    run.shares = run.at_once([partial(_begun, run, placement, seen) for placement, seen in sights])
    _check_refusals(run.shares)
    if run.order.dry_run:
        return Outcome.PLANNED
    _finish_unmarking(run)
    return None if any(share.plan.writes for share in run.shares) else Outcome.UNCHANGED


def check_still_true(run: Run) -> None:
    """Check the right to push, and read each version tag again, as late as possible before the first write.

    The mark of a yanked version is removed in the end, so then the right to delete is checked too.
    """
    writing = [share for share in run.shares if share.plan.writes]
    for share in writing:
        if run.order.version in share.first.yanked:
            share.repository.check_removal()
    looks: list[Callable[[], object]] = [partial(_still_as_planned, share) for share in writing]
    repositories = {share.repository.name: share.repository for share in writing}
    found = run.at_once([*looks, *(each.check_push for each in repositories.values())])
    for share, same in zip(writing, found, strict=False):
        if not same:
            seen = _first_look(share.repository, run.order.version, share.scheme)
            run.shares[run.shares.index(share)] = _begun(run, share.placement, seen)
    _check_refusals(run.shares)


def _begun(run: Run, placement: Placement, seen: Observed) -> Share:
    """Return the share of a placement, with its plan."""
    repository, image = run.opened.targets[placement.repository], run.opened.images[placement.image]
    version, scheme = run.order.version, placement.scheme
    own = scheme.version_tag(version)
    if own in seen.unreadable and not run.order.overwrite:
        raise Unreadable(
            f"{repository.name.registry} cannot say where {repository.name}:{own} points, so it may already be"
            " released",
            "try again, and if that does not help, overwrite it with --force",
        )
    plain = scheme.numbering.plain(version)
    if plain != version and seen.published.versions.get(plain) in seen.unreadable:
        raise Unreadable(
            f"{repository.name.registry} cannot say where {repository.name}:{scheme.version_tag(plain)} points, and its"
            " image would lose that tag",
            AGAIN,
        )
    digest = _digest_here(image, repository, seen, version, own)
    planned = rules.plan(version, digest, seen, overwrite=run.order.overwrite)
    planned = _with_what_is_lost(repository, planned)
    unknown = _unknown(scheme, version, seen, digest)
    return Share(placement, image, repository, seen, planned, NotBegun(digest), unknown=unknown)


def _digest_here(image: Image, repository: Target, seen: Observed, version: Version, own: Tag) -> Digest | None:
    """Return the digest of our image in this repository, if it can be known before a push."""
    holder = seen.versions.get(version, own)
    published = seen.digests.get(holder) or seen.digests.get(own)
    if published is None or published == image.digest:
        return image.digest
    manifest = repository.manifest(published)
    return published if manifest and manifest.is_image(image.id) else image.digest


def _with_what_is_lost(repository: Target, planned: Plan) -> Plan:
    """Plan a second push of a published image if the registry has lost a part of it."""
    change = planned.version_change
    gone = lost(repository, change.after) if change.action is Action.UNCHANGED and change.after else []
    if not gone:
        return planned
    again = replace(change, action=Action.MOVE, reason=f"the registry has lost a part of it, {', '.join(gone)}")
    return replace(planned, changes=(again, *planned.floating_changes))


def _check_refusals(shares: Sequence[Share]) -> None:
    if refusals := [f"in {s.repository.name} {s.plan.refused}" for s in shares if s.plan.refused]:
        raise Refused("; ".join(refusals))


def _finish_unmarking(run: Run) -> None:
    """Finish the removal of a mark, so that nothing marks the version any more."""
    for share in run.shares:
        own = share.scheme.version_tag(mark(run.order.version))
        if own in share.first.lost_marks:
            with contextlib.suppress(TaggerError):  # a listed but absent mark means nothing
                share.repository.remove(own)


def _still_as_planned(share: Share) -> bool:
    unreadable = share.version_tag in share.first.unreadable  # and the release overwrites it
    return unreadable or share.repository.digest(share.version_tag) == share.before


# -- observe and plan again ----------------------------------------------------------------------------------------


def observe_again(run: Run) -> None:
    """Observe and plan again after publishing the version tag, because of other releases meanwhile."""
    run.at_once([partial(_observe_again, run, share) for share in run.shares if share.plan.writes])


def _observe_again(run: Run, share: Share) -> None:
    seen = share.seen or observed(share.repository, run.order.version, share.scheme)
    check_version_tag(share, seen)
    share.seen = _explained(share, run.order, seen)
    share.plan = planned_again(share, share.seen)
    if keep_plain(run, share):  # another rebuild, whose number this one has taken
        share.seen = _explained(share, run.order, observed(share.repository, run.order.version, share.scheme))
        share.plan = planned_again(share, share.seen)


def planned_again(share: Share, seen: Observed) -> Plan:
    """Plan the floating tags again; the change of the version tag was decided before its push."""
    version = share.plan.version
    sure = {**seen.sure, version: share.version_tag}
    digests: Mapping[Tag, Digest | None] = {**seen.digests, share.version_tag: share.digest}
    first = {t: v for t, v in share.first.holders.items() if share.first.digests[t] == seen.digests.get(t)}
    seen = replace(seen, sure=sure, digests=digests, holders={**first, **seen.holders})
    now = rules.plan(version, share.digest, seen)
    return Plan(version, (share.plan.version_change, *now.floating_changes), now.named)


def check_version_tag(share: Share, seen: Observed) -> None:
    """Raise Conflict if a rival wrote the version tag; a missing one is read again for some seconds."""
    held = seen.digests[share.version_tag]
    if share.unserved and share.version_tag in seen.unreadable:
        return
    since = f"{share.repository.name.registry} does not show {share.version_tag}"
    for _ in share.repository.deadline.attempts(Pauses.SHOWN, since=since):
        if held is not None:
            break
        held = share.repository.digest(share.version_tag)
    if held != share.digest:
        raise overwritten(share, held)


def overwritten(share: Share, digest: Digest | None) -> Conflict:
    """Return the error for a version tag that somebody else wrote."""
    now = f"it now holds another image, {digest}" if digest else "it is gone now"
    return Conflict(f"somebody else wrote {share.reference} during this release, and {now}", AGREE)


def _explained(share: Share, order: Order, seen: Observed) -> Observed:
    """Read again while a floating tag that will move holds an image of no listed version: the list may be old."""
    if order.assume_newest:
        return seen
    known = {share.first.digests[tag] for tag in (*share.first.holders, *share.first.nearly)}
    known |= {share.before, share.published_before}

    def strange() -> dict[Tag, Digest]:
        found = _unknown(share.scheme, order.version, seen, share.digest)
        return {tag: held for tag, held in found.items() if held not in known}

    if unknown := strange():
        again = partial(observed, share.repository, order.version, share.scheme)
        seen = explained(share.repository, seen, unknown, again)
    share.unknown = strange()
    return seen


def _unknown(scheme: Scheme, version: Version, seen: Observed, own: Digest | None) -> dict[Tag, Digest]:
    """Return the floating tags that will move away from an image of no known version, and that image."""
    known = {own, *(seen.digests.get(tag) for tag in seen.versions.values())}
    found = {tag: held for tag in due(scheme, version, seen) if (held := seen.digests[tag]) and held not in known}
    return {tag: held for tag, held in found.items() if seen.listed and not {tag} & {*seen.holders, *seen.nearly}}


def due(scheme: Scheme, version: Version, seen: Observed) -> list[Tag]:
    """List the floating tags that belong to a version, by an observation."""
    owners = seen.owners([version])
    return [tag for tag in scheme.floating_tags(version) if owners[tag] == version]
