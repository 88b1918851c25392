"""Make a repository's tags match a set of versions, whatever others do meanwhile.

Each round lists the tags, compares, writes what differs, and lists again until a round finds nothing to do. Registries
offer no compare-and-swap, but every releaser publishes its version tag before the list that it decides from, and lists
again after its last write. So the last writer has seen every rival's version, and corrects itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field, replace
from functools import partial

from tagger.errors import AGAIN, BadAnswer, Refused, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Tag
from tagger.repository.holders import holders
from tagger.repository.observe import Tags, digest_of, look
from tagger.repository.write import fetch
from tagger.rules.plan import Observed
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version
from tagger.values import dataclass
from tagger.work import Pauses


@dataclass(frozen=True, slots=True)
class Goal:
    """The versions that floating tags should follow: those listed, with `present` and without `absent`.

    `present` are the digests of versions that count even if a stale list does not name them yet; listed tags that are
    `hidden` do not count. `otherwise` gives a digest to tags that belong to no version, or removes them (None); a tag
    that it does not name stays. Tags in `rewritten` are written once even if they read as right, because a stale read
    would hide a write.

    `wrote` is for a command that may move only its own writes: the digests that it wrote to each tag, to which settling
    adds. A tag that holds anything else moves only to a version of `present`. Without `wrote` every tag moves.

    `familiar` are digests that tags may move away from although no listed version has them. `unserved` are tags that an
    Engine has pushed to a registry that does not serve the image yet: these need only be listed.
    """

    present: Mapping[Version, Digest] = field(default_factory=dict)
    absent: frozenset[Version] = frozenset()
    hidden: frozenset[Tag] = frozenset()
    otherwise: Mapping[Tag, Digest | None] = field(default_factory=dict)
    rewritten: frozenset[Tag] = frozenset()
    wrote: dict[Tag, set[Digest]] | None = None
    familiar: frozenset[Digest] = frozenset()
    unserved: frozenset[Tag] = frozenset()


def settle(
    repository: Tags,
    scheme: Scheme,
    floats: Collection[Tag],
    goal: Goal,
    seen: Observed | None = None,
) -> Observed:
    """Put each of these floating tags at its version of the goal by manifest PUT, and return the last observation.

    `seen` is a fresh observation, if there is one, for the first round.

    Raises Unsettled, naming the tags, when some are out of place after the last round.
    """
    left: Collection[Tag] = floats
    problems: Mapping[Tag, TaggerError] = {}
    unseen: TaggerError | None = None
    again = partial(look, repository, scheme, floats, present=goal.present, absent=goal.absent, hidden=goal.hidden)
    for attempt in repository.deadline.attempts(Pauses.SETTLE):
        attempt.since = f"{repository.name.registry} does not show {', '.join(left)} in place yet"
        try:
            observed = seen or again()
            wrong = _differences(observed, floats, goal, repository)
            if strange := _strange(observed, wrong, goal):
                observed = explained(repository, observed, strange, again)
                goal = replace(goal, familiar=goal.familiar | {d for t in strange if (d := observed.digests[t])})
                wrong = _differences(observed, floats, goal, repository)
        except TaggerError as error:
            unseen, seen = error, None
            continue
        unseen = seen = None
        goal = replace(goal, rewritten=frozenset())
        if not wrong:
            return observed
        left = wrong.keys()
        if all(_is_final(problems.get(tag)) for tag in wrong):
            break
        if goal.wrote is not None:
            for tag, digest in wrong.items():
                goal.wrote.setdefault(tag, set()).update({digest} if digest else ())
        problems = _write(repository, wrong)
    causes = [unseen] if unseen else [problems[tag] for tag in left if tag in problems]
    because = f": {causes[0].what}" if causes else ", because something keeps moving them"
    raise Unsettled(
        f"in {repository.name} tagger could not verify that these tags are in place: {', '.join(left)}{because}",
        [*left],
        hint=causes[0].hint if causes else AGAIN,
    ) from next(iter(causes), None)


def explained(repository: Tags, observed: Observed, tags: Collection[Tag], again: Callable[[], Observed]) -> Observed:
    """Observe again while one of these floating tags holds an image of no listed version; return the last observation.

    A list may be some seconds old, and so hide a newer version that has already moved a floating tag. `holders` of the
    result has the versions that were found.
    """
    seen: Observed | None = observed
    for attempt in repository.deadline.attempts(Pauses.STALE):
        observed, seen = seen or again(), None
        versions, nearly = holders(repository, observed, tags)
        observed = replace(observed, holders={**observed.holders, **versions}, nearly=nearly)
        unknown = [tag for tag in tags if observed.digests.get(tag) and tag not in versions and tag not in nearly]
        if not unknown:
            break
        names = ", ".join(unknown)
        attempt.since = f"{names} in {repository.name} holds an image of no listed version, and lists may lag"
    return observed


def _strange(observed: Observed, wrong: Collection[Tag], goal: Goal) -> list[Tag]:
    """Return the tags that would move away from an unknown image."""
    known = {*goal.familiar, *goal.present.values()}
    known |= {digest for tag in observed.versions.values() if (digest := observed.digests.get(tag))}
    known |= {digest for digests in (goal.wrote or {}).values() for digest in digests}
    return [tag for tag in wrong if (digest := observed.digests.get(tag)) and digest not in known]


def _differences(observed: Observed, floats: Collection[Tag], goal: Goal, repository: Tags) -> dict[Tag, Digest | None]:
    """Return the wrong tags, and where each belongs (None: nowhere, so it is removed)."""
    owners = observed.owners(goal.present)
    wrong: dict[Tag, Digest | None] = {}
    wanted: Digest | None
    for tag in floats:
        if not _may_move(tag, owners.get(tag), observed, goal):
            continue
        if tag in goal.unserved & observed.unreadable and tag in observed.listed:
            continue
        if tag in owners:
            wanted = _digest_of(owners[tag], observed, goal, repository)
        elif tag in goal.otherwise:
            wanted = goal.otherwise[tag]
        else:
            continue
        rewritten = tag in goal.rewritten and wanted is not None
        if rewritten or tag in observed.unreadable or observed.digests[tag] != wanted:
            wrong[tag] = wanted
    return wrong


def _may_move(tag: Tag, owner: Version | None, observed: Observed, goal: Goal) -> bool:
    """Return whether this command may move a tag: to its own version, or away from its own write."""
    if goal.wrote is None or owner in goal.present:
        return True
    if tag not in goal.wrote:
        return False
    return tag in observed.unreadable or observed.digests[tag] in {None, *goal.wrote[tag]}


def _digest_of(owner: Version, observed: Observed, goal: Goal, repository: Tags) -> Digest:
    if owner in goal.present:
        tag = observed.versions.get(owner, observed.published.scheme.version_tag(owner))
        return observed.digests.get(tag) or goal.present[owner]
    return digest_of(observed, owner, repository)


def _write(repository: Tags, wanted: Mapping[Tag, Digest | None]) -> dict[Tag, TaggerError]:
    """Write every tag and return the problems; one tag's problem does not stop the others."""
    by_digest: dict[Digest | None, list[Tag]] = {}
    for tag, digest in wanted.items():
        by_digest.setdefault(digest, []).append(tag)
    writing = [partial(_write_one_manifest, repository, tags, digest) for digest, tags in by_digest.items()]
    return {tag: problem for problems in repository.deadline.at_once(writing) for tag, problem in problems.items()}


def _write_one_manifest(repository: Tags, tags: Sequence[Tag], digest: Digest | None) -> dict[Tag, TaggerError]:
    """Point tags at a manifest, or remove them, and return the problems."""
    taken: Collection[Tag] = ()
    try:
        if digest is None:
            write = repository.remove
        else:
            manifest = fetch(repository, digest)
            write = partial(repository.put, manifest=manifest)
            if len(tags) > 1:
                taken = repository.put_together(tags, manifest)
    except TaggerError as error:
        return dict.fromkeys(tags, error)
    left = [tag for tag in tags if tag not in taken]
    problems = repository.deadline.at_once([partial(_problem, write, tag) for tag in left])
    return {tag: problem for tag, problem in zip(left, problems, strict=True) if problem}


def _problem(write: Callable[[Tag], None], tag: Tag) -> TaggerError | None:
    try:
        write(tag)
    except TaggerError as error:
        return error
    return None


def _is_final(problem: TaggerError | None) -> bool:
    """Return whether another write would get the same answer: after a refusal, but not a temporary fault."""
    return isinstance(problem, BadAnswer | Refused) and not isinstance(problem, Unreadable)
