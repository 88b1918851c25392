"""Finds the evidence beside an image: signatures, provenance and SBOMs."""

from __future__ import annotations

from functools import partial

from tagger.errors import Refused, RegistryError
from tagger.names import Digest, Tag
from tagger.oci.evidence import HUNG, Evidence, Found, Unfit, judged
from tagger.oci.index import platform
from tagger.oci.manifest import Blob, Manifest
from tagger.registry.referrers import referrers
from tagger.registry.repository import RemoteRepository

STATEMENT_BYTES = 16 * 1024 * 1024
"""The greatest size of a statement."""

MOST_REFERRERS = 500
"""The most referrers of an image that are read."""

_FAILURES = (RegistryError, Refused)
_REFERENCE_TYPE, _REFERENCE_DIGEST = "vnd.docker.reference.type", "vnd.docker.reference.digest"
_ATTESTATION = "attestation-manifest"

Judged = Found | Unfit


def evidence(repository: RemoteRepository, digest: Digest) -> Evidence:
    """Find the evidence for a digest, and for the platforms of an index; an unreadable part does not count.

    Raises BadAnswer for a broken index, and what the registry raises.
    """
    manifest = repository.manifest(digest)
    entries = manifest.entries() if manifest and manifest.is_index else ()
    platforms = {Digest(str(each["digest"])): name for each in entries if (name := platform(each))}
    looks = [partial(_referring, repository, image) for image in (digest, *platforms)]
    looks += [partial(_hung, repository, image, end) for image in (digest, *platforms) for end in HUNG]
    for each in entries:
        told = each.get("annotations")
        if isinstance(told, dict) and told.get(_REFERENCE_TYPE) == _ATTESTATION:
            of = Digest(str(told.get(_REFERENCE_DIGEST)))
            looks.append(partial(_listed, repository, of, f"attestation {each['digest']}", Digest(str(each["digest"]))))
    results = [each for found in repository.deadline.at_once(looks) for each in found]
    return Evidence(
        digest,
        platforms,
        tuple(each for each in results if isinstance(each, Found)),
        tuple(each for each in results if isinstance(each, Unfit)),
    )


def _referring(repository: RemoteRepository, of: Digest) -> list[Judged]:
    """Return the evidence in the referrers of an image."""
    found: list[Judged] = []
    try:
        for number, entry in enumerate(referrers(repository, of)):
            if number == MOST_REFERRERS:
                found.append(Unfit(of, f"the list of what refers to {of}", f"has more than {number} entries"))
                break
            other = Digest(str(entry["digest"]))
            found += _listed(repository, of, f"referrer {other}", other, refers=True)
    except _FAILURES as error:
        found.append(Unfit(of, f"the list of what refers to {of}", f"cannot be read ({error.what})"))
    return found


def _hung(repository: RemoteRepository, of: Digest, end: str) -> list[Judged]:
    """Return the evidence under tags that spell an image's digest."""
    tag = Tag(f"{of.replace(':', '-')}.{end}")
    try:
        manifest = repository.manifest(tag)
        return _held(repository, of, tag, manifest, HUNG[end]) if manifest else []
    except _FAILURES as error:
        return [Unfit(of, tag, f"cannot be read ({error.what})")]


def _listed(
    repository: RemoteRepository, of: Digest, where: str, digest: Digest, *, refers: bool = False
) -> list[Judged]:
    try:
        manifest = repository.manifest(digest)
        if manifest is None:
            return [Unfit(of, where, "is listed but missing")]
        if refers and manifest.subject != of:
            return [Unfit(of, where, "refers to something else")]
        return _held(repository, of, where, manifest)
    except _FAILURES as error:
        return [Unfit(of, where, f"cannot be read ({error.what})")]


def _held(repository: RemoteRepository, of: Digest, where: str, manifest: Manifest, hung: str = "") -> list[Judged]:
    return [*judged(of, where, manifest, partial(_read, repository), hung)]


def _read(repository: RemoteRepository, blob: Blob) -> bytes | str:
    if blob.size > STATEMENT_BYTES:
        return f"has {blob.size} bytes, and tagger reads at most {STATEMENT_BYTES}"
    try:
        with repository.blobs.opened(blob) as pieces:
            return b"".join(pieces)
    except _FAILURES as error:
        return f"cannot be read ({error.what})"
