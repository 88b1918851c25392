"""What a repository holds: a list of its tags, where the ones that matter point, and whose image each holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tagger.errors import AGAIN, Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.oci.manifest import Descriptor, Manifest
from tagger.rules.plan import Observed
from tagger.rules.scheme import Scheme, Version, floating, marks, nearly_first, newest_first, published, resolve
from tagger.work import Deadline

# A floating tag mostly holds the version that it should, or one shortly before; no more than this are asked.
_SEARCHED = 64
_BATCH = 8


class Tags(Protocol):
    """A repository as settling and releasing see it."""

    @property
    def name(self) -> Repository:
        """Give its name."""

    @property
    def deadline(self) -> Deadline:
        """Give the time that there is for asking and waiting."""

    def tags(self) -> Sequence[Tag]:
        """List every tag."""

    def digest(self, tag: Tag | Digest) -> Digest | None:
        """Ask where a tag points, or whether a digest is there; None when absent, Unreadable when nobody knows."""

    def descriptor(self, tag: Tag | Digest) -> Descriptor | None:
        """Ask where a tag points, or whether a digest is there, and what kind of manifest that is; None when absent."""

    def is_index(self, digest: Digest) -> bool:
        """Say whether a digest that is there is that of an index."""

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
        self.deadline = repository.deadline

    def tags(self) -> Sequence[Tag]:
        """List every tag."""
        return self._repository.tags()

    def digest(self, tag: Tag | Digest) -> Digest | None:
        """Ask where a tag points, or whether a digest is there."""
        return self._repository.digest(tag)

    def descriptor(self, tag: Tag | Digest) -> Descriptor | None:
        """Ask where a tag points, and to what."""
        return self._repository.descriptor(tag)

    def is_index(self, digest: Digest) -> bool:
        """Say whether a digest that is there is that of an index."""
        return self._repository.is_index(digest)

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

    A version that is listed and cannot be read counts all the same: the list says that it is published.

    Raises what the repository raises; a tag that is unreadable is named in the result.
    """
    own = {scheme.version_tag(version) for version in present}
    sure = dict.fromkeys((*floats, *own))
    listed, answers = repository.deadline.both(repository.tags, partial(ask, repository, sure))
    # Both were asked at once. A tag that was not found and is listed is looked at again, now that the list is known.
    answers |= ask(repository, [tag for tag in listed if tag in answers and answers[tag] is None])
    found = marks(listed, scheme)
    listed, yanked = _confirmed_marks(repository, found, listed)
    lost_marks = frozenset(found.values()) - frozenset(yanked.values())
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
                unreadable.add(tag)
            digests[tag] = None if isinstance(answer, Unreadable) else answer
        ghosts = {versions[v] for v in owners if v in versions and digests[versions[v]] is None} - unreadable
        if not ghosts:
            confirmed = {v: tag for v in present if digests[tag := scheme.version_tag(v)]}
            return Observed(
                {**versions, **confirmed}, digests, frozenset(unreadable), yanked, tuple(listed), lost_marks
            )
        listed = [tag for tag in listed if tag not in ghosts]


def _confirmed_marks(
    repository: Tags, found: Mapping[Version, Tag], listed: Sequence[Tag]
) -> tuple[Sequence[Tag], Mapping[Version, Tag]]:
    """Give the list without marks that are ghosts, and the versions that are marked as yanked."""
    if not found:
        return listed, {}
    ghosts = {tag for tag, answer in ask(repository, list(found.values())).items() if answer is None}
    return [tag for tag in listed if tag not in ghosts], {v: tag for v, tag in found.items() if tag not in ghosts}


def digest_of(observed: Observed, version: Version, name: Repository) -> Digest:
    """Return the digest of a version that decides where a floating tag goes. Raises Unreadable when nobody knows it."""
    tag = observed.versions[version]
    if digest := observed.digests[tag]:
        return digest
    raise Unreadable(
        f"{name.registry} does not say where {name}:{tag} points, and that decides where floating tags go",
        AGAIN,
    )


def holders(
    repository: Tags, scheme: Scheme, observed: Observed, tags: Iterable[Tag]
) -> tuple[dict[Tag, Version], dict[Tag, Tag]]:
    """Find whose image each of these floating tags holds: a version's, or that of a tag that is nearly a version.

    A tag that holds neither is in neither. The versions that lead a series are asked first, then the newest.
    """
    held = {tag: digest for tag in tags if (digest := observed.digests.get(tag))}
    search = _Search(repository, dict(observed.digests))
    of = {tag: version for version, tag in observed.versions.items()}
    versions: dict[Tag, Version] = {}
    for tag, digest in held.items():
        if found := search.holder(digest, _contenders(observed, scheme, tag)):
            versions[tag] = of[found]
    strange = {tag: digest for tag, digest in held.items() if tag not in versions}
    near = _near_versions(observed, scheme, held) if strange else []
    found_near = {tag: search.holder(digest, near) for tag, digest in strange.items()}
    return versions, {tag: found for tag, found in found_near.items() if found}


def _near_versions(observed: Observed, scheme: Scheme, floats: Collection[Tag]) -> list[Tag]:
    """List the tags that are nearly versions; what reads as a floating tag is one only where there is no version."""
    listed = [tag for tag in observed.listed if tag not in floats]
    if observed.versions:
        listed = [tag for tag in listed if not scheme.could_float(tag)]
    return nearly_first(listed, scheme)


def _contenders(observed: Observed, scheme: Scheme, tag: Tag) -> list[Tag]:
    """List the version tags that a floating tag may hold, the likeliest first."""
    leading = set(floating(observed.versions, scheme).values())

    def unlikely(version: Version) -> tuple[bool, bool]:
        return tag not in scheme.floating_tags(version), version not in leading

    return [observed.versions[version] for version in sorted(newest_first(observed.versions), key=unlikely)]


@dataclass(slots=True)
class _Search:
    """A search for tags by their digests, which asks for each tag once; `known` is what tags hold, as far as asked."""

    repository: Tags
    known: dict[Tag, Digest | Unreadable | None]

    def holder(self, digest: Digest, candidates: Sequence[Tag]) -> Tag | None:
        """Return the first of some tags that holds a digest, asking for a few at a time."""
        likely = candidates[:_SEARCHED]
        for start in range(0, len(likely), _BATCH):
            batch = likely[start : start + _BATCH]
            if found := self._found(digest, candidates):
                return found
            self.known |= ask(self.repository, [tag for tag in batch if tag not in self.known])
        return self._found(digest, candidates)

    def _found(self, digest: Digest, candidates: Sequence[Tag]) -> Tag | None:
        return next((tag for tag in candidates if self.known.get(tag) == digest), None)


def ask(repository: Tags, tags: Collection[Tag]) -> dict[Tag, Digest | Unreadable | None]:
    """Ask at once where tags point; of one that is unreadable give the error itself."""
    asking = [partial(_digest, repository, tag) for tag in tags]
    return dict(zip(tags, repository.deadline.at_once(asking), strict=True))


def _digest(repository: Tags, tag: Tag) -> Digest | Unreadable | None:
    try:
        return repository.digest(tag)
    except Unreadable as error:
        return error
