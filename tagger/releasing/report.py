"""The last step of a release: the result for every tag, as values and in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tagger.errors import (
    AGAIN,
    Conflict,
    Fault,
    Immutable,
    Interrupted,
    Refused,
    ReleaseFailed,
    TaggerError,
    Unsettled,
)
from tagger.names import Digest, Reference, Tag
from tagger.releasing.observe import due
from tagger.releasing.order import Order
from tagger.releasing.outcome import Outcome, Release, Released
from tagger.releasing.state import Foreign, Run, Share
from tagger.rules.foreign import like_rebuilds
from tagger.rules.plan import Action, Change


def report(run: Run, outcome: Outcome, problem: TaggerError | None = None) -> Release:
    """Return the result for every tag."""
    describe = _describe(run.shares, outcome)
    return Release(
        ", ".join(dict.fromkeys(placement.image for placement in run.opened.placements)),
        str(run.order.version),
        run.order.dry_run,
        outcome,
        tuple(Released(share.placement, *describe(share)) for share in run.shares),
        problem,
        (*_differing(run.shares), *(warning for share in run.shares for warning in _odd(share)), *run.notes),
        tuple(run.ran),
        tuple(run.ran_after),
        tuple(run.evidence),
    )


# -- every tag as a value ------------------------------------------------------------------------------------------

Described = tuple[Digest | None, tuple[Change, ...]]


def _describe(shares: Sequence[Share], outcome: Outcome) -> Callable[[Share], Described]:
    if outcome in (Outcome.PLANNED, Outcome.UNCHANGED):
        return lambda share: (share.digest, (*share.plan.changes, *filter(None, [share.plan.named])))
    if outcome is Outcome.RELEASED:
        return _done
    return _refused if any(share.plan.refused for share in shares) else _failed


def _refused(share: Share) -> Described:
    """Return that nothing is written; the refusal may be that of another repository."""
    changes = share.plan.changes
    if not share.plan.refused:
        why = "not written, because another repository refuses"
        changes = tuple(replace(c, action=Action.KEEP, after=c.before, reason=why) for c in changes)
    return share.before, changes


def _done(share: Share) -> Described:
    """Return the first digest and the last verified digest of each tag."""

    def reason(change: Change) -> str | None:
        own = change.version == share.plan.version and change.tag != share.version_tag
        return None if own else change.reason

    changes = (_changed(share, change, reason(change)) for change in share.plan.changes)
    return share.digest, (*changes, *share.named.values())


def _failed(share: Share) -> Described:
    """Return where each tag is after a failure; one in doubt has no digest."""
    held = None if share.version_tag in share.in_doubt else share.now.get(share.version_tag, share.before)
    named = (
        change if change.tag in share.now else replace(change, action=Action.KEEP, after=None, reason="not known")
        for change in share.named.values()
    )
    return held, (*(_after_failure(share, change) for change in share.plan.changes), *named)


def _after_failure(share: Share, change: Change) -> Change:
    before = share.first.digests.get(change.tag)
    if change.tag in share.in_doubt:
        why = "not known" if change.tag == share.version_tag else "not put back"
        return replace(change, before=before, after=None, reason=why)
    if share.now.get(change.tag, before) == before:
        begun = share.pushed if change.tag == share.version_tag else change.tag in share.written
        why = ("put back" if before else "removed again") if begun else "not written"
        return replace(change, action=Action.KEEP, before=before, after=before, reason=why)
    if change.tag != share.version_tag:
        return _changed(share, change, "moved to match the published versions")
    return _changed(share, change, change.reason if share.published else "another image")


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


# -- warnings ------------------------------------------------------------------------------------------------------


def _odd(share: Share) -> Iterator[str]:
    """Yield the drifted floating tags that this release does not move, and those that held an unknown image."""
    name = share.repository.name
    if hint := like_rebuilds(share.first.published):
        yield f"{name}: {hint}"
    for change in share.plan.floating_changes:
        if change.drifted and not share.first.nearly:
            yield f"{name}:{change.tag} should hold {change.version}: tagger repair {name} would move it there"
    if share.unserved:
        yield (
            f"{share.reference} was pushed as {share.digest}, but {name.registry} did not serve the image, so"
            " tagger could not compare it"
        )
    for tag, digest in share.unknown.items():
        yield f"{name}:{tag} held an image of no known version: {digest}"
    for tag in share.first.unreadable & {*share.moves()}:
        yield f"{name}:{tag} was written although the registry could not say where it pointed"


def _differing(shares: Sequence[Share]) -> Iterator[str]:
    """Yield warnings about one image with several digests: some Engines compress the layers again for each push."""
    images: dict[Digest, dict[Digest, Share]] = {}
    for share in shares:
        if share.digest and share.published:
            images.setdefault(share.image.id, {}).setdefault(share.digest, share)
    for digests in images.values():
        if len(digests) > 1:
            where = ", ".join(f"{digest} in {share.repository.name}" for digest, share in digests.items())
            yield f"the same image has different digests, because its layers were compressed again: {where}"


# -- two releases of one version -----------------------------------------------------------------------------------


def duel(share: Share, order: Order) -> str | None:
    """Return what to say if our push of the version tag seems to have overwritten somebody else's image.

    Registries do not say so. But a release of another image of the same version moves all floating tags to one digest
    that no other version has. One tag alone may be anybody's push. A rebuild that is overwritten takes the next number
    itself.
    """
    if share.seen is None or share.scheme.numbering.plain(order.version) != order.version:
        return None
    seen = share.seen.digests
    tags = [tag for tag in due(share.scheme, order.version, share.seen) if seen[tag] != share.digest]
    held = {seen[tag] for tag in tags}
    moved = all(seen[tag] != share.first.digests.get(tag) for tag in tags)
    if len(tags) < 2 or len(held) != 1 or not moved or not share.unknown.keys() >= {*tags}:  # noqa: PLR2004 - see above
        return None
    return (
        f"{share.reference} and its floating tags hold this image now, but somebody else had just released"
        f" {held.pop()} there, apparently under the same version"
    )


# -- the error that ends a release ---------------------------------------------------------------------------------


def ended(problem: Exception | KeyboardInterrupt, shares: Sequence[Share], stuck: Sequence[Reference]) -> TaggerError:
    """Return the error with its cause and the state of the tags; `stuck` are local tags not restored."""
    begun = [share for share in shares if share.begun]
    unfinished = any(share.published or share.in_doubt for share in begun) and not _is_final(problem)
    said = _said(problem, again=unfinished)
    said += "".join(f"; the local tag {reference} could not be restored" for reference in stuck)
    if lost := [str(s.repository.name.tagged(tag)) for s in begun for tag in sorted(s.in_doubt) if _matters(s, tag)]:
        return Unsettled(f"{said}; could not restore or check {', '.join(lost)}", lost, AGAIN)
    if isinstance(problem, TaggerError) and not stuck and (not begun or isinstance(problem, Conflict)):
        return problem
    if isinstance(problem, Refused) and not stuck and not any(_left_something(share) for share in begun):
        return problem
    what = f"{said}; {_consequence(begun)}"
    hint = f"{AGAIN} to finish" if unfinished else ""
    return Interrupted(what, problem, hint) if isinstance(problem, KeyboardInterrupt) else ReleaseFailed(what, hint)


def _said(problem: Exception | KeyboardInterrupt, *, again: bool) -> str:
    """Return the cause, without the advice to run the command `again`, which comes at the end."""
    if isinstance(problem, KeyboardInterrupt):
        return "interrupted"
    error = problem if isinstance(problem, TaggerError) else Fault(problem)
    return error.what if again and error.hint == AGAIN else str(error)


def _matters(share: Share, tag: str) -> bool:
    """Return whether a tag in doubt may be out of place; a new version tag is right in any case."""
    return tag != share.version_tag or share.before is not None or isinstance(share.state, Foreign)


def _left_something(share: Share) -> bool:
    left = share.written or share.in_doubt
    return bool(left) or share.now.get(share.version_tag, share.before) != share.before


def _is_final(problem: BaseException) -> bool:
    """Return whether the same command would meet the same answer again."""
    return isinstance(problem.__cause__ if isinstance(problem, Unsettled) else problem, Immutable)


def _consequence(shares: Sequence[Share]) -> str:
    """Return where the tags are now."""
    parts = [
        f"the upload of {share.reference} was interrupted and may still appear" for share in shares if share.in_doubt
    ]
    for share in shares:
        held = share.now.get(share.version_tag, share.before)
        if held not in (share.before, share.digest) and not share.in_doubt:
            parts.append(f"{share.reference} now holds another image, {held}")
    floats = [(tag, share.now.get(tag, held) != held) for share in shares for tag, held in _floats_before(share)]
    moved, stayed = ([str(tag) for tag, has_moved in floats if has_moved is which] for which in (True, False))
    if moved and stayed:
        parts += [
            f"{', '.join(moved)} moved to match the published versions",
            f"the others are where they were ({', '.join(stayed)})",
        ]
    elif moved:
        parts.append("the floating tags match the published versions")
    elif parts or any(share.published for share in shares):
        parts.append("the floating tags are where they were")
    else:
        return "no tag moved in the registry"
    return ", and ".join(parts)


def _floats_before(share: Share) -> list[tuple[Tag, Digest | None]]:
    return [(c.tag, share.first.digests.get(c.tag)) for c in share.plan.floating_changes]
