"""Indexes: join images that were built for one platform each, and say which platforms an index has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tagger.errors import InputError, printable
from tagger.manifest import DOCKER_LIST, OCI_INDEX, Manifest

Entry = Mapping[str, Any]
"""A descriptor of an index: what it lists of one platform, or an attestation of that."""

_PLATFORM = ("os", "architecture", "variant", "os.version", "os.features")
_DOCKER = "application/vnd.docker."


def platform(entry: Entry) -> str | None:
    """Name the platform of an entry as Docker does; None for one that is none, such as an attestation.

    >>> platform({"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}})
    'linux/arm64/v8'
    >>> platform({"platform": {"os": "unknown", "architecture": "unknown"}})
    """
    told = entry.get("platform")
    if not isinstance(told, Mapping):
        return None
    system, architecture = told.get("os"), told.get("architecture")
    if not system or not architecture or "unknown" in (system, architecture):
        return None
    return "/".join(str(part) for part in (system, architecture, told.get("variant"), told.get("os.version")) if part)


def check_platforms(index: Manifest, name: str) -> None:
    """Refuse an index that has an image for no platform. Raises InputError, and RegistryError for a broken one."""
    if index.is_index and not any(map(platform, index.entries())):
        raise InputError(f"{name} is an index without an image for any platform: build and push one, then promote that")


def entry(image: Manifest, config: bytes, name: str) -> Entry:
    """Describe an image of one platform, which its configuration names (OCI image spec, "Image Configuration").

    Raises InputError for a configuration that names none.
    """
    try:
        told = json.loads(config)
        found = {key: told[key] for key in _PLATFORM if told.get(key)}
    except (ValueError, AttributeError, RecursionError):
        found = {}
    described = {"mediaType": image.media_type, "digest": image.digest, "size": len(image.body), "platform": found}
    if platform(described) is None:
        raise InputError(f"{name} does not say which platform it is for: build it again, or leave it out")
    return described


def joined(parts: Sequence[tuple[str, Iterable[Entry]]]) -> Manifest:
    """Join what several images list into one index; the same entries in whatever order give the same digest.

    `parts` are each image's name and its entries.

    >>> arm = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}
    >>> joined([("a", [arm | {"platform": {"os": "linux", "architecture": "arm64"}}])]).is_index
    True

    Raises InputError when two are for one platform.
    """
    found: dict[str, Entry] = {}
    holders: dict[str, str] = {}
    for name, entries in parts:
        for each in entries:
            where = platform(each)
            if where and where in holders:
                raise InputError(
                    f"{holders[where]} and {name} are both for {printable(where)}: give one image for each platform"
                )
            if where:
                holders[where] = name
            found[str(each["digest"])] = each
    ordered = sorted(found.values(), key=lambda each: (platform(each) is None, platform(each) or "", each["digest"]))
    docker = all(str(each.get("mediaType")).startswith(_DOCKER) for each in ordered)
    return _index(DOCKER_LIST if docker else OCI_INDEX, ordered)


def of_referrers(before: Manifest | None, referring: Iterable[Manifest]) -> Manifest:
    """List what refers to an image, for the tag that stands in for a registry's own list, beside what is listed before.

    Raises RegistryError for a list that is none.
    """
    listed = {str(each["digest"]): each for each in (before.entries() if before else ())}
    return _index(OCI_INDEX, [*(listed | {each.digest: each.referrer() for each in referring}).values()])


def _index(media_type: str, entries: Sequence[Entry]) -> Manifest:
    content = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    return Manifest.of(media_type, json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
