"""`tagger prune`: remove the old versions that a policy does not keep."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from tagger.errors import BadAnswer, Unreadable
from tagger.names import Digest, Tag
from tagger.oci.manifest import Blob, Manifest
from tagger.repository.observe import ask, published
from tagger.repository.removal import Removable
from tagger.repository.remove import Removal, remove_all
from tagger.rules.keep import Policy, superseded_tags
from tagger.rules.scheme import Scheme
from tagger.values import dataclass

_CONFIG_BYTES = 8 * 1024 * 1024
# Reproducible builds claim to be from 1970 or 1980, which does not show their age.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Blobs(Protocol):
    """The blobs of a repository."""

    def opened(self, blob: Blob) -> AbstractContextManager[Iterator[bytes]]:
        """Read a blob piece by piece."""


class Prunable(Removable, Protocol):
    """A repository whose images have their time of creation."""

    @property
    def blobs(self) -> Blobs:
        """The repository's blobs."""


@dataclass(frozen=True, slots=True)
class Pruning(Removal):
    """A removal of old versions, with the tags that stay although the policy does not keep their numbers.

    `not_understood` are pre-releases of unknown stages. `held` are tags whose image a remaining tag holds.
    """

    not_understood: tuple[Tag, ...] = ()
    held: tuple[tuple[Tag, tuple[Tag, ...]], ...] = ()


def prune(
    repository: Prunable,
    schemes: Sequence[Scheme],
    policy: Policy,
    *,
    dry_run: bool = False,
    among: Collection[str] | None = None,
) -> Pruning:
    """Remove the old versions that a policy does not keep, but only approved tags in `among` (None: all).

    A pre-release of an unknown stage stays, and so does every tag whose image a remaining tag holds.

    Raises what `remove` raises.
    """
    every = published(repository, schemes)
    listed, strange = superseded_tags(every, policy)
    held = _held(repository, every[0].tags) if listed else {}
    absent = {tag for tag, digest in held.items() if digest is None}
    half_removed = [tag for tag in listed if tag in absent and repository.is_half_removed(tag)]
    going = listed
    if absent:  # the newest versions that are really there stay
        going, strange = superseded_tags([each.relisted(absent) for each in every], policy)
    candidates = {tag for tag in going if among is None or tag in among}
    digests, holders = _holders(held, candidates)
    old = _old(repository, {t: d for t, d in digests.items() if d not in holders}, policy.older_than)
    agreed = [*(tag for tag in going if tag in old), *(tag for tag in half_removed if among is None or tag in among)]
    done = (
        remove_all(repository, schemes, among=agreed, dry_run=dry_run)
        if agreed
        else Removal(repository.name, dry_run, (), ())
    )
    kept = tuple((tag, holders[digests[tag]]) for tag in going if tag in digests and digests[tag] in holders)
    known = {field.name: getattr(done, field.name) for field in fields(done)}
    return Pruning(**known, not_understood=tuple(strange), held=kept)


def _held(repository: Prunable, tags: Sequence[Tag]) -> dict[Tag, Digest | None]:
    """Return what the tags hold. Raises BadAnswer for an unreadable one, which may hold an image to be removed."""
    held = ask(repository, tags)
    if unreadable := [tag for tag, digest in held.items() if isinstance(digest, Unreadable)]:
        raise BadAnswer(
            f"{repository.name} cannot say what {', '.join(unreadable)} holds, which may be an image to remove",
            "repair a floating tag with tagger repair, or remove the tag with tagger rm, and run this again",
        )
    return {tag: digest for tag, digest in held.items() if not isinstance(digest, Unreadable)}


def _holders(
    held: Mapping[Tag, Digest | None], candidates: Collection[Tag]
) -> tuple[dict[Tag, Digest], dict[Digest, tuple[Tag, ...]]]:
    """Return what the candidates hold, and which other tags hold the same."""
    digests = {tag: digest for tag in candidates if (digest := held[tag])}
    holders: dict[Digest, tuple[Tag, ...]] = dict.fromkeys(digests.values(), ())
    for tag, digest in held.items():
        if tag not in candidates and digest in holders:
            holders[digest] += (tag,)
    return digests, {digest: by for digest, by in holders.items() if by}


def _old(repository: Prunable, digests: Mapping[Tag, Digest], age: timedelta | None) -> set[Tag]:
    """Return the tags whose image is older than an age, by the date of creation in its configuration."""
    if age is None:
        return set(digests)
    before = datetime.now(UTC) - age
    distinct = list(dict.fromkeys(digests.values()))
    asking = [partial(_made, repository, digest) for digest in distinct]
    made = dict(zip(distinct, repository.deadline.at_once(asking), strict=True))
    return {tag for tag, digest in digests.items() if (when := made[digest]) and _EARLIEST <= when < before}


def _made(repository: Prunable, digest: Digest) -> datetime | None:
    """Return when an image, or the first image of an index, was created; None if unknown."""
    manifest = repository.manifest(digest)
    if manifest and manifest.is_index and (children := manifest.children()):
        manifest = repository.manifest(children[0])
    return _created(repository, manifest) if manifest and not manifest.is_index else None


def _created(repository: Prunable, manifest: Manifest) -> datetime | None:
    config = manifest.blobs()[0]
    if config.size > _CONFIG_BYTES:
        return None
    try:
        with repository.blobs.opened(config) as pieces:
            content = b"".join(pieces)
    except Unreadable:
        raise
    except BadAnswer:  # it is lost, or is no longer what its digest says
        return None
    try:
        when = datetime.fromisoformat(json.loads(content)["created"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
