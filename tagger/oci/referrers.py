"""Tags that belong to an image because they spell its digest: signatures, attestations, SBOMs, lists of referrers."""

from __future__ import annotations

from collections.abc import Iterable

from tagger.names import Digest, Tag, parse_tag

# The tags of cosign without the referrers API.
_KINDS = ("sig", "att", "sbom")


def referrers_tag(digest: Digest) -> Tag:
    """Return the tag of a list of referrers (OCI distribution spec, "Referrers Tag Schema").

    >>> referrers_tag(Digest("sha256:" + "0" * 64))[:10]
    'sha256-000'
    """
    algorithm, _, encoded = digest.partition(":")
    return parse_tag(f"{algorithm[:32]}-{encoded[:64]}")


def signature_tags(tags: Iterable[Tag], digest: Digest) -> list[Tag]:
    """Return the tags that hold signatures, attestations or SBOMs of an image.

    >>> image, other = (Digest("sha256:" + digit * 64) for digit in "01")
    >>> [tag[-7:] for tag in signature_tags([Tag(f"{image.replace(':', '-')}.sig"), Tag("latest")], image)]
    ['000.sig']
    >>> signature_tags([Tag(f"{image.replace(':', '-')}.sig")], other)
    []
    """
    name = digest.replace(":", "-")
    spelt = {f"{name}.{kind}" for kind in _KINDS}
    return [tag for tag in tags if tag in spelt]


def hanging_tags(tags: Iterable[Tag], digest: Digest) -> list[Tag]:
    """Return the tags that are useless without an image, its list of referrers among them.

    A tag that belongs to one of these, such as the signature of an SBOM, spells the digest that this one holds.

    >>> image = Digest("sha256:" + "0" * 64)
    >>> listed = [Tag("2.1.106"), Tag(f"sha256-{'0' * 64}"), Tag(f"sha256-{'0' * 64}.att"), Tag(f"sha256-{'1' * 64}")]
    >>> [tag[-5:] for tag in hanging_tags(listed, image)]
    ['00000', '0.att']
    """
    listed = list(tags)
    spelt = {*signature_tags(listed, digest), referrers_tag(digest)}
    return [tag for tag in listed if tag in spelt]
