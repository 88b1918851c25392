"""What a repository holds: its versions, the floating tags at each, and everything else."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    further = ask(repository, [tag for tag in newest if tag not in observed.digests])
    unreadable = {tag for tag, answer in further.items() if isinstance(answer, Unreadable)}
    digests = {tag: None if isinstance(answer, Unreadable) else answer for tag, answer in further.items()}
    observed = replace(observed, digests={**observed.digests, **digests})
    states = tuple(examine(repository, scheme, observed, [t for t in owners if t in observed.digests]))
    holding: dict[Digest | None, list[Tag]] = {}
    for state in states:
        holding.setdefault(state.digest, []).append(state.tag)
    rows = []
    for tag in newest:
        held = observed.digests[tag]
        if held is not None or tag in unreadable:
            rows.append(Row(spelt[tag], tag, held, tuple(holding.get(held, ()) if held else ())))
    ghosts = set(newest) - {row.tag for row in rows}
    other = ghosts | set(tags) - spelt.keys() - owners.keys()
    return Listing(repository.name, tuple(rows), states, tuple(sorted(other)), len(spelt) - len(newest))
