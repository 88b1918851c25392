"""The steps of a release that push the floating tags, verify them, and write those that differ."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tagger.errors import ConnectionLost, Transient, Unproven
from tagger.events import Line
from tagger.names import Digest, Tag
from tagger.releasing.observe import check_version_tag, planned_again
from tagger.releasing.order import FloatsVia
from tagger.releasing.state import Run, Share
from tagger.repository.settle import Goal, settle
from tagger.rules.plan import Observed


def push_floating_tags(run: Run) -> None:
    """Push the floating tags that move; without the Engine, the next step writes them."""
    if run.order.via is FloatsVia.REGISTRY:
        return
    run.at_once(_tagging(run))
    moving = [(share, tag) for share in run.shares for tag in share.moves()]
    for share, tag in moving:
        share.written.setdefault(tag, set()).add(_own_digest(share))
    run.at_once([partial(_push, run, share, tag) for share, tag in moving])


def settle_floating_tags(run: Run) -> None:
    """Verify the floating tags, and write those that differ by manifest PUT; then remove a forced version's mark."""
    if run.order.via is FloatsVia.REGISTRY:
        verifying = [partial(_verify, run, share, share.seen) for share in run.shares]
        run.at_once([*verifying, *_tagging(run)])
    else:  # the Engine's pushes moved tags after the last read
        run.at_once([partial(_verify, run, share) for share in run.shares])
    for share in run.shares:
        if tag := share.first.yanked.get(run.order.version):
            share.unmarked = share.repository.manifest(tag)
            share.repository.remove(tag)
            # A command that read the tags with the mark took the version for yanked.
            _settle(run, share)


def _tagging(run: Run) -> list[partial[None]]:
    """Return the tasks that make the local tags."""
    return [
        partial(run.local.tag, share.image.id, share.repository.name.tagged(tag))
        for share in run.shares
        for tag in share.moves()
    ]


def _own_digest(share: Share) -> Digest:
    assert share.digest, "a version that is published has a digest"  # noqa: S101 - the steps before see to it
    return share.digest


def _push(run: Run, share: Share, tag: Tag) -> None:
    reference = share.repository.name.tagged(tag)
    try:
        digest = run.engine.push(reference)
        share.written[tag].add(digest)
    except (Transient, ConnectionLost, Unproven) as error:
        # Settling reads the tags, and writes those that differ.
        run.progress(Line.about("writing", reference, f" by a manifest PUT instead, because {error.what}"))
    else:
        run.progress(Line.about("pushed", reference, f" at {digest}"))


def _verify(run: Run, share: Share, seen: Observed | None = None) -> None:
    _settle(run, share, seen)
    run.progress(Line.about("verified", share.repository.name))


def _settle(run: Run, share: Share, seen: Observed | None = None) -> None:
    """Verify the cascade, and write tags that differ, such as one that the Engine pushed with another digest."""
    floats = share.scheme.floating_tags(run.order.version)
    familiar = frozenset(d for tag in floats if (d := (share.seen or share.first).digests.get(tag)))
    own = _own_digest(share)
    unserved = frozenset(share.written) if share.unserved else frozenset()
    goal = Goal(present={run.order.version: own}, wrote=share.written, familiar=familiar, unserved=unserved)
    settled = settle(share.repository, share.scheme, floats, goal, seen)
    check_version_tag(share, settled)
    held_back = dict.fromkeys(unserved & settled.unreadable, own)
    settled = replace(settled, digests={**settled.digests, **held_back}, unreadable=settled.unreadable - unserved)
    share.now.update({tag: settled.digests[tag] for tag in floats})
    share.plan = planned_again(share, settled)
