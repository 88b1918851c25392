"""A release in seven steps: observe, plan, push the version tag, observe again, push the floating tags, settle, report.

Several images, repositories and variants are one release: the version tag is pushed and verified everywhere before a
floating tag moves anywhere, and a failure after that puts the floating tags back everywhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tagger.errors import (
    BrokenOff,
    Conflict,
    Refused,
    RegistryError,
    RegistryUnreachable,
    TaggerError,
    Transient,
    Unproven,
    Unreadable,
    WrongImage,
)
from tagger.events import Line, Progress
from tagger.names import Digest, Registry, Repository, Tag
from tagger.oci.manifest import Manifest
from tagger.releasing.outcome import Outcome, Release, Released
from tagger.releasing.placement import Placement
from tagger.releasing.rollback import put_back
from tagger.releasing.share import Engine, FloatsVia, Image, LocalTags, Opened, Order, Share, Target
from tagger.repository.observe import Tags, View, holders, observe
from tagger.repository.platforms import lost
from tagger.repository.settle import Goal, explained, settle
from tagger.rules.plan import WRITES, Action, Change, Observed, Plan, plan
from tagger.rules.scheme import Scheme, Version, mark, resolve
from tagger.work import Patience

_CONFIRM_PAUSES = (0.0, 0.3, 1.0, 2.0, 4.0, 8.0)
_SCAN_PAUSES = (15.0, 30.0, 60.0, 60.0, 60.0)
_SECONDS_TO_GO_ON = 5.0
# Seconds before a push is tried again; an Engine that is started again takes some.
_PUSH_PAUSES = (1.0, 4.0, 10.0)


def release(
    engine: Engine,
    opened: Opened,
    order: Order,
    progress: Progress = lambda _: None,
    seen: Sequence[Observed] | None = None,
) -> Release:
    """Release images; see the module for the order of things.

    `seen` is what `look` saw of each of the placements, if it did so just now.
    `progress` is told what happens; what it raises is lost, since it must not break off what is under way.

    Raises a TaggerError, or its subclass Interrupted, whose `release` says what became of every tag.
    """
    shares: list[Share] = []
    local = LocalTags(engine)
    tell = partial(_tell, progress)
    placements, patience = opened.placements, _patience(opened.targets)
    try:
        first = look(opened.placements, opened.targets, order.version) if seen is None else seen
        sights = zip(opened.placements, first, strict=True)
        shares = patience.at_once([partial(_begin, opened, placement, order, sight) for placement, sight in sights])
        _check_refusals(shares)
        if order.dry_run:
            return _report(order, placements, shares, Outcome.PLANNED)
        _finish_unmarking(shares, order)
        if not any(share.plan.writes for share in shares):
            return _report(order, placements, shares, Outcome.UNCHANGED)
        _make_sure(opened, shares, order)
        _publish(engine, local, shares, order, tell)
        _float(engine, local, shares, order, tell)
        _unmark(shares, order)
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, tags must not stay half moved
        final = put_back(problem, local, shares, order, tell)
        final.release = _report(order, placements, shares, Outcome(final.outcome), str(final))
        raise final from final.__cause__
    done = _report(order, placements, shares, Outcome.RELEASED)
    if conflicts := [_duel(share) for share in shares if share.overwritten]:
        conflict = Conflict("; ".join(conflicts))
        conflict.release = replace(done, outcome=Outcome.FAILED, error=str(conflict))
        raise conflict
    return done


def _tell(progress: Progress, line: str) -> None:
    with contextlib.suppress(Exception):
        progress(line)


# -- steps 1 and 2: observe and plan -------------------------------------------------------------------------------


def look(placements: Sequence[Placement], targets: Mapping[Repository, Target], version: Version) -> list[Observed]:
    """Return what there is at each placement of what the release of a version may touch. Raises TaggerError."""
    looks = [partial(_first_look, targets[each.repository], version, each.scheme) for each in placements]
    return _patience(targets).at_once(looks)


def _patience(targets: Mapping[Repository, Target]) -> Patience:
    return next(iter(targets.values())).patience


def _first_look(repository: Target, version: Version, scheme: Scheme) -> Observed:
    """Observe, and find whose image each floating tag holds that is to move, or is not where it should be."""
    seen = _observe(repository, version, scheme)
    own, owners = scheme.version_tag(version), resolve({*seen.versions, version}, scheme)
    right = {tag: seen.digests.get(seen.versions.get(owners[tag], own)) for tag in scheme.floating_tags(version)}
    odd = [tag for tag, digest in right.items() if seen.digests[tag] != digest]
    # Without a list nothing is known of other versions, and that was asked for.
    versions, nearly = holders(repository, scheme, seen, odd) if seen.listed else ({}, {})
    return replace(seen, holders=versions, nearly=nearly)


def _begin(opened: Opened, placement: Placement, order: Order, seen: Observed) -> Share:
    repository, image = opened.targets[placement.repository], opened.images[placement.image]
    own = placement.scheme.version_tag(order.version)
    if own in seen.unreadable and not order.overwrite:
        raise Unreadable(
            f"{repository.name.registry} fails to say where {repository.name}:{own} points, so that it may be released"
            " already: try again, and if that goes on, overwrite it with --force"
        )
    digest = _digest_here(image, repository, seen, order.version, own)
    planned = plan(order.version, digest, seen, placement.scheme, overwrite=order.overwrite)
    planned = _with_what_is_lost(repository, planned)
    unknown = _unknown(placement.scheme, order, seen, digest)
    return Share(placement, image, repository, seen, planned, digest, unknown=unknown)


def _with_what_is_lost(repository: Target, planned: Plan) -> Plan:
    """Plan to push what is published once more where the registry has lost a part of it."""
    change = planned.version_change
    gone = lost(repository, change.after) if change.action is Action.UNCHANGED and change.after else []
    if not gone:
        return planned
    again = replace(change, action=Action.MOVE, reason=f"the registry has lost a part of it, {', '.join(gone)}")
    return Plan(planned.version, (again, *planned.floating_changes))


def _check_refusals(shares: Sequence[Share]) -> None:
    if refusals := [f"in {s.repository.name} {s.plan.refused}" for s in shares if s.plan.refused]:
        raise Refused("; ".join(refusals))


def _observe(repository: Tags, version: Version, scheme: Scheme) -> Observed:
    return observe(repository, scheme, scheme.floating_tags(version), present=[version])


def _digest_here(image: Image, repository: Target, seen: Observed, version: Version, own: Tag) -> Digest | None:
    """Return the digest of our image in this repository, as far as it can be known before a push."""
    holder = seen.versions.get(version, own)
    published = seen.digests.get(holder) or seen.digests.get(own)
    if published is None or published == image.digest:
        return image.digest
    manifest = repository.manifest(published)
    return published if manifest and manifest.is_image(image.id) else image.digest


def _make_sure(opened: Opened, shares: list[Share], order: Order) -> None:
    """Check the right to push, and look at each version tag once more, as late as can be before the first write.

    Where a version was yanked, its mark has to go in the end, so that deletes are checked too.
    """
    writing = [share for share in shares if share.plan.writes]
    for share in writing:
        if order.version in share.first.yanked:
            share.repository.check_removal()
    looks: list[Callable[[], object]] = [partial(_still_as_planned, share) for share in writing]
    repositories = {share.repository.name: share.repository for share in writing}
    found = shares[0].repository.patience.at_once([*looks, *(each.check_push for each in repositories.values())])
    for share, same in zip(writing, found, strict=False):
        if not same:
            seen = _first_look(share.repository, order.version, share.scheme)
            shares[shares.index(share)] = _begin(opened, share.placement, order, seen)
    _check_refusals(shares)


def _still_as_planned(share: Share) -> bool:
    unreadable = share.version_tag in share.first.unreadable  # and to be overwritten
    return unreadable or share.repository.digest(share.version_tag) == share.before


# -- step 3: the version tag ---------------------------------------------------------------------------------------


def _publish(engine: Engine, local: LocalTags, shares: Sequence[Share], order: Order, progress: Progress) -> None:
    """Push and verify every version tag: registries at once, and in one registry one after the other."""
    pushing = [share for share in shares if share.plan.version_change.action in WRITES]
    registries: dict[Registry, list[Share]] = {}
    for share in pushing:
        registries.setdefault(share.repository.name.registry, []).append(share)
    publishing = [partial(_publish_there, engine, local, there, order, progress) for there in registries.values()]
    shares[0].repository.patience.at_once(publishing)
    if len(pushing) > 1:
        for share in pushing:
            share.seen = None  # another push may have taken minutes since


def _publish_there(engine: Engine, local: LocalTags, shares: Sequence[Share], order: Order, progress: Progress) -> None:
    for share in shares:
        pushed = _push_version(engine, local, share, progress)
        try:
            share.digest = _confirm(share, pushed, order)
        except WrongImage as error:
            share.wrong = Digest(error.digest) if error.digest else None
            raise
        _check_whole(share)
        share.now[share.version_tag] = share.digest
        progress(Line.about("pushed", share.reference, f" at {share.digest}"))


def _check_whole(share: Share) -> None:
    """See whether the push of what was published already has brought back what the registry had lost."""
    if share.digest is None or share.digest != share.before:
        return
    if gone := lost(share.repository, share.digest):
        raise RegistryError(
            f"{share.repository.name} still lacks {', '.join(gone)}, which {share.version_tag} lists: promote the image"
            " from a registry that has all of it"
        )


def _push_version(engine: Engine, local: LocalTags, share: Share, progress: Progress) -> Digest:
    """Push the version tag; where that fails for now and the registry shows that it did not land, push it again."""
    for pause in (*_PUSH_PAUSES, None):
        try:
            return _push_once(engine, local, share, progress)
        except (Transient, BrokenOff, Unproven) as error:
            if landed := _landed(share):
                share.broken_off = False
                return landed
            if pause is None or isinstance(error, Unproven):
                raise
            progress(Line.about("pushing", share.reference, f" again in {pause:g} s, since {_reason(error)}"))
            share.repository.patience.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _push_once(engine: Engine, local: LocalTags, share: Share, progress: Progress) -> Digest:
    local.tag(share.image.id, share.reference)
    progress(Line.about("pushing", share.reference))
    share.pushed, share.broken_off, share.digest = True, True, None
    try:
        digest = engine.push(share.reference)
    except BrokenOff:
        raise
    except TaggerError as error:
        share.broken_off = False
        share.wrong = Digest(error.digest) if isinstance(error, WrongImage) and error.digest else None
        raise
    share.broken_off = False
    return digest


def _landed(share: Share) -> Digest | None:
    """Give the digest of our image if the version tag holds it already, though its push failed."""
    with contextlib.suppress(RegistryError, RegistryUnreachable):
        manifest = share.repository.manifest(share.version_tag)
        if manifest and manifest.digest != share.before and manifest.is_image(share.image.id):
            return manifest.digest
    return None


def _confirm(share: Share, pushed: Digest, order: Order) -> Digest:
    """Wait until the registry agrees with the Engine about the version tag, and check that it is our image.

    A registry may go on serving the old answer for some seconds; a third digest is somebody else's. What comes next is
    to observe the repository again, so that this is done here, and one answer tells where the tag points and to what.
    """
    change = share.plan.version_change
    for pause in _pauses_to_confirm(share):
        share.repository.patience.sleep(pause, f"{share.repository.name.registry} does not show {change.tag} yet")
        fetching = _Fetching(share.repository, change.tag)
        share.seen = _observe(fetching, order.version, share.scheme)
        held = share.seen.digests[change.tag]
        if held == pushed:
            break
        if held not in (None, change.before, pushed):
            raise _overwritten(share, change.tag, held)
    else:
        if not _is_held_back(share) or change.tag in share.first.listed:
            share.repository.manifest(change.tag)  # raises why it is not served, if that is so
            raise RegistryError(
                f"the Engine pushed {change.tag} as {pushed}, but {share.repository.name} does not show it: run the"
                " same command again"
            )
    if fetching.fetched is None:
        share.unread = True
    elif not fetching.fetched.is_image(share.image.id):
        raise WrongImage(
            f"{share.repository.name}:{change.tag} was pushed as {pushed}, which is not image {share.image.id}: another"
            " program moved the local tag meanwhile, keep it away and run the same command again",
            pushed,
        )
    return pushed


def _is_held_back(share: Share) -> bool:
    """Say whether the version tag is listed, and the registry does not serve it: a scan may be under way."""
    seen = share.seen
    return seen is not None and share.version_tag in seen.unreadable and share.version_tag in seen.listed


def _pauses_to_confirm(share: Share) -> Iterator[float]:
    """Give the seconds before each look, more of them while the image is held back, as far as there is time."""
    for pause in (*_CONFIRM_PAUSES, *_SCAN_PAUSES):
        left = share.repository.patience.left()
        if pause in _SCAN_PAUSES and not _is_held_back(share):
            return
        if _is_held_back(share) and left is not None and left < pause + _SECONDS_TO_GO_ON:
            return
        yield pause


class _Fetching(View):
    """A repository that fetches one tag's manifest where it is asked for that tag's digest."""

    def __init__(self, repository: Target, tag: Tag) -> None:
        super().__init__(repository)
        self._tag = tag
        self.fetched: Manifest | None = None

    def digest(self, tag: Tag | Digest) -> Digest | None:
        """Ask where a tag points; of the one tag, keep the manifest."""
        if tag != self._tag:
            return self._repository.digest(tag)
        with contextlib.suppress(Unreadable):  # some registries limit how often an image is read, but not this
            self.fetched = self._repository.manifest(tag)
            return self.fetched.digest if self.fetched else None
        return self._repository.digest(tag)


def _check_version_tag(share: Share, seen: Observed) -> None:
    """Notice a rival: a version tag that is gone may only be read late, so that is asked again for some seconds."""
    held = seen.digests[share.version_tag]
    if share.unread and share.version_tag in seen.unreadable:
        return
    for pause in _CONFIRM_PAUSES:
        if held is not None:
            break
        share.repository.patience.sleep(pause, f"{share.repository.name.registry} does not show {share.version_tag}")
        held = share.repository.digest(share.version_tag)
    if held != share.digest:
        raise _overwritten(share, share.version_tag, held)


def _explained(share: Share, order: Order, seen: Observed) -> Observed:
    """Look again while a floating tag that is to move holds an image of no listed version: the list may lag."""
    if order.assume_newest:
        return seen

    known = {share.first.digests[tag] for tag in (*share.first.holders, *share.first.nearly)}
    strange = {t: d for t, d in _unknown(share.scheme, order, seen, share.digest).items() if d not in known}
    if strange:
        look = partial(_observe, share.repository, order.version, share.scheme)
        seen = explained(share.repository, share.scheme, seen, strange, look)
        strange = {t: d for t, d in _unknown(share.scheme, order, seen, share.digest).items() if d not in known}
    share.unknown = strange
    share.overwritten = _duellist(share, order, seen)
    return seen


def _unknown(scheme: Scheme, order: Order, seen: Observed, own: Digest | None) -> dict[Tag, Digest]:
    """Say which floating tags this version is to take, and from what, where that is no known version's image."""
    known = {own, *(seen.digests.get(tag) for tag in seen.versions.values())}
    found = {tag: held for tag in _due(scheme, order, seen) if (held := seen.digests[tag]) and held not in known}
    return {tag: held for tag, held in found.items() if seen.listed and not {tag} & {*seen.holders, *seen.nearly}}


def _duellist(share: Share, order: Order, seen: Observed) -> Digest | None:
    """Return the image that our push of the version tag has overwritten, as far as can be told.

    Registries do not tell. But who releases another image of the same version moves the floating tags, all of them,
    to one digest that no other version has. One tag alone may be anybody's push.
    """
    due = [tag for tag in _due(share.scheme, order, seen) if seen.digests[tag] != share.digest]
    held = {seen.digests[tag] for tag in due}
    moved = all(seen.digests[tag] != share.first.digests.get(tag) for tag in due)
    several = len(due) > 1 and len(held) == 1
    return held.pop() if several and moved and share.unknown.keys() >= {*due} else None


def _duel(share: Share) -> str:
    return (
        f"{share.reference} and its floating tags hold this image now, but somebody else had just released"
        f" {share.overwritten} there, as it seems under the same version: agree on one image, and release the other"
        " under a new version"
    )


def _overwritten(share: Share, tag: Tag, digest: Digest | None) -> Conflict:
    now = f"it holds another image now, {digest}" if digest else "it is gone now"
    return Conflict(
        f"somebody else wrote {share.repository.name}:{tag} during this release, and {now}: agree on one image, and"
        " release the other under a new version"
    )


# -- steps 4 to 6: the floating tags -------------------------------------------------------------------------------


def _float(engine: Engine, local: LocalTags, shares: Sequence[Share], order: Order, progress: Progress) -> None:
    patience = shares[0].repository.patience
    patience.at_once([partial(_replan, share, order) for share in shares if share.plan.writes])
    moving = [(share, tag) for share in shares for tag in _planned_moves(share)]
    tagging = [partial(local.tag, share.image.id, share.repository.name.tagged(tag)) for share, tag in moving]
    # The Engine's pushes move tags after the last look.
    looked = order.via is FloatsVia.REGISTRY
    settling = [partial(_settle, share, order, progress, share.seen if looked else None) for share in shares]
    if order.via is FloatsVia.ENGINE:
        patience.at_once(tagging)
        for share, tag in moving:
            share.wrote.setdefault(tag, set()).add(_own_digest(share))
        patience.at_once([partial(_push_floating, engine, share, tag, progress) for share, tag in moving])
        patience.at_once(settling)
    else:
        patience.at_once([*settling, *tagging])


def _replan(share: Share, order: Order) -> None:
    """Observe and plan again, now that the version tag stands: somebody else may have released meanwhile."""
    seen = share.seen or _observe(share.repository, order.version, share.scheme)
    _check_version_tag(share, seen)
    share.seen = _explained(share, order, seen)
    share.plan = _planned_again(share, order, share.seen)


def _planned_again(share: Share, order: Order, seen: Observed) -> Plan:
    """Plan the floating tags again; what happens to the version tag was decided before it was pushed."""
    versions = {**seen.versions, order.version: share.version_tag}
    digests: Mapping[Tag, Digest | None] = {**seen.digests, share.version_tag: share.digest}
    first = {t: v for t, v in share.first.holders.items() if share.first.digests[t] == seen.digests.get(t)}
    seen = replace(seen, versions=versions, digests=digests, holders={**first, **seen.holders})
    now = plan(order.version, share.digest, seen, share.scheme)
    return Plan(order.version, (share.plan.version_change, *now.floating_changes))


def _due(scheme: Scheme, order: Order, seen: Observed) -> list[Tag]:
    """List the floating tags that belong to this version, by what was seen."""
    owners = resolve({*seen.versions, order.version}, scheme)
    return [tag for tag in scheme.floating_tags(order.version) if owners[tag] == order.version]


def _planned_moves(share: Share) -> list[Tag]:
    """List the floating tags that are to be written."""
    return [change.tag for change in share.plan.floating_changes if change.action in WRITES]


def _own_digest(share: Share) -> Digest:
    assert share.digest, "a version that is published has a digest"  # noqa: S101 - steps 1 and 3 see to it
    return share.digest


def _push_floating(engine: Engine, share: Share, tag: Tag, progress: Progress) -> None:
    reference = share.repository.name.tagged(tag)
    try:
        digest = engine.push(reference)
        share.wrote[tag].add(digest)
    except (Transient, BrokenOff, Unproven) as error:
        # Settling looks, and puts right what differs.
        progress(Line.about("writing", reference, f" by a manifest PUT instead, since {_reason(error)}"))
    else:
        progress(Line.about("pushed", reference, f" at {digest}"))


def _reason(error: TaggerError) -> str:
    """Give what is wrong, without what to do about it."""
    return str(error).rpartition(": ")[0]


def _settle(share: Share, order: Order, progress: Progress, seen: Observed | None) -> None:
    """Put right and verify the cascade: a tag that the Engine pushed with another digest is written again here."""
    floats = share.scheme.floating_tags(order.version)
    familiar = frozenset(d for tag in floats if (d := (share.seen or share.first).digests.get(tag)))
    own = _own_digest(share)
    unserved = frozenset(share.wrote) if share.unread else frozenset()
    goal = Goal(present={order.version: own}, wrote=share.wrote, familiar=familiar, unserved=unserved)
    settled = settle(share.repository, share.scheme, floats, goal, seen)
    _check_version_tag(share, settled)
    held_back = dict.fromkeys(unserved & settled.unreadable, own)
    settled = replace(settled, digests={**settled.digests, **held_back}, unreadable=settled.unreadable - unserved)
    share.now.update({tag: settled.digests[tag] for tag in floats})
    share.plan = _planned_again(share, order, settled)
    progress(Line.about("verified", share.repository.name))


def _finish_unmarking(shares: Sequence[Share], order: Order) -> None:
    """Take away what is left of a mark whose removal broke off, so that nothing marks the version any more."""
    for share in shares:
        own = share.scheme.version_tag(mark(order.version))
        if own in share.first.lost_marks:
            with contextlib.suppress(TaggerError):  # a mark that is listed and absent marks nothing
                share.repository.remove(own)


def _unmark(shares: Sequence[Share], order: Order) -> None:
    """Take away the marks that say that this version was yanked; that it is to count again was forced."""
    for share in shares:
        if tag := share.first.yanked.get(order.version):
            share.unmarked = share.repository.manifest(tag)
            share.repository.remove(tag)
            # Whoever looked while the mark was there took the version for yanked.
            _settle(share, order, lambda _: None, None)


# -- step 7: report ------------------------------------------------------------------------------------------------


def _report(
    order: Order,
    placements: Sequence[Placement],
    shares: Sequence[Share],
    outcome: Outcome,
    error: str | None = None,
) -> Release:
    describe = _describe(shares, outcome)
    return Release(
        ", ".join(dict.fromkeys(placement.image for placement in placements)),
        str(order.version),
        order.dry_run,
        outcome,
        tuple(describe(share) for share in shares),
        error,
        (*_differing(shares), *(warning for share in shares for warning in _odd(share))),
    )


def _describe(shares: Sequence[Share], outcome: Outcome) -> Callable[[Share], Released]:
    if outcome in (Outcome.PLANNED, Outcome.UNCHANGED):
        return _planned
    if outcome is Outcome.RELEASED:
        return _done
    return _refused if any(share.plan.refused for share in shares) else _failed


def _odd(share: Share) -> Iterator[str]:
    """Say which floating tags are out of place and not ours to move, and which held what nobody can name."""
    name = share.repository.name
    for change in share.plan.floating_changes:
        if change.drifted and not share.first.nearly:
            yield f"{name}:{change.tag} should hold {change.version}: tagger repair {name} would move it there"
    if share.unread:
        yield (
            f"{share.reference} was pushed as {share.digest}, but {name.registry} did not serve the image, so"
            " tagger could not compare it"
        )
    for tag, digest in share.unknown.items():
        yield f"{name}:{tag} held an image of no known version: {digest}"
    for tag in share.first.unreadable & set(_planned_moves(share)):
        yield f"{name}:{tag} is written although the registry could not say where it pointed"


def _differing(shares: Sequence[Share]) -> Iterator[str]:
    """Say where one image has several digests: an Engine's store that keeps layers unpacked compresses them again."""
    images: dict[Digest, dict[Digest, Share]] = {}
    for share in shares:
        if share.digest and share.stands:
            images.setdefault(share.image.id, {}).setdefault(share.digest, share)
    for digests in images.values():
        if len(digests) > 1:
            where = ", ".join(f"{digest} in {share.repository.name}" for digest, share in digests.items())
            yield f"the same image has another digest in each registry, since its layers were compressed again: {where}"


def _planned(share: Share) -> Released:
    return _released(share, share.digest, share.plan.changes)


def _released(share: Share, digest: Digest | None, changes: Iterable[Change]) -> Released:
    return Released(share.placement, digest, tuple(changes))


def _refused(share: Share) -> Released:
    """Say that nothing is written; where this repository refuses nothing itself, another one did."""
    changes = share.plan.changes
    if not share.plan.refused:
        why = "nothing is written, since another repository refuses"
        changes = tuple(replace(c, action=Action.KEEP, after=c.before, reason=why) for c in changes)
    return _released(share, share.before, changes)


def _done(share: Share) -> Released:
    """Say what became of each tag: its digests as they were first seen and as they were verified last."""
    changes = []
    for change in share.plan.changes:
        own = change.version == share.plan.version and change.tag != share.version_tag
        changes.append(_changed(share, change, None if own else change.reason))
    return _released(share, share.digest, changes)


def _failed(share: Share) -> Released:
    """Say where each tag is after a failure; what is in doubt has no digest."""
    changes = []
    for change in share.plan.changes:
        before = share.first.digests.get(change.tag)
        if change.tag in share.in_doubt:
            why = "not known" if change.tag == share.version_tag else "not put back"
            changes.append(replace(change, before=before, after=None, reason=why))
        elif share.now.get(change.tag, before) == before:
            begun = share.pushed if change.tag == share.version_tag else change.tag in share.written
            changes.append(
                replace(
                    change,
                    action=Action.KEEP,
                    before=before,
                    after=before,
                    reason=("put back" if before else "removed again") if begun else "not written",
                )
            )
        elif change.tag != share.version_tag:
            changes.append(_changed(share, change, "put where the published versions say"))
        else:
            changes.append(_changed(share, change, change.reason if share.stands else "another image"))
    held = None if share.version_tag in share.in_doubt else share.now.get(share.version_tag, share.before)
    return _released(share, held, changes)


def _changed(share: Share, change: Change, reason: str | None) -> Change:
    before = share.first.digests.get(change.tag)
    after = share.now.get(change.tag, before)
    own = change.version == share.plan.version
    if (change.tag in share.first.unreadable and (own or before != after)) or (before and before != after):
        action = Action.MOVE
    elif before != after:
        action = Action.CREATE
    else:
        action = Action.UNCHANGED if own else Action.KEEP
    return replace(change, action=action, before=before, after=after, reason=reason)
