"""A release in seven steps: observe, plan, push the version tag, observe again, push the floating tags, settle, report.

Several repositories are one release: the version tag is pushed and verified everywhere before a floating tag moves
anywhere, and a failure after that puts the floating tags back everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Protocol

from tagger.cascade import Scheme, Version
from tagger.errors import (
    Conflict,
    EngineError,
    Interrupted,
    Refused,
    RegistryError,
    ReleaseFailed,
    TaggerError,
    Unsettled,
    WrongImage,
)
from tagger.plan import WRITES, Action, Change, Observed, Plan, plan
from tagger.reference import Digest, Reference, Tag
from tagger.result import Outcome, Release, Released
from tagger.settle import Goal, Tags, at_once, observe, settle

Progress = Callable[[str], None]
_CONFIRM_PAUSES = (0.0, 0.3, 1.0, 2.0, 4.0, 8.0)


class FloatsVia(StrEnum):
    """What moves the floating tags: a push through the Engine, or a manifest PUT to the registry."""

    ENGINE = "engine"
    REGISTRY = "registry"


class Image(Protocol):
    """An image as a release sees it."""

    @property
    def id(self) -> Digest:
        """Give the Engine's ID."""

    @property
    def digest(self) -> Digest | None:
        """Give the digest that it has in every registry, None where the Engine's store does not know."""


class Engine(Protocol):
    """An Engine as a release sees it."""

    def tagged(self, reference: Reference) -> Image | None:
        """Give the image behind a local tag."""

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image."""

    def untag(self, reference: Reference) -> None:
        """Take a local tag away."""

    def push(self, reference: Reference) -> Digest:
        """Push a tag and give its digest."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be released, and how."""

    name: str
    image: Image
    version: Version
    scheme: Scheme = field(default_factory=Scheme)
    via: FloatsVia = FloatsVia.ENGINE
    overwrite: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class _Share:
    """One repository's share of a release while it runs.

    `first` is what was seen before anything was written, `plan` the plan in force, `digest` the version tag's digest
    once that is verified, `wrong` the digest of a push that was not our image, `settled` what was verified last.
    """

    repository: Tags
    first: Observed
    plan: Plan
    digest: Digest | None
    pushed: bool = False
    touched: bool = False
    wrong: Digest | None = None
    settled: Observed | None = None
    lost: Sequence[Tag] = ()

    @property
    def version_tag(self) -> Tag:
        return self.plan.version_change.tag

    @property
    def before(self) -> Digest | None:
        """Give what the version tag held before this release."""
        return self.first.digests.get(self.version_tag)

    @property
    def overwrote(self) -> bool:
        """Say whether this release was forced over another image."""
        return self.pushed and self.before is not None and self.before != self.digest

    @property
    def stands(self) -> bool:
        """Say whether the version is published here with our image."""
        return self.digest is not None and (self.pushed or self.before == self.digest)


def release(engine: Engine, repositories: Sequence[Tags], order: Order, progress: Progress = lambda _: None) -> Release:
    """Release an image; see the module for the order of things.

    Raises a TaggerError, or its subclass Interrupted, whose `release` says what became of every tag.
    """
    shares: list[_Share] = []
    local = _LocalTags(engine, order.image.id)
    try:
        shares = at_once([partial(_begin, repository, order) for repository in repositories])
        if refusals := [share.plan.refused for share in shares if share.plan.refused]:
            raise Refused(refusals[0])
        if order.dry_run:
            return _report(order, shares, Outcome.PLANNED)
        if not any(share.plan.writes for share in shares):
            return _report(order, shares, Outcome.UNCHANGED)
        _publish(engine, local, shares, order, progress)
        _float(engine, local, shares, order, progress)
        return _report(order, shares, Outcome.RELEASED)
    except (TaggerError, KeyboardInterrupt) as problem:
        final = _give_up(problem, local, shares, order, progress)
        final.release = _report(order, shares, Outcome(final.outcome), str(final))
        raise final from None


# -- steps 1 and 2: observe and plan -------------------------------------------------------------------------------


def _begin(repository: Tags, order: Order) -> _Share:
    seen = _observe(repository, order)
    digest = _digest_here(repository, order, seen)
    return _Share(repository, seen, plan(order.version, digest, seen, order.scheme, overwrite=order.overwrite), digest)


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


def _publish(engine: Engine, local: _LocalTags, shares: Sequence[_Share], order: Order, progress: Progress) -> None:
    for share in shares:
        change = share.plan.version_change
        if change.action not in WRITES:
            continue
        reference = share.repository.name.tagged(change.tag)
        local.tag(reference)
        progress(f"pushing {reference}")
        share.pushed, share.digest = True, None
        try:
            share.digest = _confirm(share, change, engine.push(reference), order)
        except WrongImage as error:
            share.wrong = error.digest
            raise
        progress(f"pushed {reference} at {share.digest}")


def _confirm(share: _Share, change: Change, pushed: Digest, order: Order) -> Digest:
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


def _check_version_tag(share: _Share, seen: Observed) -> None:
    if seen.digests[share.version_tag] not in (share.digest, None):
        raise _overwritten(share, share.version_tag, seen.digests[share.version_tag])


def _overwritten(share: _Share, tag: Tag, digest: Digest | None) -> Conflict:
    return Conflict(
        f"somebody else wrote {share.repository.name}:{tag} during this release, and it holds another image now,"
        f" {digest}: agree on one image, and release the other under a new version"
    )


# -- steps 4 to 6: the floating tags -------------------------------------------------------------------------------


def _float(engine: Engine, local: _LocalTags, shares: Sequence[_Share], order: Order, progress: Progress) -> None:
    at_once([partial(_replan, share, order) for share in shares if share.pushed])
    references = [share.repository.name.tagged(tag) for share in shares for tag in _due(share)]
    for reference in references:
        local.tag(reference)
    for share in shares:
        share.touched = True
    if order.via is FloatsVia.ENGINE:
        at_once([partial(_push_floating, engine, reference, progress) for reference in references])
    at_once([partial(_settle, share, order, progress) for share in shares])


def _replan(share: _Share, order: Order) -> None:
    """Observe and plan again, now that the version tag stands: somebody else may have released meanwhile."""
    seen = _observe(share.repository, order)
    tag = share.version_tag
    _check_version_tag(share, seen)
    versions = {**seen.versions, order.version: tag}
    digests: Mapping[Tag, Digest | None] = {**seen.digests, tag: share.digest}
    share.plan = plan(order.version, share.digest, replace(seen, versions=versions, digests=digests), order.scheme)


def _due(share: _Share) -> list[Tag]:
    """Give the floating tags that this version is to take."""
    return [c.tag for c in share.plan.floating_changes if c.action in WRITES and c.version == share.plan.version]


def _push_floating(engine: Engine, reference: Reference, progress: Progress) -> None:
    digest = engine.push(reference)
    progress(f"pushed {reference} at {digest}")


def _settle(share: _Share, order: Order, progress: Progress) -> None:
    """Put right and verify the cascade: a tag that the Engine pushed with another digest is mended here too."""
    assert share.digest, "a version that is published has a digest"  # noqa: S101 - steps 1 and 3 see to it
    floats = order.scheme.floating_tags(order.version)
    goal = Goal(present={order.version: share.digest})
    share.settled = settle(share.repository, order.scheme, floats, goal)
    _check_version_tag(share, share.settled)
    progress(f"verified {share.repository.name}")


# -- a failure or an interruption ----------------------------------------------------------------------------------


class _LocalTags:
    """The local tags that a release made, and what they were before."""

    def __init__(self, engine: Engine, image: Digest) -> None:
        self._engine = engine
        self._image = image
        self._before: dict[Reference, Digest | None] = {}

    def tag(self, reference: Reference) -> None:
        held = self._engine.tagged(reference)
        self._before.setdefault(reference, held.id if held else None)
        self._engine.tag(self._image, reference)

    def put_back(self, standing: Sequence[Reference]) -> None:
        """Put back every local tag whose like in the registry does not stand, unless another program has moved it."""
        for reference, before in self._before.items():
            now = self._engine.tagged(reference)
            if reference in standing or now is None or now.id != self._image:
                continue
            if before is None:
                self._engine.untag(reference)
            else:
                self._engine.tag(before, reference)


def _give_up(
    problem: TaggerError | KeyboardInterrupt,
    local: _LocalTags,
    shares: Sequence[_Share],
    order: Order,
    progress: Progress,
) -> TaggerError:
    """Put everything back, and give the error that says what came of it."""
    problem = problem.with_traceback(None)
    if any(share.pushed or share.touched for share in shares):
        progress("putting the tags back")
    try:
        at_once([partial(_put_back, share, order) for share in shares if share.pushed or share.touched])
        local.put_back([s.repository.name.tagged(s.version_tag) for s in shares if s.stands])
    except KeyboardInterrupt:
        for share in shares:
            share.lost = _written(share)
    except EngineError as error:
        problem = problem if isinstance(problem, KeyboardInterrupt) else ReleaseFailed(f"{problem}; and {error}")
    return _final(problem, shares)


def _final(problem: TaggerError | KeyboardInterrupt, shares: Sequence[_Share]) -> TaggerError:
    said = "interrupted" if isinstance(problem, KeyboardInterrupt) else str(problem)
    lost = [str(share.repository.name.tagged(tag)) for share in shares for tag in share.lost]
    if lost:
        return Unsettled(
            f"{said}; these tags could not be put back: {', '.join(lost)}: run the same command again", lost
        )
    stands = [share for share in shares if share.pushed and share.stands]
    if stands:
        consequence = "the floating tags are where they were, and running the same command again finishes the job"
    else:
        consequence = "no tag moved in the registry"
    if isinstance(problem, KeyboardInterrupt):
        return Interrupted(f"{said}: {consequence}", problem)
    if isinstance(problem, Conflict) or not any(share.pushed or share.touched for share in shares):
        return problem
    if isinstance(problem, Refused) and not stands:
        return problem
    return ReleaseFailed(f"{said}; {consequence}")


def _put_back(share: _Share, order: Order) -> None:
    """Settle the cascade to the versions without this one, and name in `share.lost` what cannot be put back."""
    try:
        new = _version_is_new(share, order)
        if share.touched:
            floats = order.scheme.floating_tags(order.version)
            held = {t: d for t, d in share.first.digests.items() if t not in share.first.unreadable}
            goal = Goal(absent=frozenset({order.version}) if new else frozenset(), otherwise=held)
            share.settled = settle(share.repository, order.scheme, floats, goal)
    except Unsettled as error:
        written = _written(share)
        share.lost = [*share.lost, *(tag for tag in written if tag in error.tags)]
    except TaggerError:
        share.lost = _written(share)


def _version_is_new(share: _Share, order: Order) -> bool:
    """Say whether the version is published by this release alone; withdraw what is not our image on the way.

    A version that stood before stands again: with its old image, where this release was forced over that.
    """
    if not share.pushed:
        return False
    now = share.repository.manifest(share.version_tag)
    if now and now.digest == share.wrong:
        _restore_version_tag(share)
        return share.before is None
    if now and share.digest is None and now.digest != share.before and now.is_image(order.image.id):
        share.digest = now.digest
    if share.overwrote and now and now.digest == share.digest:
        _restore_version_tag(share)
        share.digest = None
        return False
    return share.before is None and (now is None or now.digest == share.digest)


def _restore_version_tag(share: _Share) -> None:
    try:
        manifest = share.repository.manifest(share.before) if share.before else None
        if manifest:
            share.repository.put(share.version_tag, manifest)
        else:
            share.repository.remove(share.version_tag)
    except TaggerError:
        share.lost = [share.version_tag]


def _written(share: _Share) -> list[Tag]:
    """Name the floating tags that this release was about to write, or has written."""
    return [c.tag for c in share.plan.floating_changes if share.touched and c.action in WRITES]


# -- step 7: report ------------------------------------------------------------------------------------------------


def _report(order: Order, shares: Sequence[_Share], outcome: Outcome, error: str | None = None) -> Release:
    planned = outcome in (Outcome.PLANNED, Outcome.UNCHANGED, Outcome.REFUSED)
    describe = _planned if planned else _done if outcome is Outcome.RELEASED else _failed
    return Release(
        order.name,
        str(order.version),
        order.dry_run,
        outcome,
        tuple(Released(share.repository.name, share.digest, describe(share)) for share in shares),
        error,
    )


def _planned(share: _Share) -> tuple[Change, ...]:
    return share.plan.changes


def _done(share: _Share) -> tuple[Change, ...]:
    """Say what became of each tag: its digests as they were first seen and as they were verified last."""
    assert share.settled, "a release is done when it is settled"  # noqa: S101 - step 6 sees to it
    seen = {**share.settled.digests, share.version_tag: share.digest}
    return tuple(
        replace(c, before=share.first.digests.get(c.tag), after=seen[c.tag], action=_action(share, c, seen[c.tag]))
        for c in share.plan.changes
    )


def _action(share: _Share, change: Change, after: Digest | None) -> Action:
    before = share.first.digests.get(change.tag)
    if change.tag in share.first.unreadable:
        return Action.MOVE
    if before == after:
        return Action.UNCHANGED if change.version == share.plan.version else Action.KEEP
    return Action.MOVE if before else Action.CREATE


def _failed(share: _Share) -> tuple[Change, ...]:
    """Say where each tag is after a failure; what is in doubt has no digest."""
    changes = []
    for change in share.plan.changes:
        before = share.first.digests.get(change.tag)
        if change.tag in share.lost:
            changes.append(replace(change, before=before, after=None, reason="not put back"))
        elif change.tag == share.version_tag and share.stands:
            changes.append(
                replace(change, before=before, after=share.digest, action=_action(share, change, share.digest))
            )
        else:
            now = share.settled.digests.get(change.tag) if share.settled else before
            reason = "put back" if change.tag in _written(share) else "not written"
            changes.append(replace(change, before=before, after=now, action=Action.KEEP, reason=reason))
    return tuple(changes)
