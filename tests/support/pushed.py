"""Put images, indexes, signatures and attestations into a real registry by hand, without tagger."""

from __future__ import annotations

import hashlib
import json
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services import Registry

OCI = "application/vnd.oci.image"
MANIFEST, INDEX = f"{OCI}.manifest.v1+json", f"{OCI}.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"


def digest_of(content: bytes) -> str:
    """The digest of some bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest in a registry."""

    media_type: str
    body: bytes

    @property
    def digest(self) -> str:
        """Its digest."""
        return digest_of(self.body)

    def descriptor(self, **more: object) -> dict[str, object]:
        """Describe it as an index or a subject does."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body), **more}


class Store(ABC):
    """A place for images that are put there by hand."""

    @abstractmethod
    def blob(self, content: bytes, media_type: str) -> dict[str, object]:
        """Put a blob, and return its descriptor."""

    @abstractmethod
    def put(self, reference: str | None, media_type: str, content: Mapping[str, Any]) -> Pushed:
        """Put a manifest under a name, or, without one, under its digest."""

    def image(
        self, tag: str | None, text: str, *, layers: int = 2, size: int = 1000, platform: str | None = "linux/amd64"
    ) -> Pushed:
        """Push an image of one platform (None: it does not say which), whose layers begin with a text."""
        names = dict(zip(("os", "architecture", "variant"), (platform or "").split("/"), strict=False))
        config = {**{name: value for name, value in names.items() if value}, "made_of": text}
        contents = [f"{text} {number} ".encode().ljust(size, b".") for number in range(layers)]
        return self.put(
            tag,
            MANIFEST,
            {
                "config": self.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
                "layers": [self.blob(content, f"{OCI}.layer.v1.tar") for content in contents],
            },
        )

    def index(self, tag: str | None, text: str, platforms: Sequence[str] = ("linux/amd64", "linux/arm64")) -> Pushed:
        """Push an index with one image for each platform, and an attestation, as buildx does."""
        children = []
        for platform in platforms:
            system, architecture = platform.split("/")
            image = self.image(None, f"{text} {platform}", platform=platform)
            children.append(image.descriptor(platform={"os": system, "architecture": architecture}))
        attestation = self.image(None, f"{text} provenance", platform="unknown/unknown", layers=1)
        unknown = {"os": "unknown", "architecture": "unknown"}
        children.append(attestation.descriptor(platform=unknown))
        return self.put(tag, INDEX, {"manifests": children})

    def attached(self, subject: Pushed, kind: str, text: str) -> Pushed:
        """Push what cosign attaches to a manifest, under a tag with its digest."""
        return self.image(f"{subject.digest.replace(':', '-')}.{kind}", text, layers=1)

    def chart(self, tag: str | None, name: str, version: str) -> Pushed:
        """Put a Helm chart as `helm push` does, with a provenance file."""
        helm = "application/vnd.cncf.helm"
        config = json.dumps({"name": name, "version": version, "apiVersion": "v2"}).encode()
        annotations = {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version}
        return self.put(
            tag,
            MANIFEST,
            {
                "config": self.blob(config, f"{helm}.config.v1+json"),
                "layers": [
                    self.blob(f"chart {name} {version}".encode(), f"{helm}.chart.content.v1.tar+gzip"),
                    self.blob(f"provenance {name} {version}".encode(), f"{helm}.chart.provenance.v1.prov"),
                ],
                "annotations": annotations,
            },
        )


@dataclass(frozen=True, slots=True)
class Repository(Store):
    """A repository of a real registry, to be filled by hand."""

    registry: Registry
    path: str

    def __str__(self) -> str:
        return f"{self.registry.host}/{self.path}"

    def blob(self, content: bytes, media_type: str) -> dict[str, object]:
        """Upload a blob, and return its descriptor."""
        status, headers, body = self.registry.request("POST", f"/v2/{self.path}/blobs/uploads/")
        assert status == 202, body
        place = urlsplit(headers["location"])
        query = f"{place.query}&" if place.query else ""
        url = f"{place.path}?{query}digest={digest_of(content)}"
        status, _, body = self.registry.request("PUT", url, content, {"Content-Type": "application/octet-stream"})
        assert status == 201, body
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

    def put(self, reference: str | None, media_type: str, content: Mapping[str, Any]) -> Pushed:
        """Put a manifest under a tag, or, without one, under its digest."""
        pushed = Pushed(media_type, json.dumps({"schemaVersion": 2, "mediaType": media_type, **content}).encode())
        status = self.registry.put(self.path, reference or pushed.digest, pushed.body, media_type)
        assert status == 201, status
        return pushed

    def referrer(self, subject: Pushed, text: str) -> Pushed:
        """Push a referrer of a manifest; these registries list no referrers, so the fallback tag is written too."""
        referring = self.put(
            None,
            MANIFEST,
            {
                "artifactType": "application/vnd.example.signature",
                "config": self.blob(b"{}", EMPTY),
                "layers": [self.blob(text.encode(), "text/plain")],
                "subject": subject.descriptor(),
                "annotations": {"of": text},
            },
        )
        more = {"artifactType": "application/vnd.example.signature", "annotations": {"of": text}}
        tag = subject.digest.replace(":", "-")
        before = json.loads(self.registry.manifest(self.path, tag))["manifests"] if tag in self.tags() else []
        self.put(tag, INDEX, {"manifests": [*before, referring.descriptor(**more)]})
        return referring

    def tags(self) -> list[str]:
        """List the tags."""
        return self.registry.tags(self.path)

    def holds_all_of(self, pushed: Pushed) -> bool:
        """Whether a manifest is here with all of its parts, byte for byte."""
        status, _, body = self.registry.request("GET", f"/v2/{self.path}/manifests/{pushed.digest}")
        if status != 200 or digest_of(body) != pushed.digest:
            return False
        content = json.loads(body)
        for child in content.get("manifests", ()):
            media_type = child["mediaType"]
            there, _, inner = self.registry.request("GET", f"/v2/{self.path}/manifests/{child['digest']}")
            if there != 200 or not self.holds_all_of(Pushed(media_type, inner)):
                return False
        blobs = [*content.get("layers", ()), *([content["config"]] if "config" in content else ())]
        return all(self._has_blob(blob["digest"]) for blob in blobs)

    def _has_blob(self, digest: str) -> bool:
        status, _, body = self.registry.request("GET", f"/v2/{self.path}/blobs/{digest}")
        return status == 200 and digest_of(body) == digest


@dataclass(frozen=True, slots=True)
class Layout(Store):
    """A folder with an OCI layout, to be filled by hand."""

    folder: Path

    def __str__(self) -> str:
        return f"oci:{self.folder}"

    def blob(self, content: bytes, media_type: str) -> dict[str, object]:
        """Write a blob, and return its descriptor."""
        path = self.file(digest_of(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}

    def put(self, reference: str | None, media_type: str, content: Mapping[str, Any]) -> Pushed:
        """Write a manifest, and list it under a name if there is one."""
        pushed = Pushed(media_type, json.dumps({"schemaVersion": 2, "mediaType": media_type, **content}).encode())
        self.blob(pushed.body, media_type)
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        if reference is not None:
            self.list(pushed, **({"org.opencontainers.image.ref.name": reference} if reference else {}))
        return pushed

    def list(self, pushed: Pushed, **annotations: str) -> None:
        """List a manifest."""
        index = self.folder / "index.json"
        before = json.loads(index.read_text())["manifests"] if index.exists() else []
        entry = pushed.descriptor(**({"annotations": annotations} if annotations else {}))
        index.write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [*before, entry]}))

    def file(self, digest: str) -> Path:
        """The file of a blob."""
        return self.folder / "blobs" / digest.replace(":", "/")

    def tar(self, path: Path, prefix: str = "") -> Path:
        """Write the tar of it."""
        with tarfile.open(path, "w") as tar:
            for each in sorted(self.folder.rglob("*")):
                tar.add(each, f"{prefix}{each.relative_to(self.folder)}", recursive=False)
        return path
