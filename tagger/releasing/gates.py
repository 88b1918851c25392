"""The gates, before the first tag moves: each image waits as a candidate until every gate has passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tagger.errors import AGAIN, GateFailed
from tagger.gating.command import Present, Subject
from tagger.names import Digest, Reference, Repository
from tagger.oci.evidence import Origin
from tagger.releasing.candidates import put, staged
from tagger.releasing.observe import observe, plan
from tagger.releasing.order import Engine, FloatsVia, Image, Target
from tagger.releasing.outcome import Outcome
from tagger.releasing.state import Run
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Approved:
    """Writes the version tags by manifest PUTs of the approved digests; local tags are left to the Engine."""

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
        """Point a tag at the approved digest, and return it. Raises what the registry raises."""
        put(self.targets[reference.repository], reference, self.digests[reference])
        return self.digests[reference]


def pass_gates(run: Run) -> Outcome | None:
    """Run every gate for the exact digests, and then check the evidence, which gates may have added.

    Then observe and plan again, because the gates may have taken hours.

    Raises GateFailed.
    """
    if not run.order.judges:
        return None
    candidates = staged(run)
    digests = {share.reference: candidates.get(share.placement) or share.digest for share in run.shares}
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
        run.deadline.check()
        if ran.failed:
            raise GateFailed(
                f"no tag moved, because the gate {gate} {ran.failed} for {subject.reference}",
                f"check its output, and {AGAIN}",
            )


def _look_for_evidence(run: Run, subject: Subject, origin: Origin | None) -> None:
    if not run.order.require:
        return
    found = run.opened.evidence(subject.repository, subject.digest)
    present = [Present(kind, subject, found.where(kind), found.lacks(kind, origin)) for kind in run.order.require]
    run.evidence += present
    if lacks := [each.lacks for each in present if each.lacks]:
        raise GateFailed(
            f"no tag moved, because evidence about {subject.reference} is missing ({'; '.join(lacks)})",
            f"add it, for example with a gate, and {AGAIN}",
        )
