"""Prune: which old versions may go, by line of semver, and their removal."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from tagger.errors import InputError, RegistryError, Unreadable
from tagger.names import Digest, Tag
from tagger.oci.manifest import Blob, Manifest
from tagger.repository.check import listed_tags
from tagger.repository.observe import ask
from tagger.repository.remove import Removable, Removal, remove
from tagger.rules.scheme import Scheme, Version, newest_first, published, understood, yanked_by
from tagger.text import printable

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
_CONFIG_BYTES = 8 * 1024 * 1024
# Builds that are to be the same every time say that they are from 1970 or 1980, which is nobody's age.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Blobs(Protocol):
    """The blobs of a repository."""

    def opened(self, blob: Blob) -> AbstractContextManager[Iterator[bytes]]:
        """Read a blob piece by piece."""


class Prunable(Removable, Protocol):
    """A repository whose images say when they were built."""

    @property
    def blobs(self) -> Blobs:
        """The repository's blobs."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What stays: the newest `keep` stable versions of every minor line, of the newest `keep_minors` lines of a major.

    Without `keep_minors` no line goes as a whole. Nothing goes that is younger than `older_than`, or says no age.

    Raises InputError for numbers that would keep nothing.
    """

    keep: int
    keep_minors: int | None = None
    older_than: timedelta | None = None

    def __post_init__(self) -> None:
        if self.keep < 1 or (self.keep_minors is not None and self.keep_minors < 1):
            raise InputError("--keep and --keep-minors take a number from 1 on", "tagger rm --all empties a repository")


def parse_age(text: str) -> timedelta:
    """Parse an age in days.

    >>> parse_age("180d").days
    180

    Raises InputError.
    """
    found = _DAYS.fullmatch(text)
    if not found:
        raise InputError(f"'{printable(text)}' is no age", "give days, such as 180d")
    return timedelta(days=int(found[1]))


@dataclass(frozen=True, slots=True)
class Pruning(Removal):
    """A removal of old versions, with what stays though a policy lets it go by its number.

    `not_understood` are pre-releases of no known stage. `held` are tags whose image other tags hold that stay.
    """

    not_understood: tuple[Tag, ...] = ()
    held: tuple[tuple[Tag, tuple[Tag, ...]], ...] = ()


def superseded(versions: Iterable[Version], policy: Policy) -> list[Version]:
    """Say which versions a policy lets go by their numbers alone, the newest first. Pure.

    A pre-release goes with the stable versions that it is below; the mark of a yanked version stays.

    >>> found = [Version.parse(v) for v in ("2.0.0", "2.0.1", "2.1.0", "2.1.1-rc.1", "2.1.1", "2.1.2")]
    >>> [str(v) for v in superseded(found, Policy(keep=1))]
    ['2.1.1', '2.1.1-rc.1', '2.1.0', '2.0.0']
    >>> [str(v) for v in superseded(found, Policy(keep=2, keep_minors=1))]
    ['2.1.1-rc.1', '2.1.0', '2.0.1', '2.0.0']
    """
    ordered = [version for version in newest_first(versions) if not yanked_by(version)]
    lines: dict[tuple[int, int], list[Version]] = {}
    for version in ordered:
        lines.setdefault((version.major, version.minor), []).append(version)
    minors: dict[int, int] = {}
    going: set[Version] = set()
    for (major, _), line in lines.items():
        stable = [version for version in line if not version.prerelease]
        if not stable:
            continue
        minors[major] = minors.get(major, 0) + 1
        if policy.keep_minors is not None and minors[major] > policy.keep_minors:
            going.update(line)
        elif len(stable) > policy.keep:
            going.update(version for version in line if version < stable[policy.keep - 1])
    return [version for version in ordered if version in going]


def prune(
    repository: Prunable,
    schemes: Sequence[Scheme],
    policy: Policy,
    *,
    dry_run: bool = False,
    among: Collection[str] | None = None,
) -> Pruning:
    """Remove the old versions that a policy lets go, of `among` (None: all) alone, which is what somebody agreed to.

    A pre-release of no known stage stays, and so does every tag whose image a tag holds that stays.

    Raises what `remove` raises.
    """
    tags = listed_tags(repository)
    going, strange = _superseded(tags, schemes, policy)
    candidates = {tag for tag in going if among is None or tag in among}
    digests, holders = _held(repository, tags, candidates) if candidates else ({}, {})
    old = _old(repository, {t: d for t, d in digests.items() if d not in holders}, policy.older_than)
    half_removed = {tag for tag in candidates if tag not in digests and repository.is_half_removed(tag)}
    agreed = [tag for tag in going if tag in old or tag in half_removed]
    done = remove(repository, schemes, agreed, dry_run=dry_run) if agreed else Removal(repository.name, dry_run, (), ())
    kept = tuple((tag, holders[digests[tag]]) for tag in going if tag in digests and digests[tag] in holders)
    known = {field.name: getattr(done, field.name) for field in fields(done)}
    return Pruning(**known, not_understood=tuple(strange), held=kept)


def _superseded(tags: Sequence[Tag], schemes: Sequence[Scheme], policy: Policy) -> tuple[list[Tag], list[Tag]]:
    """Name the tags that a policy lets go by their numbers, in every spelling; and those of them not understood."""
    going: dict[Tag, None] = {}
    strange: dict[Tag, None] = {}
    for scheme in schemes:
        spelt: dict[Version, list[Tag]] = {}
        for tag in tags:
            if version := scheme.parse(tag):
                spelt.setdefault(version, []).append(tag)
        for version in superseded(published(tags, scheme), policy):
            (going if understood(version, scheme) else strange).update(dict.fromkeys(spelt[version]))
    return [tag for tag in going if tag not in strange], [*strange]


def _held(
    repository: Prunable, tags: Sequence[Tag], candidates: Collection[Tag]
) -> tuple[dict[Tag, Digest], dict[Digest, tuple[Tag, ...]]]:
    """Say what the candidates hold, and which other tags hold the same.

    Raises RegistryError when a tag cannot be read, since it may hold an image that would go.
    """
    held = ask(repository, tags)
    if unreadable := [tag for tag, digest in held.items() if isinstance(digest, Unreadable)]:
        raise RegistryError(
            f"{repository.name} fails to say what {', '.join(unreadable)} holds, which may be an image that would go",
            "repair a floating tag with tagger repair, or remove the tag with tagger rm, and run this again",
        )
    digests = {tag: digest for tag in candidates if isinstance(digest := held[tag], str)}
    holders: dict[Digest, tuple[Tag, ...]] = dict.fromkeys(digests.values(), ())
    for tag, digest in held.items():
        if tag not in candidates and isinstance(digest, str) and digest in holders:
            holders[digest] += (tag,)
    return digests, {digest: by for digest, by in holders.items() if by}


def _old(repository: Prunable, digests: Mapping[Tag, Digest], age: timedelta | None) -> set[Tag]:
    """Name the tags whose image is older than an age, as its configuration says when it was made."""
    if age is None:
        return set(digests)
    before = datetime.now(UTC) - age
    distinct = list(dict.fromkeys(digests.values()))
    asking = [partial(_made, repository, digest) for digest in distinct]
    made = dict(zip(distinct, repository.deadline.at_once(asking), strict=True))
    return {tag for tag, digest in digests.items() if (when := made[digest]) and _EARLIEST <= when < before}


def _made(repository: Prunable, digest: Digest) -> datetime | None:
    """Say when an image was made; of an index, its first image."""
    manifest = repository.manifest(digest)
    if manifest and manifest.is_index and (children := manifest.children()):
        manifest = repository.manifest(children[0])
    return _created(repository, manifest) if manifest and not manifest.is_index else None


def _created(repository: Prunable, manifest: Manifest) -> datetime | None:
    config = manifest.blobs()[0]
    if config.size > _CONFIG_BYTES:
        return None
    with repository.blobs.opened(config) as pieces:
        content = b"".join(pieces)
    try:
        when = datetime.fromisoformat(json.loads(content)["created"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
