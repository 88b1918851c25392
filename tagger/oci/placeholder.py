"""The placeholder of a tag during its removal, in a registry that deletes manifests but not single tags.

It depends on the tag alone, so its digest shows that the removal of a tag is unfinished. Such a tag counts as absent.
"""

from __future__ import annotations

import json

from tagger.names import Digest
from tagger.oci.manifest import OCI_INDEX, OCI_MANIFEST, Blob, Manifest

ARTIFACT_TYPE = "application/vnd.tagger.removed-tag.v1+json"
EMPTY = b"{}"
"""The content of the one blob that a placeholder has (OCI image spec, "Guidance for an Empty Descriptor")."""

_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_BLOB = Blob(Manifest.of(_EMPTY_TYPE, EMPTY).digest, len(EMPTY))


def placeholders(tag: str) -> tuple[Manifest, Manifest]:
    """Return the placeholders of a tag: an empty index and, for registries that refuse that, an empty image.

    >>> first, second = placeholders("2.1.106")
    >>> first.is_index, second.is_index, first.digest == placeholders("2.1")[0].digest
    (True, False, False)
    """
    common = {
        "schemaVersion": 2,
        "artifactType": ARTIFACT_TYPE,
        "annotations": {"org.opencontainers.image.title": f"tag {tag} is being removed"},
    }
    empty = {"mediaType": _EMPTY_TYPE, "digest": EMPTY_BLOB.digest, "size": EMPTY_BLOB.size}
    index = common | {"mediaType": OCI_INDEX, "manifests": []}
    image = common | {"mediaType": OCI_MANIFEST, "config": empty, "layers": [empty]}
    return Manifest.of(OCI_INDEX, _body(index)), Manifest.of(OCI_MANIFEST, _body(image))


def is_placeholder(tag: str, digest: Digest | None) -> bool:
    """Return whether a digest is that of a placeholder of this tag.

    >>> is_placeholder("2.1", placeholders("2.1")[0].digest), is_placeholder("2.1", placeholders("2")[0].digest)
    (True, False)
    """
    return digest in {each.digest for each in placeholders(tag)}


def _body(content: dict[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
