"""Observations of a repository: its list of tags, the digests of the important ones, and their versions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Protocol

from tagger.errors import AGAIN, InputError, InvalidVersion, Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.oci.manifest import Descriptor, Manifest
from tagger.rules.plan import Observed
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, yanked_by
from tagger.work import Deadline


class Tags(Protocol):
    """The part of a repository that settling and releasing use."""

    @property
    def name(self) -> Repository:
        """Its name."""

    @property
    def deadline(self) -> Deadline:
        """The time for requests and waits."""

    def tags(self) -> Sequence[Tag]:
        """List every tag."""

    def digest(self, tag: Tag | Digest) -> Digest | None:
        """Return where a tag points, or an existing digest; None when absent. Raises Unreadable."""

    def descriptor(self, tag: Tag | Digest) -> Descriptor | None:
        """Return what `digest` returns, with the kind of its manifest."""

    def is_index(self, digest: Digest) -> bool:
        """Return whether an existing digest is that of an index."""

    def manifest(self, reference: Tag | Digest) -> Manifest | None:
        """Fetch a manifest; None when it is absent."""

    def put(self, tag: Tag, manifest: Manifest) -> None:
        """Point a tag at a manifest of this repository."""

    def put_together(self, tags: Sequence[Tag], manifest: Manifest) -> Collection[Tag]:
        """Point tags at a manifest of this repository, many in one request; return those that were written."""

    def remove(self, tag: Tag) -> None:
        """Remove a tag and no other."""


class Listed(Tags, Protocol):
    """A repository that knows whether it exists."""

    def listed(self) -> Sequence[Tag] | None:
        """List every tag; None when there is no such repository."""

    def is_half_removed(self, tag: Tag) -> bool:
        """Return whether a tag holds a placeholder, because its removal is unfinished."""


def published(repository: Listed, schemes: Sequence[Scheme]) -> list[Published]:
    """List an existing repository, and return the published versions of each scheme. Raises InputError."""
    tags = existing(repository)
    return [Published.of(tags, scheme) for scheme in schemes]


def existing(repository: Listed) -> Sequence[Tag]:
    """List an existing repository. Raises InputError if there is none."""
    tags = repository.listed()
    if tags is None:
        raise InputError(
            f"there is no repository {repository.name.path} at {repository.name.registry}",
            "check the name, release a first version, or log in (docker login"
            f" {repository.name.registry}), because registries hide what you may not read",
        )
    return tags


Among = Callable[[Published], Iterable[Version]]


def asked(every: Sequence[Published], text: str, among: Among) -> list[tuple[Published, list[Version]]]:
    """Return the versions that a text means in each scheme that can read it: one, or all its revisions, oldest first.

    `among` selects the versions to search. Raises InvalidVersion if no scheme can read it.
    """
    found: list[tuple[Published, list[Version]]] = []
    problem: InvalidVersion | None = None
    for published in every:
        try:
            version = published.scheme.numbering.asked(text, build_metadata="drop")
        except InvalidVersion as error:
            problem = problem or error
        else:
            found.append((published, published.meant(version, among(published))))
    if problem and not found:
        raise problem
    return found


def look(
    repository: Tags,
    scheme: Scheme,
    floats: Collection[Tag],
    *,
    present: Collection[Version] = (),
    absent: Collection[Version] = (),
    hidden: Collection[Tag] = (),
    digest: Callable[[Tag], Digest | None] | None = None,
) -> Observed:
    """List the tags, read the floating ones at the same time, and return the result of `observe`.

    Versions in `absent` and tags in `hidden` do not count, even if they are listed. `digest` reads where a tag points
    (default: the method of the repository).
    """
    own = map(scheme.version_tag, present)
    asking = partial(ask, repository, dict.fromkeys((*floats, *own)), digest)
    listed, answers = repository.deadline.both(repository.tags, asking)
    published = Published.of(listed, scheme)
    # A listed tag that was not found is read again, because the list is known now.
    again = [tag for tag, answer in answers.items() if answer is None]
    if again := [*{*again} & {*published.tags}]:
        answers |= ask(repository, again, digest)
    gone = {tag for tag, version in published.spelt.items() if version in absent}.union(hidden)
    return observe(repository, published.without(gone), floats, present=present, asked=answers)


def observe(
    repository: Tags,
    published: Published,
    floats: Collection[Tag],
    *,
    present: Collection[Version] = (),
    asked: Mapping[Tag, Digest | Unreadable | None] = MappingProxyType({}),
) -> Observed:
    """Read the floating tags and the version tags that decide them, by a list of tags; `asked` is known already.

    A listed but absent version does not count, unless it is `present` or has another tag. A version in `present`
    counts by its own tag, if that exists, even if it is not listed. A listed but unreadable version counts, because the
    list says that it is published.

    Raises what the repository raises; the result names the unreadable tags.
    """
    own = {version: published.scheme.version_tag(version) for version in present}
    marks = [tag for tag, version in published.spelt.items() if yanked_by(version)]
    answers = {**asked}
    answers |= ask(repository, [tag for tag in dict.fromkeys((*floats, *own.values(), *marks)) if tag not in answers])
    ghosts = lost_marks = frozenset(tag for tag in marks if answers[tag] is None)
    while True:
        published = published.relisted(ghosts)
        versions, owners = published.versions, published.owners_with(present)
        deciding = {owners[tag] for tag in floats if tag in owners}.union(present)
        wanted = [versions[version] for version in deciding if version in versions]
        answers |= ask(repository, [tag for tag in wanted if tag not in answers])
        ghosts = frozenset(tag for tag in wanted if answers[tag] is None)
        if not ghosts:
            break
    digests = {tag: None if isinstance(answer, Unreadable) else answer for tag, answer in answers.items()}
    unreadable = frozenset(tag for tag, answer in answers.items() if isinstance(answer, Unreadable))
    sure = {version: tag for version, tag in own.items() if digests[tag]}
    return Observed(published, digests, unreadable, sure, lost_marks)


def digest_of(observed: Observed, version: Version, repository: Tags) -> Digest:
    """Return the digest of a version that decides where a floating tag goes.

    Raises Unreadable if that is unknown and stays so, with the registry's reason.
    """
    tag, name = observed.versions[version], repository.name
    if digest := observed.digests[tag]:
        return digest
    why, hint = "", AGAIN
    try:
        if digest := repository.digest(tag):
            return digest
    except Unreadable as error:
        why, hint = f" ({error.what})", error.hint or AGAIN
    raise Unreadable(
        f"{name.registry} does not say where {name}:{tag} points, and that decides where floating tags go{why}", hint
    )


def ask(
    repository: Tags, tags: Collection[Tag], digest: Callable[[Tag], Digest | None] | None = None
) -> dict[Tag, Digest | Unreadable | None]:
    """Read concurrently where tags point; the result of an unreadable one is the error. `digest` reads one tag."""
    asking = [partial(_answer, digest or repository.digest, tag) for tag in tags]
    return dict(zip(tags, repository.deadline.at_once(asking), strict=True))


def _answer(digest: Callable[[Tag], Digest | None], tag: Tag) -> Digest | Unreadable | None:
    try:
        return digest(tag)
    except Unreadable as error:
        return error
