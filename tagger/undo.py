"""A release that failed or was interrupted: put everything back, and say what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from tagger.errors import (
    Conflict,
    EngineError,
    Interrupted,
    Refused,
    RegistryUnreachable,
    ReleaseFailed,
    TaggerError,
    Unreadable,
    Unsettled,
    printable,
)
from tagger.settle import PAUSES, Goal, at_once, settle
from tagger.share import LocalTags, Order, Share

T = TypeVar("T")


def put_back(
    problem: Exception | KeyboardInterrupt,
    local: LocalTags,
    shares: Sequence[Share],
    order: Order,
    progress: Callable[[str], None],
) -> TaggerError:
    """Put everything back, and give the error that says what came of it."""
    known = _known(problem)
    if any(share.pushed or share.touched for share in shares):
        progress("putting the tags back")
    try:
        at_once([partial(_put_back, share, order) for share in shares if share.pushed or share.touched])
        local.put_back([s.repository.name.tagged(s.version_tag) for s in shares if s.stands])
    except KeyboardInterrupt:
        for share in shares:
            share.lost = share.written
    except EngineError as error:
        known = known if isinstance(known, KeyboardInterrupt) else ReleaseFailed(f"{known}; and {error}")
    return _final(known, shares)


def _final(problem: TaggerError | KeyboardInterrupt, shares: Sequence[Share]) -> TaggerError:
    said = "interrupted" if isinstance(problem, KeyboardInterrupt) else str(problem)
    lost = [str(share.repository.name.tagged(tag)) for share in shares for tag in share.lost]
    if lost:
        return Unsettled(
            f"{said}; these tags could not be put back: {', '.join(lost)}: run the same command again", lost
        )
    stands = [share for share in shares if share.pushed and share.stands]
    unknown = [str(share.repository.name.tagged(share.version_tag)) for share in shares if share.unknown]
    if stands:
        consequence = "the floating tags are where they were, and running the same command again finishes the job"
    elif unknown:
        consequence = (
            f"no floating tag moved; whether {', '.join(unknown)} was published cannot be read now, so run it again"
        )
    else:
        consequence = "no tag moved in the registry"
    if isinstance(problem, KeyboardInterrupt):
        return Interrupted(f"{said}: {consequence}", problem)
    if isinstance(problem, Conflict) or not any(share.pushed or share.touched for share in shares):
        return problem
    if isinstance(problem, Refused) and not stands and not unknown:
        return problem
    return ReleaseFailed(f"{said}; {consequence}")


def _put_back(share: Share, order: Order) -> None:
    """Settle the cascade to the versions without this one, and name in `share.lost` what cannot be put back."""
    try:
        new = _version_is_new(share, order)
        if share.touched:
            floats = order.scheme.floating_tags(order.version)
            held = {t: d for t, d in share.first.digests.items() if t not in share.first.unreadable}
            goal = Goal(absent=frozenset({order.version}) if new else frozenset(), otherwise=held)
            share.settled = settle(share.repository, order.scheme, floats, goal)
            # Nobody knows what an unreadable tag held, so it cannot go back there when no other version claims it.
            astray = [t for t in share.written if t not in held and share.settled.digests[t] == share.digest]
            share.lost = [*share.lost, *astray]
    except Unsettled as error:
        share.lost = [*share.lost, *(tag for tag in share.written if tag in error.tags)]
    except TaggerError:
        share.lost = share.written
        share.unknown = share.digest is None


def _version_is_new(share: Share, order: Order) -> bool:
    """Say whether the version is published by this release alone; withdraw what is not our image on the way.

    A version that stood before stands again: with its old image, where this release was forced over that.
    """
    if not share.pushed:
        return False
    now = _patiently(partial(share.repository.manifest, share.version_tag))
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


def _patiently(ask: Callable[[], T]) -> T:
    """Ask until there is an answer: a registry that has just failed may be back in some seconds."""
    for pause in PAUSES:
        time.sleep(pause)
        try:
            return ask()
        except (Unreadable, RegistryUnreachable):
            continue
    return ask()


def _restore_version_tag(share: Share) -> None:
    try:
        manifest = share.repository.manifest(share.before) if share.before else None
        if manifest:
            share.repository.put(share.version_tag, manifest)
        else:
            share.repository.remove(share.version_tag)
    except TaggerError:
        share.lost = [share.version_tag]


def _known(problem: Exception | KeyboardInterrupt) -> TaggerError | KeyboardInterrupt:
    if isinstance(problem, TaggerError | KeyboardInterrupt):
        return problem
    return TaggerError(
        f"tagger met a fault of its own, {type(problem).__name__}: {printable(problem)}: please report it"
    )
