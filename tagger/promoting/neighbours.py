"""Other repositories of a registry that may have the base layers of an image, which then need not be sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from functools import partial

from tagger.errors import TaggerError
from tagger.names import Digest, Registry, Repository, Tag
from tagger.oci.manifest import Blob
from tagger.registry.repository import RemoteRepository

WORTH_ASKING_BYTES = 1024 * 1024
"""Sending a smaller blob is as fast as looking for a repository that has it."""
_MOST_ASKED = 16
_LATEST = Tag("latest")


class Neighbours:
    """The places of blobs that can be mounted: those that a promotion has copied itself, and those of `repositories`.

    Only the images under `latest` of the latter are read, once per registry, when the first large blob is missing
    there. Blobs of an unreadable image are unknown, and so they are sent.
    """

    def __init__(self, repositories: Sequence[RemoteRepository] = ()) -> None:
        self._repositories = repositories
        self._known: dict[tuple[Registry, Digest], Repository] = {}
        self._asked: set[Registry] = set()
        self._lock = threading.Lock()

    def note(self, home: Repository, digest: Digest) -> None:
        """Note that a repository has a blob."""
        self._known.setdefault((home.registry, digest), home)

    def having(self, blob: Blob, target: Repository) -> Repository | None:
        """Return another repository of the target's registry that has a blob, if one is known."""
        key = target.registry, blob.digest
        if key not in self._known and blob.size >= WORTH_ASKING_BYTES:
            self._ask(target.registry)
        found = self._known.get(key)
        return found if found != target else None

    def _ask(self, registry: Registry) -> None:
        with self._lock:
            if registry in self._asked:
                return
            self._asked.add(registry)
            there = [each for each in self._repositories if each.name.registry == registry][:_MOST_ASKED]
            if there:
                there[0].deadline.at_once([partial(self._read, each) for each in there])

    def _read(self, repository: RemoteRepository) -> None:
        with contextlib.suppress(TaggerError):
            for digest in _blobs(repository):
                self.note(repository.name, digest)


def _blobs(repository: RemoteRepository) -> Iterator[Digest]:
    """Yield the blobs of the image under `latest`, of all of its platforms. Raises what the repository raises."""
    manifest = repository.manifest(_LATEST)
    children = manifest.children()[:_MOST_ASKED] if manifest else ()
    for each in (manifest, *map(repository.manifest, children)):
        yield from (blob.digest for blob in (each.blobs() if each else ()) if not blob.foreign)
