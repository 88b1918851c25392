"""What a repository holds: its versions, the floating tags at each, and everything else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tagger.cascade import Scheme, Version, floating, newest_first, published
from tagger.drift import Floating, Listed, examine, listed_tags
from tagger.reference import Digest, Repository, Tag
from tagger.settle import at_once, observe


@dataclass(frozen=True, slots=True)
class Row:
    """A published version: its tag and digest, and the floating tags that point at it."""

    version: Version
    tag: Tag
    digest: Digest
    floating: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """The newest versions of a repository, the floating tags that belong to them, and the tags that are neither.

    `total` is how many versions there are, shown or not.
    """

    repository: Repository
    versions: tuple[Row, ...]
    floating: tuple[Floating, ...]
    other: tuple[Tag, ...]
    total: int


def ls(repository: Listed, scheme: Scheme, limit: int | None = None) -> Listing:
    """List the newest `limit` versions (None: all), asking only for the digests that the answer shows.

    Raises InputError when there is no such repository, and what the registry raises.
    """
    tags = listed_tags(repository)
    versions = published(tags, scheme)
    newest = newest_first(versions)[:limit]
    owners = floating(versions, scheme)
    shown = set(newest)
    observed = observe(repository, scheme, [tag for tag, version in owners.items() if version in shown])
    asked = [version for version in newest if versions[version] not in observed.digests]
    answers = at_once([partial(repository.digest, versions[version]) for version in asked])
    digests = {v: observed.digests.get(versions[v]) for v in newest} | dict(zip(asked, answers, strict=True))
    states = tuple(examine(repository, scheme, observed, [t for t in owners if t in observed.digests]))
    rows = tuple(
        Row(version, versions[version], digest, tuple(s.tag for s in states if s.digest == digest))
        for version in newest
        if (digest := digests[version])
    )
    other = sorted(set(tags) - set(versions.values()) - set(owners) - {t for t in tags if scheme.parse(t)})
    return Listing(repository.name, rows, states, tuple(other), len(versions))
