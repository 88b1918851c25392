"""A release that failed or was interrupted: put everything back, and say what came of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from tagger.errors import (
    Abandoned,
    Conflict,
    Fault,
    Immutable,
    Interrupted,
    Refused,
    RegistryError,
    RegistryUnreachable,
    ReleaseFailed,
    TaggerError,
    Unreadable,
    Unsettled,
)
from tagger.names import Digest, Reference, Tag
from tagger.oci.manifest import Manifest
from tagger.releasing.share import LocalTags, Order, Share
from tagger.repository.observe import ask
from tagger.repository.settle import PAUSES, Goal, settle
from tagger.work import Patience

T = TypeVar("T")


def put_back(
    problem: Exception | KeyboardInterrupt,
    local: LocalTags,
    shares: Sequence[Share],
    order: Order,
    progress: Callable[[str], None],
) -> TaggerError:
    """Put everything back, and give the error that says what came of it.

    A signal ends it at once; the tags that were not put back by then are named, as are those of pushes that a second
    signal left running.
    """
    begun = [share for share in shares if share.pushed or share.wrote]
    for share in begun:
        share.in_doubt |= share.written | ({share.version_tag} if share.pushed else set())
        if share.unmarked:
            share.in_doubt.add(share.first.yanked[order.version])
    stuck: list[Reference] = []
    try:
        if begun and not isinstance(problem, Abandoned):
            progress("putting the tags back")
            patience = begun[0].repository.patience
            patience.put_back()
            patience.at_once([partial(_restore, share, order) for share in begun])
        stuck = local.put_back([share.reference for share in shares if share.stands])
    except KeyboardInterrupt as signal:
        problem = signal
    final = _final(problem, shares, stuck)
    if not isinstance(problem, TaggerError | KeyboardInterrupt):
        final.__cause__ = problem
    return final


# -- one repository ------------------------------------------------------------------------------------------------


def _restore(share: Share, order: Order) -> None:
    """Put one repository back; what is left `in_doubt` could not be."""
    if share.unmarked:
        mark = share.first.yanked[share.plan.version]
        with contextlib.suppress(Exception):  # as below
            _put_mark_back(share, mark, share.unmarked)
    try:
        if share.pushed:
            _restore_version_tag(share)
    except Exception:  # noqa: BLE001, S110 - whatever it was, the tag stays in doubt and the others have their turn
        pass
    try:
        if share.wrote:
            _restore_floating_tags(share, order)
    except Unsettled as error:
        share.in_doubt -= share.written - set(error.tags)
        with contextlib.suppress(Exception):
            _see_where_they_are(share)
    except Exception:  # noqa: BLE001, S110 - as above
        pass


def _put_mark_back(share: Share, mark: Tag, manifest: Manifest) -> None:
    share.repository.put(mark, manifest)
    share.in_doubt.discard(mark)


def _restore_version_tag(share: Share) -> None:
    """See what the version tag holds; a push that was not our image, or was forced over another, is taken back."""
    manifest = _patiently(share.repository.patience, partial(share.repository.manifest, share.version_tag))
    held = manifest.digest if manifest else None
    if manifest and share.digest is None and held != share.before and manifest.is_image(share.image.id):
        share.digest = held  # it landed, though its answer was lost
    landed = held is not None and held in (share.digest, share.wrong)
    forced = share.published_before not in (None, share.digest)
    if landed and (held == share.wrong or forced):
        held = _withdrawn(share, share.before)
    share.now[share.version_tag] = held
    # A push that was broken off may still land, as long as it has not been seen to.
    if landed or not share.broken_off:
        share.in_doubt.discard(share.version_tag)


def _withdrawn(share: Share, before: Digest | None) -> Digest | None:
    if before is None:
        share.repository.remove(share.version_tag)
        return None
    manifest = share.repository.manifest(before)
    if manifest is None:
        raise RegistryError(f"{share.repository.name} no longer has {before}: push that image again")
    share.repository.put(share.version_tag, manifest)
    return before


def _restore_floating_tags(share: Share, order: Order) -> None:
    """Settle what was written to the versions without this one, unless that was published before, or is another's.

    A floating tag that somebody else has moved since is left to them; one that reads as before may be a stale read.
    """
    unsure = share.version_tag in share.in_doubt
    ours = unsure or share.now.get(share.version_tag, share.before) in (share.digest, None)
    new = share.published_before is None and ours
    known = {tag: digest for tag, digest in share.first.digests.items() if tag not in share.first.unreadable}
    looks = [share.first, share.seen] if share.seen else [share.first]
    before = {tag: {held for seen in looks if (held := seen.digests.get(tag))} for tag in share.wrote}
    absent = frozenset({order.version}) if new else frozenset()
    wrote = {tag: digests | before[tag] for tag, digests in share.wrote.items()}
    goal = Goal(absent=absent, otherwise=known, rewritten=frozenset(wrote), wrote=wrote)
    settled = settle(share.repository, share.scheme, list(wrote), goal)
    share.now.update({tag: settled.digests[tag] for tag in wrote})
    # Nobody knows what an unreadable tag held, so it cannot go back there when no other version claims it.
    astray = {tag for tag in share.written if new and tag not in known and settled.digests[tag] == share.digest}
    share.in_doubt -= share.written - astray


def _see_where_they_are(share: Share) -> None:
    """Look at what was written; a tag that reads as it did before is where it was, since it may be immutable."""
    held = ask(share.repository, list(share.wrote))
    share.now.update({tag: now for tag, now in held.items() if not isinstance(now, Unreadable)})
    share.in_doubt -= {tag for tag, now in held.items() if now == share.first.digests.get(tag)}


def _patiently(patience: Patience, ask: Callable[[], T]) -> T:
    """Ask until there is an answer: a registry that has just failed may be back in some seconds."""
    for pause in PAUSES:
        patience.sleep(pause)
        try:
            return ask()
        except (Unreadable, RegistryUnreachable):
            continue
    return ask()


# -- what came of it -----------------------------------------------------------------------------------------------


def _final(problem: Exception | KeyboardInterrupt, shares: Sequence[Share], stuck: Sequence[Reference]) -> TaggerError:
    begun = [share for share in shares if share.pushed or share.wrote]
    said = _said(problem) + "".join(f"; the local tag {reference} is not put back" for reference in stuck)
    if lost := [str(s.repository.name.tagged(tag)) for s in begun for tag in sorted(s.in_doubt) if _matters(s, tag)]:
        return Unsettled(f"{said}; not put back, or not known: {', '.join(lost)}: run the same command again", lost)
    if isinstance(problem, TaggerError) and not stuck and (not begun or isinstance(problem, Conflict)):
        return problem
    if isinstance(problem, Refused) and not stuck and not any(_left_something(share) for share in begun):
        return problem
    text = f"{said}; {_consequence(begun, final=_is_final(problem))}"
    return Interrupted(text, problem) if isinstance(problem, KeyboardInterrupt) else ReleaseFailed(text)


def _said(problem: Exception | KeyboardInterrupt) -> str:
    if isinstance(problem, KeyboardInterrupt):
        return "interrupted"
    if isinstance(problem, TaggerError):
        return str(problem)
    return str(Fault(problem))


def _matters(share: Share, tag: str) -> bool:
    """Say whether a tag in doubt is out of place; a new version tag is right if it is there, and missed by nobody."""
    return tag != share.version_tag or share.before is not None or share.wrong is not None


def _left_something(share: Share) -> bool:
    return bool(share.wrote) or bool(share.in_doubt) or share.now.get(share.version_tag, share.before) != share.before


def _is_final(problem: BaseException | None) -> bool:
    """Say whether the same command would meet the same answer again."""
    return isinstance(problem.__cause__ if isinstance(problem, Unsettled) else problem, Immutable)


def _consequence(shares: Sequence[Share], *, final: bool) -> str:
    parts = [f"whether {s.reference} was published, or will be yet, is not known" for s in shares if s.in_doubt]
    for share in shares:
        held = share.now.get(share.version_tag, share.before)
        if held not in (share.before, share.digest) and not share.in_doubt:
            parts.append(f"{share.reference} holds another image now, {held}")
    moved = [str(t) for share in shares for t, held in _floats_before(share) if share.now.get(t, held) != held]
    stayed = [str(tag) for share in shares for tag, held in _floats_before(share) if share.now.get(tag, held) == held]
    if moved and stayed:
        parts.append(f"{', '.join(moved)} are where the published versions say, {', '.join(stayed)} where they were")
    elif moved:
        parts.append("the floating tags are where the published versions say")
    else:
        parts.append("the floating tags are where they were")
    if any(share.stands for share in shares):
        if not final:
            parts.append("running the same command again finishes the job")
    elif len(parts) == 1 and not moved:
        return "no tag moved in the registry"
    return ", and ".join(parts)


def _floats_before(share: Share) -> list[tuple[Tag, Digest | None]]:
    return [(c.tag, share.first.digests.get(c.tag)) for c in share.plan.floating_changes]
