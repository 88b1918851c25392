"""`tagger ls`: the versions of a repository, the floating tags at each, and every other tag."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from tagger.errors import Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.repository.floating import Floating, examine
from tagger.repository.observe import Listed, ask, observe, published
from tagger.rules.plan import Observed
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, newest_first, yanked_by
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A version tag: its version and digest (None: unreadable), and the floating tags that hold its image.

    A floating tag is shown at one version only: the one that it belongs to, or else the one that `check` names.
    """

    version: Version
    tag: Tag
    digest: Digest | None
    floating: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """The newest version tags of a repository, the floating tags that belong to them, and the tags that are neither.

    Listed but absent tags are among the last. `older` is the number of version tags that are not shown.
    """

    repository: Repository
    versions: tuple[Row, ...]
    floating: tuple[Floating, ...]
    other: tuple[Tag, ...]
    older: int


def ls(repository: Listed, schemes: Sequence[Scheme], limit: int | None = None) -> Listing:
    """List the newest `limit` version tags (None: all) of these variants, and read only the shown digests.

    Raises InputError when there is no such repository, and what the registry raises.
    """
    every = published(repository, schemes)
    versions = newest_first({version for each in every for version in each.spelt.values()})
    ranks = {version: rank for rank, version in enumerate(versions)}
    newest = sorted(
        (ranks[version], number, tag != each.scheme.version_tag(version), tag)
        for number, each in enumerate(every)
        for tag, version in each.spelt.items()
    )[:limit]
    shown = {tag for *_, tag in newest}
    parts = repository.deadline.at_once([partial(_part, repository, each, shown) for each in every])
    rows = {row.tag: row for part in parts for row in part.rows}
    ours = {tag for each in every for tag in each.spelt} | {tag for part in parts for tag in part.floats}
    return Listing(
        repository.name,
        tuple(rows[tag] for *_, tag in newest if tag in rows),
        tuple(state for part in parts for state in part.floating),
        tuple(sorted({*every[0].tags} - ours | (shown - rows.keys()))),
        sum(len(each.spelt) for each in every) - len(newest),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of one variant: rows in any order, their floating tags, and the names of all floating tags."""

    rows: Sequence[Row]
    floating: Sequence[Floating]
    floats: Collection[Tag]


def _part(repository: Listed, published: Published, shown: Collection[Tag]) -> _Part:
    owners, left = published.owners, published.left_behind
    mine = {tag: version for tag, version in published.spelt.items() if tag in shown}
    versions = {*mine.values()}
    observed = observe(repository, published, [*(tag for tag, v in owners.items() if v in versions), *left])
    further = ask(repository, [tag for tag in mine if tag not in observed.digests])
    unreadable = observed.unreadable.union(tag for tag, answer in further.items() if isinstance(answer, Unreadable))
    digests = {tag: None if isinstance(answer, Unreadable) else answer for tag, answer in further.items()}
    observed = replace(observed, digests={**observed.digests, **digests}, unreadable=unreadable)
    floats = [tag for tag in (*owners, *left) if tag in observed.digests]
    states = [*examine(repository, observed, published.tags, floats)]
    holding: dict[Tag, list[Tag]] = {}
    for state in states:
        if state.version:
            holding.setdefault(_tag_of(observed, state.version), []).append(state.tag)
    rows = [
        Row(version, tag, observed.digests[tag], tuple(holding.get(tag, ())))
        for tag, version in mine.items()
        if observed.digests[tag] is not None or tag in unreadable
    ]
    return _Part(rows, states, {*owners, *(state.tag for state in states)})


def _tag_of(observed: Observed, version: Version) -> Tag:
    """Return the tag of a version, or the mark of a yanked one."""
    yanked = yanked_by(version)
    return observed.yanked[yanked] if yanked else observed.versions[version]
