"""A manifest or index as its bytes: what a tag points at (OCI image spec, "Image Manifest" and "Image Index")."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tagger.errors import BadAnswer
from tagger.names import Digest, parse_digest
from tagger.values import dataclass

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MEDIA_TYPES = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})

_IMAGE_CONFIGS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_FOREIGN = re.compile(r"\.(foreign|nondistributable)\.")
_DEEPEST = 8
_MOST_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a tag points at, by media type and digest (OCI image spec, "Content Descriptors")."""

    media_type: str
    digest: Digest

    @property
    def is_index(self) -> bool:
        """Whether it has one manifest per platform."""
        return self.media_type in INDEXES


@dataclass(frozen=True, slots=True)
class Blob:
    """A configuration or a layer, by its digest and size in bytes.

    A `foreign` blob may be outside of the registry (OCI image spec, "Content Descriptors", urls).
    """

    digest: Digest
    size: int
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """The bytes of a manifest or index, with their digest and media type.

    `config` is the digest of an image's configuration, None for an index.
    """

    digest: Digest
    media_type: str
    body: bytes
    config: Digest | None

    @classmethod
    def of(cls, media_type: str, body: bytes, algorithm: str = "sha256") -> Manifest:
        """Return the manifest with these bytes, and compute their digest.

        >>> Manifest.of(OCI_INDEX, b"{}").digest[:14]
        'sha256:44136fa'
        """
        digest = Digest(f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}")
        return cls(digest, media_type, body, _config(body))

    @property
    def is_index(self) -> bool:
        """Whether it has one manifest per platform."""
        return self.media_type in INDEXES

    def listed(self) -> tuple[Descriptor, ...]:
        """Return the entries of an index that are descriptors."""
        return tuple(_descriptors(content_of(self.body).get("manifests")))

    def children(self) -> tuple[Digest, ...]:
        """Return the digests of the manifests in an index."""
        return tuple(each.digest for each in self.listed())

    def entries(self) -> tuple[Mapping[str, Any], ...]:
        """Return the entries of an index, unchanged. Raises BadAnswer for an entry that is not a descriptor."""
        entries = content_of(self.body).get("manifests")
        if not isinstance(entries, list) or len(self.children()) != len(entries):
            raise _unusable(self.digest)
        return tuple(entries)

    def blobs(self) -> tuple[Blob, ...]:
        """Return the configuration and the layers of an image or artifact. Raises BadAnswer for invalid descriptors."""
        if self.is_index:
            return ()
        content = content_of(self.body)
        try:
            # Some programs write null for an artifact without layers.
            return tuple(
                Blob(parse_digest(each["digest"]), int(each["size"]), _is_foreign(each))
                for each in (content["config"], *(content.get("layers") or ()))
            )
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):  # the size may be infinite
            raise _unusable(self.digest) from None

    @property
    def is_artifact(self) -> bool:
        """Whether its configuration is not that of an image, as for a Helm chart; False for an index."""
        config = content_of(self.body).get("config")
        kind = config.get("mediaType") if isinstance(config, dict) else None
        return not self.is_index and kind not in _IMAGE_CONFIGS

    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        told = content_of(self.body).get("annotations")
        return {name: str(value) for name, value in told.items()} if isinstance(told, dict) else {}

    @property
    def subject(self) -> Digest | None:
        """The digest of this manifest's subject, such as the image of a signature (OCI image spec, subject)."""
        try:
            return parse_digest(content_of(self.body)["subject"]["digest"])
        except (ValueError, LookupError, TypeError):
            return None

    def referrer(self) -> Mapping[str, Any]:
        """Return the entry for this in a list of referrers (OCI distribution spec, "Pushing Manifests")."""
        content = content_of(self.body)
        config = content.get("config")
        kind = content.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
        told = {"artifactType": kind, "annotations": content.get("annotations")}
        found = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}
        return found | {name: value for name, value in told.items() if value}

    def is_image(self, image_id: Digest) -> bool:
        """Return whether an Engine's image ID means this: it is the configuration's digest, or its own (containerd)."""
        return image_id in (self.digest, self.config)


def beneath(
    root: Manifest, read: Callable[[Sequence[Descriptor]], Sequence[Manifest | None]]
) -> dict[Digest, Manifest | None]:
    """Return everything below an index, down to the images; an index comes before its entries.

    `read` fetches the entries, one level at a time; it may return None for a missing manifest, or for an image.

    Raises BadAnswer for an index of too many manifests or too many levels, and what `read` raises.
    """
    found: dict[Digest, Manifest | None] = {}
    level: Sequence[Manifest] = [root]
    for _ in range(_DEEPEST):
        listed = {each.digest: each for index in level if index.is_index for each in index.listed()}
        if len(found.keys() | listed.keys()) > _MOST_LISTED:
            break
        for digest, manifest in zip(listed, read([*listed.values()]), strict=True):
            found.pop(digest, None)  # this index lists it too, so it comes after this one
            found[digest] = manifest
        level = [manifest for digest in listed if (manifest := found[digest]) and manifest.is_index]
        if not level:
            return found
    raise BadAnswer(f"{root.digest} nests its indexes too deeply", "push that image again")


def _descriptors(entries: object) -> Iterator[Descriptor]:
    for entry in entries if isinstance(entries, list) else ():
        with contextlib.suppress(ValueError, LookupError, TypeError):
            yield Descriptor(str(entry["mediaType"]) if "mediaType" in entry else "", parse_digest(entry["digest"]))


def _is_foreign(layer: Mapping[str, Any]) -> bool:
    return bool(layer.get("urls")) or bool(_FOREIGN.search(str(layer.get("mediaType"))))


def _config(body: bytes) -> Digest | None:
    try:
        return parse_digest(content_of(body)["config"]["digest"])
    except (ValueError, LookupError, TypeError):
        return None


def content_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; an empty one for anything else."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _unusable(digest: Digest) -> BadAnswer:
    return BadAnswer(f"manifest {digest} does not list its parts", "push that image again")
