"""A release in seven steps: observe, plan, push the version tag, observe again, push the floating tags, settle, report.

Several repositories are one release: the version tag is pushed and verified everywhere before a floating tag moves
anywhere, and a failure after that puts the floating tags back everywhere.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tagger.errors import BrokenOff, Conflict, Refused, RegistryError, TaggerError, WrongImage
from tagger.plan import WRITES, Action, Change, Observed, Plan, plan
from tagger.reference import Digest, Reference, Tag
from tagger.result import Outcome, Release, Released
from tagger.settle import Goal, Tags, at_once, observe, settle
from tagger.share import Engine, FloatsVia, LocalTags, Order, Share
from tagger.undo import put_back

Progress = Callable[[str], None]
_CONFIRM_PAUSES = (0.0, 0.3, 1.0, 2.0, 4.0, 8.0)


def release(engine: Engine, repositories: Sequence[Tags], order: Order, progress: Progress = lambda _: None) -> Release:
    """Release an image; see the module for the order of things.

    `progress` is told what happens; what it raises is lost, since it must not break off what is under way.

    Raises a TaggerError, or its subclass Interrupted, whose `release` says what became of every tag.
    """
    shares: list[Share] = []
    local = LocalTags(engine, order.image.id)
    tell = partial(_tell, progress)
    try:
        shares = at_once([partial(_begin, repository, order) for repository in repositories])
        _check_refusals(shares)
        if order.dry_run:
            return _report(order, shares, Outcome.PLANNED)
        if not any(share.plan.writes for share in shares):
            return _report(order, shares, Outcome.UNCHANGED)
        _publish(engine, local, shares, order, tell)
        _float(engine, local, shares, order, tell)
        return _report(order, shares, Outcome.RELEASED)
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, tags must not stay half moved
        final = put_back(problem, local, shares, order, tell)
        final.release = _report(order, shares, Outcome(final.outcome), str(final))
        raise final from None


def _tell(progress: Progress, line: str) -> None:
    with contextlib.suppress(Exception):
        progress(line)


# -- steps 1 and 2: observe and plan -------------------------------------------------------------------------------


def _begin(repository: Tags, order: Order) -> Share:
    seen = _observe(repository, order)
    digest = _digest_here(repository, order, seen)
    return Share(repository, seen, plan(order.version, digest, seen, order.scheme, overwrite=order.overwrite), digest)


def _check_refusals(shares: Sequence[Share]) -> None:
    if refusals := [f"in {s.repository.name} {s.plan.refused}" for s in shares if s.plan.refused]:
        raise Refused("; ".join(refusals))


def _observe(repository: Tags, order: Order) -> Observed:
    floats = order.scheme.floating_tags(order.version)
    return observe(repository, order.scheme, floats, present=[order.version])


def _digest_here(repository: Tags, order: Order, seen: Observed) -> Digest | None:
    """Give the digest of our image in this repository, as far as it can be known before a push."""
    own = order.scheme.version_tag(order.version)
    holder = seen.versions.get(order.version, own)
    published = seen.digests.get(holder) or seen.digests.get(own)
    if published is None or published == order.image.digest:
        return order.image.digest
    manifest = repository.manifest(published)
    return published if manifest and manifest.is_image(order.image.id) else order.image.digest


# -- step 3: the version tag ---------------------------------------------------------------------------------------


def _publish(engine: Engine, local: LocalTags, shares: Sequence[Share], order: Order, progress: Progress) -> None:
    for share in shares:
        change = share.plan.version_change
        if change.action not in WRITES:
            continue
        reference = share.repository.name.tagged(change.tag)
        local.tag(reference)
        progress(f"pushing {reference}")
        share.pushed, share.broken_off, share.digest = True, True, None
        pushed = _push_version(engine, share, reference)
        try:
            share.digest = _confirm(share, change, pushed, order)
        except WrongImage as error:
            share.wrong = error.digest
            raise
        share.now[change.tag] = share.digest
        progress(f"pushed {reference} at {share.digest}")


def _push_version(engine: Engine, share: Share, reference: Reference) -> Digest:
    try:
        digest = engine.push(reference)
    except BrokenOff:
        raise
    except TaggerError as error:
        share.broken_off = False
        share.wrong = error.digest if isinstance(error, WrongImage) else None
        raise
    share.broken_off = False
    return digest


def _confirm(share: Share, change: Change, pushed: Digest, order: Order) -> Digest:
    """Wait until the registry agrees with the Engine about the version tag, and check that it is our image.

    A registry may go on serving the old answer for some seconds; a third digest is somebody else's.
    """
    for pause in _CONFIRM_PAUSES:
        time.sleep(pause)
        manifest = share.repository.manifest(change.tag)
        if manifest and manifest.digest == pushed:
            break
        if manifest and manifest.digest != change.before:
            raise _overwritten(share, change.tag, manifest.digest)
    else:
        raise RegistryError(
            f"the Engine pushed {change.tag} as {pushed}, but {share.repository.name} does not show it: run the same"
            " command again"
        )
    if not manifest.is_image(order.image.id):
        raise WrongImage(
            f"{share.repository.name}:{change.tag} was pushed as {pushed}, which is not image {order.image.id}: another"
            " program moved the local tag meanwhile, keep it away and run the same command again",
            pushed,
        )
    return pushed


def _check_version_tag(share: Share, seen: Observed) -> None:
    """Notice a rival: a version tag that is gone may only be read late, so that is asked again for some seconds."""
    held = seen.digests[share.version_tag]
    for pause in _CONFIRM_PAUSES:
        if held is not None:
            break
        time.sleep(pause)
        held = share.repository.digest(share.version_tag)
    if held != share.digest:
        raise _overwritten(share, share.version_tag, held)


def _overwritten(share: Share, tag: Tag, digest: Digest | None) -> Conflict:
    now = f"it holds another image now, {digest}" if digest else "it is gone now"
    return Conflict(
        f"somebody else wrote {share.repository.name}:{tag} during this release, and {now}: agree on one image, and"
        " release the other under a new version"
    )


# -- steps 4 to 6: the floating tags -------------------------------------------------------------------------------


def _float(engine: Engine, local: LocalTags, shares: Sequence[Share], order: Order, progress: Progress) -> None:
    at_once([partial(_replan, share, order) for share in shares if share.pushed])
    references = [share.repository.name.tagged(tag) for share in shares for tag in _due(share)]
    for reference in references:
        local.tag(reference)
    for share in shares:
        share.touched = True
    if order.via is FloatsVia.ENGINE:
        at_once([partial(_push_floating, engine, reference, progress) for reference in references])
    at_once([partial(_settle, share, order, progress) for share in shares])


def _replan(share: Share, order: Order) -> None:
    """Observe and plan again, now that the version tag stands: somebody else may have released meanwhile."""
    seen = _observe(share.repository, order)
    _check_version_tag(share, seen)
    share.plan = _planned_again(share, order, seen)


def _planned_again(share: Share, order: Order, seen: Observed) -> Plan:
    """Plan the floating tags anew; what happens to the version tag was decided before it was pushed."""
    versions = {**seen.versions, order.version: share.version_tag}
    digests: Mapping[Tag, Digest | None] = {**seen.digests, share.version_tag: share.digest}
    now = plan(order.version, share.digest, replace(seen, versions=versions, digests=digests), order.scheme)
    return Plan(order.version, (share.plan.version_change, *now.floating_changes))


def _due(share: Share) -> list[Tag]:
    """Give the floating tags that this version is to take."""
    return [c.tag for c in share.plan.floating_changes if c.action in WRITES and c.version == share.plan.version]


def _push_floating(engine: Engine, reference: Reference, progress: Progress) -> None:
    digest = engine.push(reference)
    progress(f"pushed {reference} at {digest}")


def _settle(share: Share, order: Order, progress: Progress) -> None:
    """Put right and verify the cascade: a tag that the Engine pushed with another digest is mended here too."""
    assert share.digest, "a version that is published has a digest"  # noqa: S101 - steps 1 and 3 see to it
    floats = order.scheme.floating_tags(order.version)
    goal = Goal(present={order.version: share.digest})
    settled = settle(share.repository, order.scheme, floats, goal)
    _check_version_tag(share, settled)
    share.now.update({tag: settled.digests[tag] for tag in floats})
    share.plan = _planned_again(share, order, settled)
    progress(f"verified {share.repository.name}")


# -- step 7: report ------------------------------------------------------------------------------------------------


def _report(order: Order, shares: Sequence[Share], outcome: Outcome, error: str | None = None) -> Release:
    refused = any(share.plan.refused for share in shares)
    planned = outcome in (Outcome.PLANNED, Outcome.UNCHANGED)
    describe = _planned if planned else _done if outcome is Outcome.RELEASED else _refused if refused else _failed
    return Release(
        order.name, str(order.version), order.dry_run, outcome, tuple(describe(share) for share in shares), error
    )


def _planned(share: Share) -> Released:
    return Released(share.repository.name, share.digest, share.plan.changes)


def _refused(share: Share) -> Released:
    """Say that nothing is written; where this repository refuses nothing itself, another one did."""
    changes = share.plan.changes
    if not share.plan.refused:
        why = "nothing is written, since another repository refuses"
        changes = tuple(replace(c, action=Action.KEEP, after=c.before, reason=why) for c in changes)
    return Released(share.repository.name, share.before, changes)


def _done(share: Share) -> Released:
    """Say what became of each tag: its digests as they were first seen and as they were verified last."""
    changes = []
    for change in share.plan.changes:
        own = change.version == share.plan.version and change.tag != share.version_tag
        changes.append(_changed(share, change, None if own else change.reason))
    return Released(share.repository.name, share.digest, tuple(changes))


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
                    reason="put back" if begun else "not written",
                )
            )
        elif change.tag != share.version_tag:
            changes.append(_changed(share, change, "put where the published versions say"))
        else:
            changes.append(_changed(share, change, change.reason if share.stands else "another image"))
    held = None if share.version_tag in share.in_doubt else share.now.get(share.version_tag, share.before)
    return Released(share.repository.name, held, tuple(changes))


def _changed(share: Share, change: Change, reason: str | None) -> Change:
    before = share.first.digests.get(change.tag)
    after = share.now.get(change.tag, before)
    if change.tag in share.first.unreadable or (before and before != after):
        action = Action.MOVE
    elif before != after:
        action = Action.CREATE
    else:
        action = Action.UNCHANGED if change.version == share.plan.version else Action.KEEP
    return replace(change, action=action, before=before, after=after, reason=reason)
