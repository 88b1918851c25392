"""A manifest or index as its bytes: what a tag points at (OCI image spec, "Image Manifest" and "Image Index")."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass

from tagger.errors import InvalidReference
from tagger.reference import Digest, parse_digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MEDIA_TYPES = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a tag points at, without its content: media type and digest (OCI image spec, "Content Descriptors")."""

    media_type: str
    digest: Digest

    @property
    def is_index(self) -> bool:
        """Say whether it has one manifest per platform."""
        return self.media_type in (OCI_INDEX, DOCKER_LIST)


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
        """Take bytes for a manifest and compute their digest.

        >>> Manifest.of(OCI_INDEX, b"{}").digest[:14]
        'sha256:44136fa'
        """
        digest = Digest(f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}")
        return cls(digest, media_type, body, _config(body))

    @classmethod
    def empty(cls) -> Manifest:
        """Make an index of nothing that no other repository or run has the like of."""
        title = {"org.opencontainers.image.title": f"removed tag {uuid.uuid4()}"}
        content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": title}
        return cls.of(OCI_INDEX, json.dumps(content).encode())

    def children(self) -> tuple[Digest, ...]:
        """Give the digests of the manifests that an index lists."""
        try:
            return tuple(parse_digest(child["digest"]) for child in json.loads(self.body).get("manifests", ()))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return ()

    def is_image(self, image_id: Digest) -> bool:
        """Say whether an Engine's image ID means this: the configuration's digest, or in a containerd store its own."""
        return image_id in (self.digest, self.config)


def _config(body: bytes) -> Digest | None:
    try:
        return parse_digest(json.loads(body)["config"]["digest"])
    except (ValueError, LookupError, TypeError, RecursionError, InvalidReference):
        return None
