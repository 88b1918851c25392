"""A release in nine steps.

Several images, repositories and variants are one release: the version tag is pushed and verified everywhere before a
floating tag moves anywhere, and a failure after that puts the floating tags back everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tagger.errors import Conflict
from tagger.events import Progress
from tagger.releasing.after import finish
from tagger.releasing.candidates import name_candidates, remove_candidates
from tagger.releasing.floats import push_floating_tags, settle_floating_tags
from tagger.releasing.gates import pass_gates
from tagger.releasing.local import LocalTags
from tagger.releasing.observe import AGREE, observe, observe_again, plan
from tagger.releasing.order import Engine, Opened, Order
from tagger.releasing.outcome import Outcome, Release
from tagger.releasing.push import push_version_tags
from tagger.releasing.rebuild import rebuild
from tagger.releasing.report import duel, report
from tagger.releasing.rollback import put_back
from tagger.releasing.state import Run
from tagger.rules.plan import Observed

STEPS: tuple[Callable[[Run], Outcome | None], ...] = (
    observe,  # list the versions, and read the tags that may move
    plan,  # a refusal, a dry run, and a release with nothing to do end here
    pass_gates,  # each image waits as a candidate until every gate has let it through; then observe and plan again
    push_version_tags,  # and verify them
    remove_candidates,  # no longer needed, and no floating tag holds their image yet
    observe_again,  # somebody else may have released meanwhile: plan the floating tags again
    push_floating_tags,
    settle_floating_tags,  # verify them, and write those that differ
)
"""Each step returns the outcome if the release ends with it. The ninth, `report`, always runs."""


def release(
    engine: Engine,
    opened: Opened,
    order: Order,
    progress: Progress = lambda _: None,
    sights: Sequence[Observed] | None = None,
) -> Release:
    """Release images, and return the result for every tag.

    `sights` is what `look` returned for the placements, if it was called just now.
    `progress` gets each event; its exceptions are ignored, because they must not stop the release.

    A failure is the `problem` of the result.
    """
    if order.as_revision:
        return rebuild(lambda numbered: release(engine, opened, numbered, progress), opened, order)
    run = Run(engine, opened, order, progress, LocalTags(engine), sights)
    try:
        outcome = next((ended for step in STEPS if (ended := step(run))), Outcome.RELEASED)
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - whatever it is, tags must not stay half moved
        final = put_back(run, problem)
        name_candidates(run)
        return report(run, Outcome.of(final), final)
    duels = [text for share in run.shares if (text := duel(share, order))] if outcome is Outcome.RELEASED else []
    interrupted = None if duels else finish(run, outcome)
    done = report(run, outcome, interrupted)
    return replace(done, outcome=Outcome.FAILED, problem=Conflict("; ".join(duels), AGREE)) if duels else done
