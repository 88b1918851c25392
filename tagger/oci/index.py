"""Indexes: their platforms, images joined into one, and lists of referrers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tagger.errors import InputError
from tagger.names import Digest, parse_digest
from tagger.oci.manifest import DOCKER_LIST, OCI_INDEX, Manifest, content_of
from tagger.text import printable

Entry = Mapping[str, Any]
"""A descriptor in an index: the image of one platform, or an attestation of it."""

_PLATFORM = ("os", "architecture", "variant", "os.version", "os.features")
_DOCKER = "application/vnd.docker."
_SCHEMA = 2


def platform(entry: Entry) -> str | None:
    """Return the platform of an entry, as Docker spells it; None without one, as for an attestation.

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
    """Raise InputError for an index without an image for any platform, BadAnswer for a broken index."""
    if index.is_index and not any(map(platform, index.entries())):
        raise InputError(
            f"{name} is an index without an image for any platform", "build and push one, then promote that"
        )


def check_entries(index: Manifest, name: str) -> None:
    """Raise InputError for an index of only attestations, BadAnswer for a broken index."""
    if index.is_index and all(map(_is_attestation, index.entries())):
        raise InputError(
            f"{name} is an index without an image for any platform, or another artifact",
            "build and push one, then promote that",
        )


def _is_attestation(entry: Entry) -> bool:
    told = entry.get("platform")
    return isinstance(told, Mapping) and "unknown" in (told.get("os"), told.get("architecture"))


def entry(image: Manifest, config: bytes, name: str) -> Entry:
    """Return the entry for an image, whose configuration names its platform (OCI image spec, "Image Configuration").

    Raises InputError for a configuration that names no platform.
    """
    try:
        told = json.loads(config)
        found = {key: told[key] for key in _PLATFORM if told.get(key)}
    except (ValueError, AttributeError, RecursionError):
        found = {}
    described = {"mediaType": image.media_type, "digest": image.digest, "size": len(image.body), "platform": found}
    if platform(described) is None:
        raise InputError(f"{name} does not say which platform it is for", "build it again, or leave it out")
    return described


def joined(parts: Sequence[tuple[str, Iterable[Entry]]]) -> Manifest:
    """Return one index with the entries of several images; their order does not change its digest.

    `parts` are the name and the entries of each image.

    >>> arm = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}
    >>> joined([("a", [arm | {"platform": {"os": "linux", "architecture": "arm64"}}])]).is_index
    True

    Raises InputError for two entries of one platform.
    """
    found: dict[str, Entry] = {}
    holders: dict[str, str] = {}
    for name, entries in parts:
        for each in entries:
            where = platform(each)
            if where and where in holders:
                raise InputError(
                    f"{holders[where]} and {name} are both for {printable(where)}", "give one image for each platform"
                )
            if where:
                holders[where] = name
            found[str(each["digest"])] = each
    ordered = sorted(found.values(), key=lambda each: (platform(each) is None, platform(each) or "", each["digest"]))
    docker = all(str(each.get("mediaType")).startswith(_DOCKER) for each in ordered)
    return _index(DOCKER_LIST if docker else OCI_INDEX, ordered)


def referrers_in(answer: bytes, media_type: str) -> tuple[Entry, ...] | None:
    """Return the list of referrers in a registry's answer; None for any other answer.

    Some registries send it with another media type, and some send a web page with this one: the body decides.

    >>> referrers_in(b'{"schemaVersion": 2, "mediaType": "%s", "manifests": null}' % OCI_INDEX.encode(), "text/plain")
    ()
    >>> referrers_in(b"<html>Sign in</html>", OCI_INDEX)
    """
    content = content_of(answer)
    if content.get("schemaVersion") != _SCHEMA or content.get("mediaType", media_type) != OCI_INDEX:
        return None
    entries = content.get("manifests", ()) or []
    return tuple(described(entries)) if isinstance(entries, list) else None


def tagged_referrers(tagged: Manifest | None, subject: Digest) -> tuple[Entry, ...] | None:
    """Return the list of referrers under its tag; None when the tag holds something else.

    Some registries answer with the image itself, and some users give their images such a tag.
    """
    if tagged is None or tagged.media_type != OCI_INDEX or tagged.digest == subject:
        return None
    entries = tuple(described(content_of(tagged.body).get("manifests")))
    images = any(platform(each) or each["digest"] == subject for each in entries)
    return None if images else entries


def with_referrers(before: Manifest | None, referring: Iterable[Entry]) -> Manifest | None:
    """Return the list of referrers with more entries, or None if it has them; existing entries stay unchanged."""
    content = content_of(before.body) if before else {}
    found = content.get("manifests")
    entries = [*found] if isinstance(found, list) else []
    known = {str(each["digest"]): place for place, each in enumerate(entries) if _is_entry(each)}
    for each in referring:
        if (place := known.get(str(each["digest"]))) is None:
            entries.append(each)
        else:
            entries[place] = _merged(each, entries[place])
    if before and entries == found:
        return None
    return _index(OCI_INDEX, entries, content)


def _merged(ours: Entry, theirs: Entry) -> Entry:
    both = [each["annotations"] for each in (ours, theirs) if isinstance(each.get("annotations"), Mapping)]
    annotations = {name: value for each in both for name, value in each.items()}
    return {**ours, **theirs, **({"annotations": annotations} if annotations else {})}


def described(entries: object) -> Iterator[Entry]:
    """Return the entries of an index that are descriptors."""
    return (each for each in (entries if isinstance(entries, list) else ()) if _is_entry(each))


def _is_entry(entry: object) -> bool:
    try:
        return isinstance(entry, Mapping) and bool(parse_digest(entry["digest"]))
    except (ValueError, LookupError, TypeError):
        return False


def _index(media_type: str, entries: Sequence[Entry], more: Mapping[str, Any] | None = None) -> Manifest:
    content = {**(more or {}), "schemaVersion": _SCHEMA, "mediaType": media_type, "manifests": entries}
    return Manifest.of(media_type, json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
