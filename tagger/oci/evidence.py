"""Evidence beside an image: signatures, provenance and SBOMs. Nothing is verified.

Signatures are those of cosign and Notary. Statements are those of in-toto: bare, as buildx writes them, or in an
envelope.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, NamedTuple

from tagger.names import Digest
from tagger.oci.manifest import Blob, Manifest, content_of
from tagger.text import printable
from tagger.values import dataclass

KINDS = SIGNATURE, PROVENANCE, SBOM = "signature", "provenance", "sbom"
HUNG = {"sig": SIGNATURE, "att": "", "sbom": SBOM}
"""The kind of evidence under a tag that spells a digest, by its end; attestations name their kind in a statement."""

_STATEMENTS = frozenset({"application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json"})
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
_PREDICATES = {
    "https://sigstore.dev/cosign/sign/": SIGNATURE,
    "https://slsa.dev/provenance/": PROVENANCE,
    "https://spdx.dev/Document": SBOM,
    "https://cyclonedx.org/": SBOM,
}
_TYPES = {re.compile("signature"): SIGNATURE, re.compile("spdx|cyclonedx|syft"): SBOM}
_SCHEME, _USER = re.compile(r"^(?:git\+)?[a-z]+://"), re.compile(r"^[^/@]*@")
_LONGEST = 100
_MOST_REASONS = 4

Read = Callable[[Blob], bytes | str]
"""Reads a blob, or returns why it cannot be read."""


class Source(NamedTuple):
    """The source of an image: a repository, without scheme and user, and a commit."""

    repository: str
    commit: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The required source of an image, as far as it is known."""

    repository: str | None = None
    commit: str | None = None

    def agrees(self, sources: frozenset[Source]) -> bool:
        """Return whether one of these sources is this one."""
        return any(
            self.repository in (None, each.repository) and self.commit in (None, each.commit) for each in sources
        )

    def __str__(self) -> str:
        """Name it, as far as it is known."""
        known = [printable(each, _LONGEST) for each in (self.repository, self.commit) if each]
        return "@".join(known) or "a commit"


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of evidence about the image `of` that digest, and the sources that it names."""

    kind: str
    of: Digest
    where: str
    sources: frozenset[Source] = frozenset()


@dataclass(frozen=True, slots=True)
class Unfit:
    """A document that looks like evidence about an image and does not count, and why."""

    of: Digest
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for a digest and, if that is an index, for the image of each of its platforms."""

    digest: Digest
    platforms: Mapping[Digest, str] = field(default_factory=dict)
    found: tuple[Found, ...] = ()
    unfit: tuple[Unfit, ...] = ()

    def where(self, kind: str) -> tuple[str, ...]:
        """Return the places of evidence of a kind."""
        return tuple(dict.fromkeys(each.where for each in self.found if each.kind == kind))

    def lacks(self, kind: str, origin: Origin | None = None) -> str | None:
        """Return why evidence of a kind is missing, for the digest itself or for every platform; None if it is there.

        With an `origin`, provenance must name it.
        """
        fits = [
            each
            for each in self.found
            if each.kind == kind and (kind != PROVENANCE or origin is None or origin.agrees(each.sources))
        ]
        having = {each.of for each in fits}
        missing = [name for digest, name in self.platforms.items() if digest not in having]
        if self.digest in having or (self.platforms and not missing):
            return None
        other = [each for each in self.found if each.kind == kind and each not in fits]
        why = [f"{each.where} {each.why}" for each in self.unfit]
        why += [f"{each.where} names {_named(each.sources)}, not {origin}" for each in other]
        whom = f" for {', '.join(missing)}" if having else ""
        return "; ".join([f"there is no {kind}{whom}", *why[:_MOST_REASONS]])


def _named(sources: frozenset[Source]) -> str:
    return printable(", ".join(sorted(f"{each.repository}@{each.commit}" for each in sources)) or "no source", _LONGEST)


# -- what a manifest holds -----------------------------------------------------------------------------------------


def judged(of: Digest, where: str, manifest: Manifest, read: Read, hung: str = "") -> Iterator[Found | Unfit]:
    """Yield the evidence in a manifest that belongs to an image; `hung` is its kind by its tag.

    Raises BadAnswer for a manifest that does not list its parts.
    """
    kind = _kind_of(str(manifest.referrer().get("artifactType", ""))) or hung
    layers = content_of(manifest.body).get("layers") or ()
    for layer, blob in zip(layers, manifest.blobs()[1:], strict=True):
        media_type = str(layer.get("mediaType"))
        if media_type in _STATEMENTS or media_type.startswith(_BUNDLE) or media_type == _SIMPLE:
            content = read(blob)
            counted = _counted(of, content) if isinstance(content, bytes) else content
            if isinstance(counted, str):
                yield Unfit(of, where, counted)
            elif counted:
                yield Found(counted[0], of, where, counted[1])
        elif own := _kind_of(media_type) or kind:
            yield Found(own, of, where)


def _kind_of(media_type: str) -> str:
    return next((kind for pattern, kind in _TYPES.items() if pattern.search(media_type)), "")


def _counted(of: Digest, content: bytes) -> tuple[str, frozenset[Source]] | str | None:
    """Return a document's kind of evidence about an image, or why it does not count; None for another document."""
    document = content_of(content)
    if not document:
        return "is not readable JSON"
    if isinstance(signature := document.get("messageSignature"), dict):
        return (SIGNATURE, frozenset()) if _message(signature) == of else "signs something else"
    if isinstance(critical := document.get("critical"), dict):
        named = critical.get("image")
        right = isinstance(named, dict) and named.get("docker-manifest-digest") == of
        return (SIGNATURE, frozenset()) if right else "signs another digest"
    statement = _opened(document)
    if not (predicate := statement.get("predicateType")):
        return "holds no in-toto statement"
    kind = next((kind for start, kind in _PREDICATES.items() if str(predicate).startswith(start)), None)
    if kind and of not in _subjects(statement):
        return "is about another digest"
    return (kind, frozenset(_sources(statement.get("predicate")))) if kind else None


def _message(signature: Mapping[str, Any]) -> str:
    try:
        return f"sha256:{base64.b64decode(signature['messageDigest']['digest']).hex()}"
    except (ValueError, LookupError, TypeError):
        return ""


def _opened(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the statement of a document: itself, or the content of its envelope."""
    envelope = document.get("dsseEnvelope", document)
    if not isinstance(envelope, dict) or "payload" not in envelope:
        return document
    try:
        return content_of(base64.b64decode(envelope["payload"]))
    except (ValueError, TypeError):
        return {}


def _subjects(statement: Mapping[str, Any]) -> Iterator[str]:
    subjects = statement.get("subject")
    for each in subjects if isinstance(subjects, list) else ():
        digests = each.get("digest") if isinstance(each, dict) else None
        yield from (
            f"{algorithm}:{value}" for algorithm, value in (digests.items() if isinstance(digests, dict) else ())
        )


# -- where an image comes from -------------------------------------------------------------------------------------


def _sources(predicate: object) -> Iterator[Source]:
    """Yield the sources anywhere in a predicate: SLSA 0.2, SLSA 1 and BuildKit put them in different places."""
    pending = [predicate]
    while pending:
        each = pending.pop()
        if isinstance(each, list):
            pending += each
        elif isinstance(each, dict):
            pending += each.values()
            digests = each.get("digest")
            commits = [digests.get("gitCommit"), digests.get("sha1")] if isinstance(digests, dict) else []
            pairs = [(each.get("uri"), commit) for commit in commits] + [(each.get("source"), each.get("revision"))]
            for place, commit in pairs:
                if isinstance(place, str) and isinstance(commit, str):
                    yield Source(plain(place), commit)


def plain(place: str) -> str:
    """Return a repository without its scheme, user and branch, so that two spellings can be compared.

    >>> plain("git+https://github.com/Gallery/ui.git@refs/heads/main"), plain("git@github.com:gallery/ui.git")
    ('github.com/gallery/ui', 'github.com/gallery/ui')
    >>> plain("https://user@gitlab.example/gallery/ui#refs/tags/v2")
    'gitlab.example/gallery/ui'
    """
    has_scheme = _SCHEME.match(place)
    place = _USER.sub("", _SCHEME.sub("", place))
    place = re.split("[#?@]", place, maxsplit=1)[0]
    place = place if has_scheme else place.replace(":", "/", 1)
    return place.rstrip("/").removesuffix(".git").lower()
