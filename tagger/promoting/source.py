"""An image in a registry or an OCI layout: its manifest, and everything that belongs to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Protocol

from tagger.errors import BadAnswer, InputError
from tagger.names import Digest, Repository, Tag
from tagger.oci import index
from tagger.oci.manifest import Blob, Descriptor, Manifest, beneath
from tagger.values import dataclass
from tagger.work import Deadline

LAYOUT = "oci:"
"""The beginning of a source in an OCI layout."""

_CONFIG_BYTES = 8 * 1024 * 1024


class Contents(Protocol):
    """Blobs that can be read."""

    def has(self, digest: Digest) -> bool:
        """Return whether a blob exists."""

    def opened(self, blob: Blob) -> AbstractContextManager[Iterator[bytes]]:
        """Read a blob piece by piece; the last piece comes when all of them together match the digest."""


class Home(Protocol):
    """The home of an image: a repository, or a folder or file with an OCI layout."""

    @property
    def name(self) -> Repository | Path:
        """Its name."""

    @property
    def deadline(self) -> Deadline:
        """The time for requests and waits."""

    @property
    def blobs(self) -> Contents:
        """Its blobs."""

    def manifest(self, reference: Tag | Digest) -> Manifest | None:
        """Return a manifest; None when it is absent."""

    def tags(self) -> Sequence[Tag]:
        """List every tag."""

    def referrers(self, digest: Digest) -> Iterator[index.Entry]:
        """Yield the referrers of a manifest."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an image: its name as the user gave it, its home, and its tag or digest there, if given."""

    name: str
    home: Home
    wanted: Tag | Digest | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A manifest, a repository that has it, and its entry in a list of referrers."""

    manifest: Manifest
    home: Home
    listed: index.Entry = field(default_factory=dict)

    def referrer(self) -> index.Entry:
        """Its entry for a list of referrers, which may say more than the manifest itself."""
        said = {name: self.listed[name] for name in ("artifactType", "annotations") if self.listed.get(name)}
        return {**self.manifest.referrer(), **said}


@dataclass(frozen=True, slots=True)
class Original:
    """An image in a registry: its name, its manifest, and the repository that has it or each of its platforms."""

    name: str
    manifest: Manifest
    homes: Mapping[Digest, Home]

    @property
    def id(self) -> Digest:
        """The digest, which identifies it."""
        return self.manifest.digest

    @property
    def digest(self) -> Digest:
        """The digest, which is the same everywhere."""
        return self.manifest.digest

    @property
    def deadline(self) -> Deadline:
        """The time for reading it."""
        return next(iter(self.homes.values())).deadline

    def labels(self) -> dict[str, Mapping[str, str]]:
        """Return the labels of each image, by the name of the image, with its platform in an index.

        An artifact that is not an image has annotations instead, and so has an index without platforms.
        """
        home = next(iter(self.homes.values()))
        if not self.manifest.is_index:
            return {self.name: _labels(self.manifest, home)}
        images = {
            f"{self.name} ({platform})": Digest(str(entry["digest"]))
            for entry in self.manifest.entries()
            if (platform := index.platform(entry))
        }
        if not images:
            return {self.name: self.manifest.annotations()}
        reading = [partial(_labels_of, self.homes.get(digest, home), digest) for digest in images.values()]
        return dict(zip(images, home.deadline.at_once(reading), strict=True))

    def pieces(self) -> list[Piece]:
        """Return all of its manifests, children first. Raises BadAnswer for a listed but missing manifest."""
        root = Piece(self.manifest, next(iter(self.homes.values())))
        return tree(root, self.homes)


def find(place: Place) -> Original:
    """Find the image at a place.

    Raises InputError for a missing image or a useless index, and what the home raises.
    """
    manifest = _found(place)
    index.check_entries(manifest, place.name)
    return Original(place.name, manifest, {manifest.digest: place.home})


def join(places: Sequence[Place]) -> Original:
    """Join several images of single platforms into one index.

    Raises what `find` raises, and InputError for two images of one platform, or one without.
    """
    parts = places[0].home.deadline.at_once([partial(_part, place) for place in places])
    of = {
        Digest(str(entry["digest"])): place.home
        for (_, entries), place in zip(parts, places, strict=True)
        for entry in entries
    }
    return Original(", ".join(place.name for place in places), index.joined(parts), of)


def _found(place: Place) -> Manifest:
    if place.wanted is None:
        raise InputError(f"{place.name} names a whole repository", "add :TAG or @DIGEST to choose an image")
    manifest = place.home.manifest(place.wanted)
    if manifest is None:
        raise InputError(f"there is no {place.name}", "push it first, or check its name")
    return manifest


def _part(place: Place) -> tuple[str, Sequence[index.Entry]]:
    """Return the name and the entries of one image to join: itself, or the entries of its index."""
    manifest = _found(place)
    if manifest.is_index:
        index.check_platforms(manifest, place.name)
        return place.name, manifest.entries()
    return place.name, [index.entry(manifest, _config(manifest, place.home), place.name)]


def _config(manifest: Manifest, repository: Home) -> bytes:
    config = manifest.blobs()[0]
    if config.size > _CONFIG_BYTES:
        raise BadAnswer(
            f"the configuration of {manifest.digest} is too large ({config.size} bytes)", "push that image again"
        )
    with repository.blobs.opened(config) as pieces:
        return b"".join(pieces)


def _labels_of(home: Home, digest: Digest) -> Mapping[str, str]:
    manifest = _child(home, digest)
    return {} if manifest.is_index else _labels(manifest, home)


def _labels(manifest: Manifest, home: Home) -> Mapping[str, str]:
    """Return the labels of an image, or the annotations of an artifact without labels."""
    otherwise = manifest.annotations() if manifest.is_artifact else {}
    if manifest.is_artifact and manifest.blobs()[0].size > _CONFIG_BYTES:
        return otherwise
    try:
        labels = json.loads(_config(manifest, home))["config"]["Labels"]
        return {str(name): str(value) for name, value in labels.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return otherwise


def tree(root: Piece, homes: Mapping[Digest, Home]) -> list[Piece]:
    """Return the manifests below one, children first, and itself. Raises BadAnswer for a missing one."""
    of = dict(homes)

    def read(listed: Sequence[Descriptor]) -> list[Manifest]:
        reading = [partial(_child, of.get(each.digest, root.home), each.digest) for each in listed]
        found = root.home.deadline.at_once(reading)
        for manifest in found:
            _keep_home(manifest, of.get(manifest.digest, root.home), of)
        return found

    _keep_home(root.manifest, root.home, of)
    below = beneath(root.manifest, read)
    pieces = [Piece(manifest, of.get(digest, root.home)) for digest, manifest in below.items() if manifest]
    return [*reversed(pieces), root]


def _keep_home(manifest: Manifest, home: Home, of: dict[Digest, Home]) -> None:
    """Note that the entries of an index are in the same place. Raises BadAnswer for a broken entry."""
    for entry in manifest.entries() if manifest.is_index else ():
        of.setdefault(Digest(str(entry["digest"])), home)


def _child(home: Home, digest: Digest) -> Manifest:
    manifest = home.manifest(digest)
    if manifest is None:
        raise BadAnswer(f"{home.name} lacks {digest}, which its index lists", "push that image again")
    return manifest
