"""Make a repository's tags match a set of versions, whatever others do meanwhile.

Each round lists the tags, compares, writes what differs, and lists again until a round finds nothing to do. Registries
offer no compare-and-swap, but every releaser publishes its version tag before the list that it decides from, and lists
again after its last write: whoever writes last has seen every rival's version and corrects itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from tagger.cascade import Scheme, Version, marks, published, resolve
from tagger.errors import Refused, RegistryError, TaggerError, Unreadable, Unsettled
from tagger.manifest import Manifest
from tagger.patience import Patience
from tagger.plan import Observed
from tagger.reference import Digest, Repository, Tag

# Seconds before each round: some registries serve stale reads for a while after a write.
PAUSES = (0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0)


class Tags(Protocol):
    """A repository as settling and releasing see it."""

    @property
    def name(self) -> Repository:
        """Give its name."""

    @property
    def patience(self) -> Patience:
        """Give the time that there is for asking and waiting."""

    def tags(self) -> Sequence[Tag]:
        """List every tag."""

    def digest(self, tag: Tag) -> Digest | None:
        """Ask where a tag points; None when it is absent; raise Unreadable when nobody knows."""

    def manifest(self, reference: Tag | Digest) -> Manifest | None:
        """Fetch a manifest; None when it is absent."""

    def put(self, tag: Tag, manifest: Manifest) -> None:
        """Point a tag at a manifest of this repository."""

    def put_together(self, tags: Sequence[Tag], manifest: Manifest) -> Collection[Tag]:
        """Point tags at a manifest of this repository by one request for many, and give those that it took so."""

    def remove(self, tag: Tag) -> None:
        """Take a tag away without losing another."""


class View:
    """A repository as another one has it; a kind of view defines what it shows differently."""

    def __init__(self, repository: Tags) -> None:
        self._repository = repository
        self.name = repository.name
        self.patience = repository.patience

    def tags(self) -> Sequence[Tag]:
        """List every tag."""
        return self._repository.tags()

    def digest(self, tag: Tag) -> Digest | None:
        """Ask where a tag points."""
        return self._repository.digest(tag)

    def manifest(self, reference: Tag | Digest) -> Manifest | None:
        """Fetch a manifest."""
        return self._repository.manifest(reference)

    def put(self, tag: Tag, manifest: Manifest) -> None:
        """Point a tag at a manifest."""
        self._repository.put(tag, manifest)

    def put_together(self, tags: Sequence[Tag], manifest: Manifest) -> Collection[Tag]:
        """Point tags at a manifest."""
        return self._repository.put_together(tags, manifest)

    def remove(self, tag: Tag) -> None:
        """Take a tag away."""
        self._repository.remove(tag)


class AsListed(View):
    """A repository as a list of its tags shows it, so that nobody has to ask for the list again."""

    def __init__(self, repository: Tags, tags: Sequence[Tag]) -> None:
        super().__init__(repository)
        self._tags = tags

    def tags(self) -> Sequence[Tag]:
        """Give the list."""
        return self._tags


@dataclass(frozen=True, slots=True)
class Goal:
    """The set of versions that tags are settled to: those published, with `present` and without `absent`.

    `present` gives the digests of versions that are published even if a stale list does not name them yet. `otherwise`
    says where a tag goes that no version claims: to a digest, or away (None); a tag that it does not name stays. What
    `rewritten` names is written once even if it reads as right: a registry whose reads are stale would hide a write.
    """

    present: Mapping[Version, Digest] = field(default_factory=dict)
    absent: frozenset[Version] = frozenset()
    otherwise: Mapping[Tag, Digest | None] = field(default_factory=dict)
    rewritten: frozenset[Tag] = frozenset()


def observe(
    repository: Tags,
    scheme: Scheme,
    floats: Collection[Tag],
    *,
    present: Collection[Version] = (),
    absent: Collection[Version] = (),
) -> Observed:
    """List the versions, and ask where the floating tags and the version tags that decide them point.

    A version whose tag is listed but absent is a ghost and does not count, unless it is `present` or has another tag.
    One that is `present` counts by its own tag, if that is there, whatever the list says.

    Raises what the repository raises; a tag that is unreadable is told in the result, unless it decides something.
    """
    own = {scheme.version_tag(version) for version in present}
    sure = dict.fromkeys((*floats, *own))
    listed, answers = repository.patience.both(repository.tags, partial(ask, repository, sure))
    # Both were asked at once. A tag that was not found and is listed is looked at again, now that the list is known.
    answers |= ask(repository, [tag for tag in listed if tag in answers and answers[tag] is None])
    listed, yanked = _confirmed_marks(repository, scheme, listed)
    digests: dict[Tag, Digest | None] = {}
    unreadable: set[Tag] = set()
    while True:
        versions = {v: tag for v, tag in published(listed, scheme).items() if v not in absent}
        goal = resolve({*versions, *present}, scheme)
        owners = {goal[tag] for tag in floats if tag in goal}.union(present)
        wanted = own | {versions[v] for v in owners if v in versions}
        if further := [tag for tag in wanted if tag not in answers]:
            answers |= ask(repository, further)
        for tag, answer in answers.items():
            if isinstance(answer, Unreadable):
                if tag in wanted - own:
                    raise answer
                unreadable.add(tag)
            digests[tag] = None if isinstance(answer, Unreadable) else answer
        ghosts = {versions[v] for v in owners if v in versions and digests[versions[v]] is None}
        if not ghosts:
            confirmed = {v: tag for v in present if digests[tag := scheme.version_tag(v)]}
            return Observed({**versions, **confirmed}, digests, frozenset(unreadable), yanked)
        listed = [tag for tag in listed if tag not in ghosts]


def _confirmed_marks(
    repository: Tags, scheme: Scheme, listed: Sequence[Tag]
) -> tuple[Sequence[Tag], dict[Version, Tag]]:
    """Give the list without marks that are ghosts, and the versions that are marked as yanked."""
    found = marks(listed, scheme)
    if not found:
        return listed, {}
    ghosts = {tag for tag, answer in ask(repository, list(found.values())).items() if answer is None}
    return [tag for tag in listed if tag not in ghosts], {v: tag for v, tag in found.items() if tag not in ghosts}


def settle(
    repository: Tags,
    scheme: Scheme,
    floats: Collection[Tag],
    goal: Goal,
    seen: Observed | None = None,
) -> Observed:
    """Put every one of these floating tags where the goal's versions say, by manifest PUT; give what was seen last.

    `seen` is what was observed just now, if it was: the first round takes it for what it would see itself.

    Raises Unsettled, naming the tags, when they are not there after the last round.
    """
    left: Collection[Tag] = floats
    problems: Mapping[Tag, TaggerError] = {}
    unseen: TaggerError | None = None
    for pause in PAUSES:
        repository.patience.sleep(pause, f"{repository.name.registry} does not show {', '.join(left)} in place yet")
        try:
            observed = seen or observe(repository, scheme, floats, present=goal.present, absent=goal.absent)
        except TaggerError as error:
            unseen = error
            continue
        unseen = seen = None
        wrong = _differences(observed, scheme, floats, goal)
        goal = replace(goal, rewritten=frozenset())
        if not wrong:
            return observed
        left = wrong.keys()
        if all(_is_final(problems.get(tag)) for tag in wrong):
            break
        problems = _write(repository, wrong)
    causes = [unseen] if unseen else [problems[tag] for tag in left if tag in problems]
    because = f": {causes[0]}" if causes else ", since something keeps moving them: run the same command again"
    raise Unsettled(
        f"in {repository.name} these tags are not verified to be where they belong: {', '.join(left)}{because}", [*left]
    )


def ask(repository: Tags, tags: Collection[Tag]) -> dict[Tag, Digest | Unreadable | None]:
    """Ask at once where tags point; of one that is unreadable give the error itself."""
    asking = [partial(_digest, repository, tag) for tag in tags]
    return dict(zip(tags, repository.patience.at_once(asking), strict=True))


def _digest(repository: Tags, tag: Tag) -> Digest | Unreadable | None:
    try:
        return repository.digest(tag)
    except Unreadable as error:
        return error


def _differences(observed: Observed, scheme: Scheme, floats: Collection[Tag], goal: Goal) -> dict[Tag, Digest | None]:
    """Say which tags are wrong, and where each belongs (None: away)."""
    owners = resolve({*observed.versions, *goal.present}, scheme)
    wrong: dict[Tag, Digest | None] = {}
    wanted: Digest | None
    for tag in floats:
        if tag in owners:
            owner = owners[tag]
            held = observed.digests.get(observed.versions.get(owner, scheme.version_tag(owner)))
            wanted = held or goal.present[owner]
        elif tag in goal.otherwise:
            wanted = goal.otherwise[tag]
        else:
            continue
        rewritten = tag in goal.rewritten and wanted is not None
        if rewritten or tag in observed.unreadable or observed.digests[tag] != wanted:
            wrong[tag] = wanted
    return wrong


def _write(repository: Tags, wanted: Mapping[Tag, Digest | None]) -> dict[Tag, TaggerError]:
    """Write every tag, and give the problems; one tag's problem does not keep the others from being written."""
    by_digest: dict[Digest | None, list[Tag]] = {}
    for tag, digest in wanted.items():
        by_digest.setdefault(digest, []).append(tag)
    writing = [partial(_write_one_manifest, repository, tags, digest) for digest, tags in by_digest.items()]
    return {tag: problem for problems in repository.patience.at_once(writing) for tag, problem in problems.items()}


def _write_one_manifest(repository: Tags, tags: Sequence[Tag], digest: Digest | None) -> dict[Tag, TaggerError]:
    """Point tags at a manifest, or take them away, and give the problems."""
    taken: Collection[Tag] = ()
    try:
        if digest is None:
            write = repository.remove
        else:
            manifest = _fetch(repository, digest)
            write = partial(repository.put, manifest=manifest)
            if len(tags) > 1:
                taken = repository.put_together(tags, manifest)
    except TaggerError as error:
        return dict.fromkeys(tags, error)
    left = [tag for tag in tags if tag not in taken]
    problems = repository.patience.at_once([partial(_problem, write, tag) for tag in left])
    return {tag: problem for tag, problem in zip(left, problems, strict=True) if problem}


def _problem(write: Callable[[Tag], None], tag: Tag) -> TaggerError | None:
    try:
        write(tag)
    except TaggerError as error:
        return error
    return None


def _is_final(problem: TaggerError | None) -> bool:
    """Say whether writing again would meet the same answer: a refusal, rather than a fault that may pass."""
    return isinstance(problem, RegistryError | Refused) and not isinstance(problem, Unreadable)


def _fetch(repository: Tags, digest: Digest) -> Manifest:
    manifest = repository.manifest(digest)
    if manifest is None:
        raise RegistryError(f"{repository.name} no longer has {digest}: push that image again")
    return manifest
