"""What a repository holds: its versions, the floating tags at each, and everything else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tagger.errors import Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.repository.check import Floating, Listed, examine, left_behind, listed_tags
from tagger.repository.observe import AsListed, ask, observe
from tagger.rules.plan import Observed
from tagger.rules.scheme import Scheme, Version, floating, newest_first, published, yanked_by


@dataclass(frozen=True, slots=True)
class Row:
    """A version tag: its version and digest (None: nobody can read it), and the floating tags that it holds.

    A floating tag is at one version alone: the one that it should follow, or else the one that `check` names.
    """

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


def ls(repository: Listed, schemes: Sequence[Scheme], limit: int | None = None) -> Listing:
    """List the newest `limit` version tags (None: all) of these lines, asking only for the digests that are shown.

    Raises InputError when there is no such repository, and what the registry raises.
    """
    tags = listed_tags(repository)
    lines = [{tag: version for tag in tags if (version := scheme.parse(tag))} for scheme in schemes]
    versions = newest_first({version for line in lines for version in line.values()})
    ranks = {version: rank for rank, version in enumerate(versions)}
    newest = sorted(
        (ranks[version], number, tag != schemes[number].version_tag(version), tag)
        for number, line in enumerate(lines)
        for tag, version in line.items()
    )[:limit]
    shown = {tag for *_, tag in newest}
    parts = repository.deadline.at_once(
        [partial(_part, repository, tags, scheme, line, shown) for scheme, line in zip(schemes, lines, strict=True)]
    )
    rows = {row.tag: row for part in parts for row in part.rows}
    other = set(tags) - {tag for line in lines for tag in line} - {tag for part in parts for tag in part.owners}
    return Listing(
        repository.name,
        tuple(rows[tag] for *_, tag in newest if tag in rows),
        tuple(state for part in parts for state in part.floating),
        tuple(sorted(other | (shown - rows.keys()))),
        sum(map(len, lines)) - len(newest),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What one line contributes: rows in no order, the floating tags of what is shown, and all floating tags it has."""

    rows: Sequence[Row]
    floating: Sequence[Floating]
    owners: Collection[Tag]


def _part(
    repository: Listed, tags: Sequence[Tag], scheme: Scheme, spelt: Mapping[Tag, Version], shown: Collection[Tag]
) -> _Part:
    owners = floating(published(tags, scheme), scheme)
    left = left_behind(tags, scheme)
    mine = [tag for tag in spelt if tag in shown]
    versions = {spelt[tag] for tag in mine}
    floats = [*(tag for tag, v in owners.items() if v in versions), *left]
    observed = observe(AsListed(repository, tags), scheme, floats)
    further = ask(repository, [tag for tag in mine if tag not in observed.digests])
    unreadable = {tag for tag, answer in further.items() if isinstance(answer, Unreadable)}
    digests = {tag: None if isinstance(answer, Unreadable) else answer for tag, answer in further.items()}
    observed = replace(observed, digests={**observed.digests, **digests})
    floats = [tag for tag in (*owners, *left) if tag in observed.digests]
    states = [*examine(repository, scheme, observed, tags, floats)]
    holding: dict[Tag, list[Tag]] = {}
    for state in states:
        if state.version:
            holding.setdefault(_tag_of(observed, state.version), []).append(state.tag)
    rows = []
    for tag in mine:
        held = observed.digests[tag]
        if held is not None or tag in unreadable:
            rows.append(Row(spelt[tag], tag, held, tuple(holding.get(tag, ()))))
    return _Part(rows, states, {*owners, *(state.tag for state in states)})


def _tag_of(observed: Observed, version: Version) -> Tag:
    """Give the tag of a version, which may be the mark of a yanked one."""
    yanked = yanked_by(version)
    return observed.yanked[yanked] if yanked else observed.versions[version]
