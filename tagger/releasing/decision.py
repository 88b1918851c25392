"""What a failed release puts back, removes and names, decided from its state and one read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tagger.names import Digest, Tag
from tagger.releasing.state import Foreign, NotBegun, Ours, Share, State, Unknown
from tagger.repository.settle import Goal
from tagger.rules.plan import Observed
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Sight:
    """What the version tag held after the failure, and whether that is our image."""

    digest: Digest | None
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """How to put one placement back.

    `state` is that of the version tag, as far as it is known. The tags of `put_back` get their old digest, those of
    `remove` are removed, and those of `name` stay with unknown content. The floating tags are settled to `goal`; None
    means that none was written.
    """

    state: State
    put_back: Mapping[Tag, Digest] = field(default_factory=dict)
    remove: frozenset[Tag] = frozenset()
    name: frozenset[Tag] = frozenset()
    goal: Goal | None = None


def touched(share: Share) -> set[Tag]:
    """Return the tags that are in doubt until they are read again."""
    mark = {share.first.yanked[share.plan.version]} if share.unmarked else set()
    return {*share.written, *({share.version_tag} if share.pushed else ()), *mark}


def decide(share: Share, sight: Sight | None) -> Decision:
    """Decide how to put one placement back; `sight` is None if the version tag was not pushed or is unreadable.

    The version tag stays if it holds our image: it is immutable and right, and the same command finishes the job. But
    a push of another image is withdrawn, and a version that was overwritten by force gets its old image back.
    """
    state = _state_now(share, sight)
    put_back: dict[Tag, Digest] = {}
    remove, name = frozenset[Tag](), frozenset[Tag]()
    if share.unmarked:
        put_back[share.first.yanked[share.plan.version]] = share.unmarked.digest
    own = frozenset({share.version_tag})
    if share.pushed and sight is None:
        name = own
    elif _is_to_go(state, sight, share.published_before):
        if share.before:
            put_back[share.version_tag] = share.before
        else:
            remove = own
    elif state == Unknown(may_land=True):
        name = own
    unsure = bool(name or remove) or share.version_tag in put_back
    held = sight.digest if sight else share.before
    ours = unsure or held in (None, state.digest if isinstance(state, NotBegun | Ours) else None)
    new = share.published_before is None and ours
    return Decision(state, put_back, remove, name, _goal(share, new=new) if share.written else None)


def _state_now(share: Share, sight: Sight | None) -> State:
    """Return the state after a read: a push may have arrived although its answer was lost."""
    wrong = share.state.digest if isinstance(share.state, Foreign) else None
    if share.digest is None and sight and sight.is_ours and sight.digest and sight.digest not in (share.before, wrong):
        return Ours(sight.digest)
    return share.state


def _is_to_go(state: State, sight: Sight | None, published_before: Digest | None) -> bool:
    """Return whether the version tag holds something that this release wrote and must not keep."""
    if sight is None or not isinstance(state, Ours | Foreign) or state.digest != sight.digest:
        return False
    return isinstance(state, Foreign) or published_before not in (None, state.digest)


def _goal(share: Share, *, new: bool) -> Goal:
    """Return the goal for what was written: the versions without this one, unless it was published before.

    A floating tag that somebody else has moved since is left alone; an unchanged one may be a stale read.
    """
    known = {tag: digest for tag, digest in share.first.digests.items() if tag not in share.first.unreadable}
    looks = [share.first, share.seen] if share.seen else [share.first]
    wrote = {
        tag: digests | {held for seen in looks if (held := seen.digests.get(tag))}
        for tag, digests in share.written.items()
    }
    absent = frozenset({share.plan.version}) if new else frozenset()
    return Goal(absent=absent, otherwise=known, rewritten=frozenset(wrote), wrote=wrote)


def astray(share: Share, goal: Goal, settled: Observed) -> set[Tag]:
    """Return the tags that still hold our image: the old content of an unreadable tag is unknown."""
    unknown = set(share.written) - goal.otherwise.keys() if goal.absent else set()
    return {tag for tag in unknown if settled.digests[tag] == share.digest}
