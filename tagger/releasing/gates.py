"""Between the plan and the first tag that moves: each image waits as a candidate until every gate lets it through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tagger.errors import AGAIN, BadAnswer, GateFailed, InvalidReference, TaggerError
from tagger.gating.command import Present, Subject
from tagger.names import Digest, Reference, Repository, Tag
from tagger.oci.evidence import Origin
from tagger.releasing.local import LocalTags
from tagger.releasing.observe import observe, plan
from tagger.releasing.order import Engine, FloatsVia, Image, Target
from tagger.releasing.outcome import Outcome
from tagger.releasing.placement import Placement
from tagger.releasing.push import push_version_tags
from tagger.releasing.rollback import put_back
from tagger.releasing.state import Run, Share
from tagger.repository.remove import take_alone
from tagger.rules.candidate import candidate
from tagger.rules.plan import WRITES


@dataclass(frozen=True, slots=True)
class Approved:
    """Writes the version tags by manifest PUTs of the digests that the gates saw; local tags are the Engine's."""

    engine: Engine
    targets: Mapping[Repository, Target]
    digests: Mapping[Reference, Digest]

    def tagged(self, reference: Reference) -> Image | None:
        """Return the image behind a local tag."""
        return self.engine.tagged(reference)

    def tag(self, image: Digest, reference: Reference) -> None:
        """Point a local tag at an image."""
        self.engine.tag(image, reference)

    def untag(self, reference: Reference) -> None:
        """Remove a local tag."""
        self.engine.untag(reference)

    def push(self, reference: Reference) -> Digest:
        """Point a tag at the digest that the gates saw, and return it. Raises what the registry raises."""
        assert reference.tag, "a release pushes tags"  # noqa: S101 - it does
        _put(self.targets[reference.repository], reference.tag, self.digests[reference])
        return self.digests[reference]


def pass_gates(run: Run) -> Outcome | None:
    """Let every gate judge the exact digests, and look for evidence that they may have added.

    Then look and plan again, since that may have taken hours.

    Raises GateFailed.
    """
    if not run.order.judges:
        return None
    staged = _staged(run)
    digests = {share.reference: staged.get(share.placement) or share.digest for share in run.shares}
    approved = {reference: digest for reference, digest in digests.items() if digest}
    subjects = {
        Subject(share.repository.name, digest, str(run.order.version)): share.placement.image
        for share in run.shares
        if (digest := approved.get(share.reference))
    }
    for subject in subjects:
        _judge(run, subject)
    for subject, image in subjects.items():
        _look_for_evidence(run, subject, run.opened.origins.get(image))
    run.engine = Approved(run.engine, run.opened.targets, approved)
    run.order = replace(run.order, via=FloatsVia.REGISTRY)
    run.sights = None
    observe(run)
    return plan(run)


def _judge(run: Run, subject: Subject) -> None:
    from tagger.gating.process import run as started

    for gate in run.order.gates:
        run.progress(f"running {gate} for {subject.reference}")
        ran = started(gate, subject, run.order.gate_seconds, run.deadline, run.progress)
        run.ran.append(ran)
        if ran.failed:
            raise GateFailed(
                f"no tag moved, because the gate {gate} {ran.failed} for {subject.reference}",
                f"see what it says, and {AGAIN}",
            )


def _look_for_evidence(run: Run, subject: Subject, origin: Origin | None) -> None:
    if not run.order.require:
        return
    found = run.opened.evidence(subject.repository, subject.digest)
    present = [Present(kind, subject, found.where(kind), found.lacks(kind, origin)) for kind in run.order.require]
    run.evidence += present
    if lacks := [each.lacks for each in present if each.lacks]:
        raise GateFailed(
            f"no tag moved, because for {subject.reference} {'; '.join(lacks)}",
            f"add it to the image, perhaps by a gate, and {AGAIN}",
        )


# -- candidates ----------------------------------------------------------------------------------------------------


def _staged(run: Run) -> dict[Placement, Digest]:
    """Bring every image whose version tag is to be written to its registry, and return its digest there.

    It goes under a tag of its own, which is a pre-release that no floating tag follows.
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
    """Let a candidate have the name of its digest alone, as far as the registry removes the other one."""
    name = share.repository.name.tagged(_candidate_tag(run, share, digest))
    if name in run.candidates:
        return
    assert name.tag, "a candidate has a tag"  # noqa: S101 - see above
    uploaded = [each for each in run.candidates if each.repository == name.repository]
    run.candidates[name] = digest
    if share.repository.digest(name.tag) != digest:  # it may be there already, and immutable
        _put(share.repository, name.tag, digest)
    for each in uploaded:
        if run.candidates[each] == digest:
            _remove(run, each)


def _candidate_tag(run: Run, share: Share, digest: Digest) -> Tag:
    return share.scheme.version_tag(candidate(run.order.version, digest))


def _put(target: Target, tag: Tag, digest: Digest) -> None:
    manifest = target.manifest(digest)
    if manifest is None:
        raise BadAnswer(f"{target.name} no longer has {digest}", AGAIN)
    target.put(tag, manifest)


# -- afterwards ----------------------------------------------------------------------------------------------------


def remove_candidates(run: Run) -> None:
    """Remove the candidates of what has its version tag now, also those that an earlier attempt left.

    What stays becomes a warning.
    """
    if not run.order.judges:
        return
    put_local_tags_back(run)
    for share in run.shares:
        run.candidates |= dict(_left(run, share))
        share.seen = None  # a registry may take more than it should, which the next look shows
    for reference in [*run.candidates]:
        if why := _remove(run, reference):
            run.notes.append(f"{reference} stays, since {why}")
            run.candidates.pop(reference)


def name_candidates(run: Run) -> None:
    """Say under which tags images wait for the next attempt; the release has failed, so a signal ends nothing more."""
    with contextlib.suppress(KeyboardInterrupt):
        put_local_tags_back(run)
    if there := [str(reference) for reference in run.candidates if _may_be_there(run, reference)]:
        names = ", ".join(there)
        run.notes.append(f"the image stays as {names} for the next attempt; tagger rm or tagger prune removes it")


def _may_be_there(run: Run, reference: Reference) -> bool:
    assert reference.tag, "a candidate has a tag"  # noqa: S101 - see above
    try:
        return run.opened.targets[reference.repository].digest(reference.tag) is not None
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
    """Remove a candidate alone, and return why it stays, if it does; one that holds another image is left alone."""
    target = run.opened.targets[reference.repository]
    assert reference.tag, "a candidate has a tag"  # noqa: S101 - see above
    here = [share for share in run.shares if share.repository.name == reference.repository]
    listed = {tag for share in here for tag in share.first.listed}
    versions = {share.version_tag for share in here if share.published}
    others = {each.tag for each in run.candidates if each.repository == reference.repository and each.tag}
    try:
        held = target.digest(reference.tag)
        if held not in (None, run.candidates[reference]):
            return "somebody else has moved it"
        if held:
            take_alone(target, reference.tag, held, [*(listed | versions | others) - {reference.tag}])
    except TaggerError as error:
        return error.what
    del run.candidates[reference]
    return None


def put_local_tags_back(run: Run) -> None:
    """Put back the local tags of candidates, now that the image may have another name."""
    for local in run.waiting:
        run.notes += [f"the local tag {reference} could not be removed" for reference in local.put_back([])]
    run.waiting.clear()
