"""An image that is in a registry already: its manifest, and all that belongs to it, wherever that is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tagger import index
from tagger.attached import signature_tags
from tagger.errors import InputError, RegistryError
from tagger.manifest import Descriptor, Manifest, beneath
from tagger.reference import Digest, Reference, Repository, Tag
from tagger.registry import RemoteRepository

Open = Callable[[Repository], RemoteRepository]

_DEEPEST = 8
_CONFIG_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """A manifest, and a repository that has it."""

    manifest: Manifest
    home: RemoteRepository


@dataclass(frozen=True, slots=True)
class Original:
    """An image in a registry: its name, its manifest, and the repository that has it or each of its platforms."""

    name: str
    manifest: Manifest
    homes: Mapping[Digest, RemoteRepository]

    @property
    def id(self) -> Digest:
        """Give the digest, which is what identifies it."""
        return self.manifest.digest

    @property
    def digest(self) -> Digest:
        """Give the digest, which is the same everywhere."""
        return self.manifest.digest

    def labels(self) -> Mapping[str, str]:
        """Read the labels of its configuration; an index has those of its first image."""
        manifest, home = self.manifest, next(iter(self.homes.values()))
        if manifest.is_index:
            first = next((each for each in manifest.entries() if index.platform(each)), None)
            if first is None:
                return {}
            digest = Digest(str(first["digest"]))
            home = self.homes.get(digest, home)
            manifest = _child(home, digest)
        return {} if manifest.is_index else _labels(_config(manifest, home))

    def pieces(self) -> list[Piece]:
        """Read every manifest of it, children first. Raises RegistryError for what is listed and not there."""
        root = Piece(self.manifest, next(iter(self.homes.values())))
        return _tree(root, self.homes)


def find(reference: Reference, repository: RemoteRepository) -> Original:
    """Find the image of a reference.

    Raises InputError when there is none, or it is an index without a platform, and what the registry raises.
    """
    manifest = _found(reference, repository)
    index.check_platforms(manifest, str(reference))
    return Original(str(reference), manifest, {manifest.digest: repository})


def join(references: Sequence[Reference], repositories: Open) -> Original:
    """Join images of single platforms into one index.

    Raises what `find` raises, and InputError for two images of one platform or one of none.
    """
    homes = [repositories(reference.repository) for reference in references]
    reading = [partial(_part, reference, home) for reference, home in zip(references, homes, strict=True)]
    parts = homes[0].patience.at_once(reading)
    of = {
        Digest(str(entry["digest"])): home for (_, entries), home in zip(parts, homes, strict=True) for entry in entries
    }
    return Original(", ".join(map(str, references)), index.joined(parts), of)


def _found(reference: Reference, repository: RemoteRepository) -> Manifest:
    wanted = reference.digest or reference.tag
    if wanted is None:
        raise InputError(f"{reference} names a whole repository: say which image by :TAG or @DIGEST")
    manifest = repository.manifest(wanted)
    if manifest is None:
        raise InputError(f"there is no {reference}: push it first, or check its name")
    return manifest


def _part(reference: Reference, repository: RemoteRepository) -> tuple[str, Sequence[index.Entry]]:
    """Give what one of the images to join lists: itself, or all that its index has."""
    manifest = _found(reference, repository)
    if manifest.is_index:
        index.check_platforms(manifest, str(reference))
        return str(reference), manifest.entries()
    return str(reference), [index.entry(manifest, _config(manifest, repository), str(reference))]


def _config(manifest: Manifest, repository: RemoteRepository) -> bytes:
    config = manifest.blobs()[0]
    if config.size > _CONFIG_BYTES:
        raise RegistryError(f"the configuration of {manifest.digest} has {config.size} bytes: push that image again")
    with repository.blobs.opened(config) as pieces:
        return b"".join(pieces)


def _labels(config: bytes) -> Mapping[str, str]:
    try:
        labels = json.loads(config)["config"]["Labels"]
        return {str(name): str(value) for name, value in labels.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _tree(root: Piece, homes: Mapping[Digest, RemoteRepository]) -> list[Piece]:
    """Read what an index lists, and what that lists: children first. Raises RegistryError for what is not there."""
    of = dict(homes)

    def read(listed: Sequence[Descriptor]) -> list[Manifest]:
        reading = [partial(_child, of.get(each.digest, root.home), each.digest) for each in listed]
        found = root.home.patience.at_once(reading)
        for manifest in found:
            _keep_home(manifest, of.get(manifest.digest, root.home), of)
        return found

    _keep_home(root.manifest, root.home, of)
    below = beneath(root.manifest, read)
    pieces = [Piece(manifest, of.get(digest, root.home)) for digest, manifest in below.items() if manifest]
    return [*reversed(pieces), root]


def _keep_home(manifest: Manifest, home: RemoteRepository, of: dict[Digest, RemoteRepository]) -> None:
    """Note where what an index lists is: beside the index. Raises RegistryError for an index with a broken entry."""
    for entry in manifest.entries() if manifest.is_index else ():
        of.setdefault(Digest(str(entry["digest"])), home)


def _child(home: RemoteRepository, digest: Digest) -> Manifest:
    manifest = home.manifest(digest)
    if manifest is None:
        raise RegistryError(f"{home.name} has an index without {digest}, which it lists: push that image again")
    return manifest


def referring(pieces: Sequence[Piece]) -> list[Piece]:
    """Read what refers to these manifests, and what refers to that: a signature of an SBOM, say.

    What is listed and not there refers to nothing: a list in a tag may be older than what it lists.
    """
    patience = pieces[0].home.patience
    found: dict[Digest, Piece] = {}
    layer: Sequence[Piece] = pieces
    for _ in range(_DEEPEST):
        answers = patience.at_once([partial(piece.home.referrers, piece.manifest.digest) for piece in layer])
        new = {
            digest: piece.home
            for piece, digests in zip(layer, answers, strict=True)
            for digest in digests
            if digest not in found
        }
        read = patience.at_once([partial(home.manifest, digest) for digest, home in new.items()])
        there = [Piece(manifest, home) for manifest, home in zip(read, new.values(), strict=True) if manifest]
        layer = [inner for piece in there for inner in _tree(piece, {})]
        if not layer:
            break
        found |= {piece.manifest.digest: piece for piece in layer}
    return list(found.values())


def hanging(pieces: Iterable[Piece]) -> dict[Tag, Piece]:
    """Read what hangs on these manifests by tags that spell their digests, and on that in turn."""
    known = {piece.manifest.digest: piece.home for piece in pieces}
    tags = {home.name: (home, home.tags()) for home in known.values()}
    found: dict[Tag, Piece] = {}
    for _ in range(_DEEPEST):
        spelt = {tag for _, listed in tags.values() for digest in known for tag in signature_tags(listed, digest)}
        new = {tag: home for home, listed in tags.values() for tag in listed if tag not in found and tag in spelt}
        for tag, home in new.items():
            if manifest := home.manifest(tag):
                found[tag] = Piece(manifest, home)
                known[manifest.digest] = home
        if not new:
            break
    return found
