"""The signatures and attestations of an image, wherever they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from functools import partial

from tagger.errors import InputError, Refused, RegistryError
from tagger.names import Digest, Tag
from tagger.oci import index
from tagger.oci.referrers import signature_tags
from tagger.promoting.source import Home, Piece, tree
from tagger.values import dataclass

FAILURES = (RegistryError, Refused, InputError)
"""The errors that may happen with a signature; they do not stop the promotion."""

_DEEPEST = 8


@dataclass(slots=True)
class Belongings:
    """The signatures and attestations of an image, and in `lost` a line about each unreadable one."""

    referring: list[Piece] = field(default_factory=list)
    hanging: dict[Tag, Piece] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def belongings(pieces: Sequence[Piece]) -> Belongings:
    """Find the referrers of these manifests, and the content of tags that spell their digests.

    An unreadable part does not affect the others.
    """
    found = Belongings()
    _add_referring(pieces, found)
    _add_hanging([*pieces, *found.referring], found)
    return found


def _add_referring(pieces: Sequence[Piece], found: Belongings) -> None:
    """Add the referrers of these manifests, and their own referrers, such as the signature of an SBOM."""
    deadline = pieces[0].home.deadline
    known = {piece.manifest.digest for piece in pieces}
    layer: Sequence[Piece] = pieces
    for _ in range(_DEEPEST):
        answers = deadline.at_once([partial(_referring_to, piece) for piece in layer])
        found.lost += [line for _, lost in answers for line in lost]
        read = {piece.manifest.digest: piece for referring, _ in answers for piece in referring}
        layer = [piece for digest, piece in read.items() if digest not in known]
        if not layer:
            return
        found.referring += layer
        known |= read.keys()


def _referring_to(subject: Piece) -> tuple[list[Piece], list[str]]:
    """Return the referrers of a manifest, children first, and a line about each unreadable part."""
    home, digest = subject.home, subject.manifest.digest
    listed: dict[Digest, index.Entry] = {}
    lost = []
    try:
        for entry in home.referrers(digest):
            listed.setdefault(Digest(entry["digest"]), entry)
    except FAILURES as error:
        lost.append(f"tagger may not have copied all that refers to {digest}: {error}")
    read = home.deadline.at_once([partial(_referrer, home, entry) for entry in listed.values()])
    referring = [trees for trees in read if not isinstance(trees, str) and trees[-1].manifest.subject == digest]
    # A tag that spells a digest may hold any index, whose images have no subject.
    if referring or any(isinstance(trees, str) for trees in read):
        for other, trees in zip(listed, read, strict=True):
            if isinstance(trees, str):
                lost.append(f"{other}, which refers to {digest}, is not copied: {trees}")
            elif trees not in referring:
                lost.append(f"{other} is not copied: it is listed as referring to {digest}, but does not")
    return [piece for trees in referring for piece in trees], lost


def _referrer(home: Home, entry: index.Entry) -> list[Piece] | str:
    """Return a referrer and, if it is an index, its entries, children first; or why it cannot be read."""
    try:
        manifest = home.manifest(Digest(entry["digest"]))
        return tree(Piece(manifest, home, entry), {}) if manifest else f"{home.name} does not have it"
    except FAILURES as error:
        return str(error)


def _add_hanging(pieces: Iterable[Piece], found: Belongings) -> None:
    """Add the content of tags that spell the digests of these manifests, and so on for that content."""
    homes = {piece.home.name: piece.home for piece in pieces}
    new = {piece.manifest.digest for piece in pieces}
    listed = {name: _tags(home, found) for name, home in homes.items()}
    for _ in range(_DEEPEST):
        spelt = {
            tag: homes[name] for name, tags in listed.items() for digest in new for tag in signature_tags(tags, digest)
        }
        new = set()
        for tag, home in spelt.items():
            try:
                manifest = home.manifest(tag)
                beneath = tree(Piece(manifest, home), {}) if manifest else []
            except FAILURES as error:
                found.lost.append(f"{home.name}:{tag} is not copied: {error}")
                continue
            if beneath and tag not in found.hanging:
                *listed_by_it, found.hanging[tag] = beneath
                found.referring += listed_by_it
                new |= {piece.manifest.digest for piece in beneath}


def _tags(home: Home, found: Belongings) -> Sequence[Tag]:
    try:
        return home.tags()
    except FAILURES as error:
        found.lost.append(
            f"signatures and attestations in {home.name} that have tags of their own are not copied: {error}"
        )
        return ()
