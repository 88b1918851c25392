"""Put everything back after a failed or interrupted release, as `decide` says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tagger.errors import Abandoned, RegistryUnreachable, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Reference, Tag
from tagger.releasing.decision import Decision, Sight, astray, decide, touched
from tagger.releasing.report import ended
from tagger.releasing.state import Run, Share
from tagger.repository.observe import ask
from tagger.repository.settle import Goal, settle
from tagger.repository.write import fetch
from tagger.work import Deadline, Pauses

T = TypeVar("T")


def put_back(run: Run, problem: Exception | KeyboardInterrupt) -> TaggerError:
    """Put everything back, and return the error that reports the result.

    A signal ends it at once; the error names the tags that were not put back by then, and those of pushes that still
    run after a second signal.
    """
    begun = [share for share in run.shares if share.begun]
    for share in begun:
        share.in_doubt |= touched(share)
    stuck: list[Reference] = []
    try:
        if begun and not isinstance(problem, Abandoned):
            run.progress("putting the tags back")
            run.deadline.put_back()
            run.at_once([partial(_restore, share) for share in begun])
        stuck = run.local.put_back([share.reference for share in run.shares if share.published])
    except KeyboardInterrupt as signal:
        problem = signal
    final = ended(problem, run.shares, stuck)
    if not isinstance(problem, TaggerError | KeyboardInterrupt):
        final.__cause__ = problem
    return final


def _restore(share: Share) -> None:
    """Put one placement back; a tag that cannot go back stays `in_doubt`, and the others continue."""
    sight = None
    with contextlib.suppress(Exception):
        sight = _sight(share) if share.pushed else None
    decision = decide(share, sight)
    share.state = decision.state
    if sight:
        share.now[share.version_tag] = sight.digest
    share.in_doubt &= {*decision.put_back, *decision.remove, *decision.name, *share.written}
    _write(share, decision)
    if decision.goal:
        _settle(share, decision.goal)


def _sight(share: Share) -> Sight:
    """Read the version tag; a registry that has just failed may be back in some seconds."""
    manifest = _until_answered(share.repository.deadline, partial(share.repository.manifest, share.version_tag))
    return Sight(manifest.digest, manifest.is_image(share.image.id)) if manifest else Sight(None)


def _until_answered(deadline: Deadline, ask: Callable[[], T]) -> T:
    for attempt in deadline.attempts(Pauses.SETTLE):
        try:
            return ask()
        except (Unreadable, RegistryUnreachable):
            if attempt.pause is None:
                raise
    raise AssertionError("the last attempt returns or raises")


def _write(share: Share, decision: Decision) -> None:
    """Put tags back and remove tags, as decided."""
    for tag in (*decision.put_back, *decision.remove):
        with contextlib.suppress(Exception):  # after any error, the tag stays in doubt
            before = decision.put_back.get(tag)
            if before is None:
                share.repository.remove(tag)
            else:
                _put(share, tag, before)
            share.now[tag] = before
            share.in_doubt.discard(tag)


def _put(share: Share, tag: Tag, digest: Digest) -> None:
    kept = share.unmarked if share.unmarked and share.unmarked.digest == digest else None
    share.repository.put(tag, kept or fetch(share.repository, digest))


def _settle(share: Share, goal: Goal) -> None:
    """Settle the floating tags that were written, or read them."""
    try:
        settled = settle(share.repository, share.scheme, list(share.written), goal)
    except Unsettled as error:
        share.in_doubt -= share.written.keys() - set(error.tags)
        with contextlib.suppress(Exception):
            _see_where_they_are(share)
    except Exception:  # noqa: BLE001, S110 - they stay in doubt
        pass
    else:
        share.now.update({tag: settled.digests[tag] for tag in share.written})
        share.in_doubt -= share.written.keys() - astray(share, goal, settled)


def _see_where_they_are(share: Share) -> None:
    """Read the written tags; an unchanged one counts as never moved, because it may be immutable."""
    held = ask(share.repository, list(share.written))
    share.now.update({tag: now for tag, now in held.items() if not isinstance(now, Unreadable)})
    share.in_doubt -= {tag for tag, now in held.items() if now == share.first.digests.get(tag)}
