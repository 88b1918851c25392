"""Candidates: each image of a release waits in its registry, under a tag that no floating tag follows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tagger.errors import AGAIN, InvalidReference, TaggerError
from tagger.names import Digest, Reference, Tag
from tagger.releasing.local import LocalTags
from tagger.releasing.observe import observe, plan
from tagger.releasing.order import Target
from tagger.releasing.placement import Placement
from tagger.releasing.push import push_version_tags
from tagger.releasing.rollback import put_back
from tagger.releasing.state import Run, Share
from tagger.repository.write import fetch, take_alone
from tagger.rules.candidate import candidate
from tagger.rules.plan import WRITES


def staged(run: Run) -> dict[Placement, Digest]:
    """Push every image whose version tag will be written, and return its digest in the registry.

    It gets its own tag, a pre-release that no floating tag follows.
    """
    waiting = [share for share in run.shares if share.plan.version_change.action in WRITES]
    by_id: dict[Digest, list[Share]] = {}
    for share in waiting:
        by_id.setdefault(share.digest or share.image.id, []).append(share)
    found: dict[Placement, Digest] = {}
    for digest, shares in by_id.items():
        found |= _staged_as(run, digest, [share.placement for share in shares])
    for share in waiting:
        _name_by_digest(run, share, found[share.placement])
    return found


def _staged_as(run: Run, digest: Digest, placements: Sequence[Placement]) -> dict[Placement, Digest]:
    """Release an image as a candidate, named by its digest, or by its ID while an Engine does not know the digest."""
    order = replace(run.order, version=candidate(run.order.version, digest), overwrite=True)
    local = LocalTags(run.engine)
    run.waiting.append(local)
    inner = Run(run.engine, replace(run.opened, placements=placements), order, run.told, local)
    try:
        next((ended for step in (observe, plan, push_version_tags) if (ended := step(inner))), None)
    except (Exception, KeyboardInterrupt) as problem:
        raise put_back(inner, problem) from problem
    finally:
        run.candidates |= {share.reference: share.digest for share in inner.shares if share.published and share.digest}
    return {share.placement: share.digest for share in inner.shares if share.digest}


def _name_by_digest(run: Run, share: Share, digest: Digest) -> None:
    """Name a candidate only by its digest, if the registry can remove the other tag."""
    name = share.repository.name.tagged(_candidate_tag(run, share, digest))
    if name in run.candidates:
        return
    uploaded = [each for each in run.candidates if each.repository == name.repository]
    run.candidates[name] = digest
    if share.repository.digest(_tag(name)) != digest:  # it may be there already, and immutable
        put(share.repository, name, digest)
    for each in uploaded:
        if run.candidates[each] == digest:
            _remove(run, each)


def _candidate_tag(run: Run, share: Share, digest: Digest) -> Tag:
    return share.scheme.version_tag(candidate(run.order.version, digest))


def put(target: Target, reference: Reference, digest: Digest) -> None:
    """Point a tag at an existing digest. Raises BadAnswer if it is gone, and what the registry raises."""
    target.put(_tag(reference), fetch(target, digest, AGAIN))


def _tag(reference: Reference) -> Tag:
    assert reference.tag, "a release writes tags"  # noqa: S101 - it does
    return reference.tag


# -- afterwards ----------------------------------------------------------------------------------------------------


def remove_candidates(run: Run) -> None:
    """Remove the candidates of images that have their version tag now, and those of earlier attempts.

    A warning names each that stays.
    """
    if not run.order.judges:
        return
    _put_local_tags_back(run)
    for share in run.shares:
        run.candidates |= dict(_left(run, share))
        share.seen = None  # a registry may remove more than it should, which the next read shows
    for reference in [*run.candidates]:
        if why := _remove(run, reference):
            run.notes.append(f"{reference} stays, because {why}")
            run.candidates.pop(reference)


def name_candidates(run: Run) -> None:
    """Report the tags under which images wait for the next attempt; a signal ends nothing more after a failure."""
    with contextlib.suppress(KeyboardInterrupt):
        _put_local_tags_back(run)
    if there := [str(reference) for reference in run.candidates if _may_be_there(run, reference)]:
        names = ", ".join(there)
        run.notes.append(f"the image stays as {names} for the next attempt; tagger rm removes it")


def _may_be_there(run: Run, reference: Reference) -> bool:
    try:
        return run.opened.targets[reference.repository].digest(_tag(reference)) is not None
    except (TaggerError, KeyboardInterrupt):
        return True


def _left(run: Run, share: Share) -> Iterator[tuple[Reference, Digest]]:
    """Yield the candidates of an image that the list of tags shows; a version that is too long has none."""
    if (held := share.digest) is None:
        return
    for digest in {held, share.image.id}:
        with contextlib.suppress(InvalidReference):
            if (tag := _candidate_tag(run, share, digest)) in share.first.listed:
                yield share.repository.name.tagged(tag), held


def _remove(run: Run, reference: Reference) -> str | None:
    """Remove only a candidate, and return why it stays, if it does; one with another image is not touched."""
    target, tag = run.opened.targets[reference.repository], _tag(reference)
    here = [share for share in run.shares if share.repository.name == reference.repository]
    listed = {tag for share in here for tag in share.first.listed}
    versions = {share.version_tag for share in here if share.published}
    others = {_tag(each) for each in run.candidates if each.repository == reference.repository}
    try:
        held = target.digest(tag)
        if held not in (None, run.candidates[reference]):
            return "somebody else has moved it"
        if held:
            take_alone(target, tag, held, [*(listed | versions | others) - {tag}])
    except TaggerError as error:
        return error.what
    del run.candidates[reference]
    return None


def _put_local_tags_back(run: Run) -> None:
    """Put back the local tags of candidates, because the image may have another name now."""
    for local in run.waiting:
        run.notes += [f"the local tag {reference} could not be removed" for reference in local.put_back([])]
    run.waiting.clear()
