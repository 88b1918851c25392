"""The floating tags of a repository: what each holds, where it belongs, and which will move."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tagger.names import Digest, Tag
from tagger.repository.holders import Search, likeliest_first
from tagger.repository.observe import Listed, Tags, digest_of
from tagger.rules.plan import Observed
from tagger.rules.resolve import Published
from tagger.rules.version import Version, mark, newest_first
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Floating:
    """A floating tag: the digest and version that it holds (None: none, or unknown), and the version it belongs to.

    For a yanked version, the version is its mark. `expected` is None when the tag belongs to no version.
    """

    tag: Tag
    digest: Digest | None
    version: Version | None
    expected: Version | None
    ok: bool
    unreadable: bool = False
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Move:
    """The move of a floating tag to its version."""

    tag: Tag
    before: Digest | None
    after: Digest | None
    version: Version


def half_removed(repository: Listed, published: Published, observed: Observed) -> list[Tag]:
    """Return the tags with an unfinished removal, among the requested ones and the marks of yanked versions."""
    asked = [tag for tag in published.tags if tag in observed.digests]
    return sorted(tag for tag in asked if is_half_removed(repository, observed, tag))


def is_half_removed(repository: Listed, observed: Observed, tag: Tag) -> bool:
    """Return whether the removal of a requested tag is unfinished."""
    absent = observed.digests[tag] is None and tag not in observed.unreadable
    return absent and repository.is_half_removed(tag)


def moved(observed: Observed, tags: Collection[Tag], repository: Tags) -> list[Move]:
    """Return which of these floating tags have to move, and where to. Raises Unreadable."""
    owners = observed.owners()
    found = []
    for tag in tags:
        if tag in owners:
            before, after = observed.digests[tag], digest_of(observed, owners[tag], repository)
            if before != after or tag in observed.unreadable:
                found.append(Move(tag, before, after, owners[tag]))
    return found


def examine(repository: Tags, observed: Observed, listed: Collection[Tag], tags: Collection[Tag]) -> Iterator[Floating]:
    """Yield for each of these floating tags whether it is right, and if not, which version it holds.

    If several versions have that digest, it names the first: yanked ones, then those that lead a series, then the
    newest. A tag that belongs to no version is in the result only if it holds a yanked one.
    """
    owners = observed.owners()
    there = set(listed)
    search = Search(repository, dict(observed.digests))
    competing: Mapping[Tag, Mapping[Tag, Version]] | None = None
    for tag in tags:
        owner, digest = owners.get(tag), observed.digests[tag]
        if owner and digest == digest_of(observed, owner, repository):
            yield Floating(tag, digest, owner, owner, ok=True)
            continue
        competing = _competing(observed) if competing is None else competing
        candidates = competing.get(tag, {})
        holder = search.first_holder(digest, candidates) if digest else None
        held = candidates[holder] if holder else None
        if owner or held:
            unreadable = tag in observed.unreadable
            yield Floating(tag, digest, held, owner, ok=False, unreadable=unreadable, listed=tag in there)


def _competing(observed: Observed) -> Mapping[Tag, Mapping[Tag, Version]]:
    """Return the tags and versions that compete for each floating tag, the likeliest first."""
    found: dict[Tag, dict[Tag, Version]] = {}
    for yanked in newest_first(observed.yanked):
        for tag in observed.published.scheme.floating_tags(yanked):
            found.setdefault(tag, {})[observed.yanked[yanked]] = mark(yanked)
    for version in likeliest_first(observed):
        for tag in observed.published.scheme.floating_tags(version):
            found.setdefault(tag, {})[observed.versions[version]] = version
    return found
