"""A registry's storage, written as distribution itself lays it out: thousands of tags in seconds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Shelf:
    """The storage below `root`; `before` is where the tags of a repository are remembered."""

    root: Path
    before: Path

    @property
    def repositories(self) -> Path:
        """The folder of repositories (distribution, registry/storage/paths.go)."""
        return self.root / "docker/registry/v2/repositories"

    def remember(self, repository: str) -> None:
        """Keep a copy of the tags of a repository, for `restore` to put back."""
        shutil.copytree(self.repositories / repository / "_manifests/tags", self.before / repository)

    def fill(self, repository: str, tags: Mapping[str, int]) -> None:
        """Write tags into a repository; tags with the same number share a manifest, whose image cannot be pulled."""
        manifests = self.repositories / repository / "_manifests"
        digests = {number: self._manifest(manifests, repository, number) for number in set(tags.values())}
        for tag, number in tags.items():
            _link(manifests / "tags" / tag / "current", digests[number])

    def _manifest(self, manifests: Path, repository: str, number: int) -> str:
        content = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MEDIA_TYPE,
                "config": self._blob("application/vnd.oci.image.config.v1+json", b"{}", repository),
                "layers": [],
                "annotations": {"number": str(number)},
            }
        ).encode()
        digest = str(self._blob(_MEDIA_TYPE, content, repository)["digest"])
        _link(manifests / "revisions" / digest.replace(":", "/"), digest)
        return digest

    def _blob(self, media_type: str, content: bytes, repository: str) -> dict[str, object]:
        """Store a blob and return its descriptor."""
        name = hashlib.sha256(content).hexdigest()
        data = self.root / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data"
        if not data.exists():
            data.parent.mkdir(parents=True)
            data.write_bytes(content)
        _link(self.repositories / repository / "_layers/sha256" / name, f"sha256:{name}")
        return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(content)}


def _link(folder: Path, digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link").write_text(digest)
