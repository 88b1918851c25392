"""What a repository holds: its versions, the floating tags at each, and everything else."""

from __future__ import annotations

from dataclasses import dataclass

from tagger.cascade import Scheme, Version, floating, newest_first
from tagger.drift import Floating, Listed, examine, listed_tags
from tagger.errors import Unreadable
from tagger.reference import Digest, Repository, Tag
from tagger.settle import AsListed, ask, observe


@dataclass(frozen=True, slots=True)
class Row:
    """A version tag: its version and digest (None: nobody can read it), and the floating tags that point there."""

    version: Version
    tag: Tag
    digest: Digest | None
    floating: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """The newest version tags of a repository, the floating tags that belong to them, and the tags that are neither.

    Listed tags that lead nowhere are among the latter. `older` is how many version tags are not shown.
    """

    repository: Repository
    versions: tuple[Row, ...]
    floating: tuple[Floating, ...]
    other: tuple[Tag, ...]
    older: int


def ls(repository: Listed, scheme: Scheme, limit: int | None = None) -> Listing:
    """List the newest `limit` version tags (None: all), asking only for the digests that the answer shows.

    Raises InputError when there is no such repository, and what the registry raises.
    """
    tags = listed_tags(repository)
    spelt = {tag: version for tag in tags if (version := scheme.parse(tag))}
    owners = floating(spelt.values(), scheme)
    ranks = {version: rank for rank, version in enumerate(newest_first(set(spelt.values())))}
    newest = sorted(spelt, key=lambda tag: (ranks[spelt[tag]], tag != scheme.version_tag(spelt[tag])))[:limit]
    shown = {spelt[tag] for tag in newest}
    observed = observe(AsListed(repository, tags), scheme, [tag for tag, version in owners.items() if version in shown])
    digests = {**observed.digests, **ask(repository, [tag for tag in newest if tag not in observed.digests])}
    states = tuple(examine(repository, scheme, observed, [t for t in owners if t in observed.digests]))
    rows = []
    for tag in newest:
        held = None if isinstance(found := digests[tag], Unreadable) else found
        if found is not None:
            here = tuple(state.tag for state in states if held is not None and state.digest == held)
            rows.append(Row(spelt[tag], tag, held, here))
    ghosts = set(newest) - {row.tag for row in rows}
    other = ghosts | set(tags) - spelt.keys() - owners.keys()
    return Listing(repository.name, tuple(rows), states, tuple(sorted(other)), len(spelt) - len(newest))
