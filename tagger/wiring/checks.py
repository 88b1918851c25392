"""The checks before the steps of a release: labels, and that no two images have the same tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tagger.errors import InputError, Refused
from tagger.git import Asked
from tagger.names import Repository
from tagger.oci.evidence import Origin, plain
from tagger.releasing.placement import Placement
from tagger.rules.labels import REVISION, SOURCE, mismatches, missing
from tagger.rules.version import Version
from tagger.wiring.options import ReleaseOptions


def check_labels(
    images: Mapping[str, Mapping[str, str]],
    asked: Asked,
    placements: Iterable[Placement],
    options: ReleaseOptions,
) -> list[str]:
    """Return the contradictions between an image's labels and its version or commit.

    With `strict`, raises Refused for these and for missing labels.
    """
    spellings = {str(each.scheme.version_tag(asked.version)) for each in placements}
    found = [
        text
        for name, labels in images.items()
        for text in mismatches(name, labels, asked.version, spellings, asked.revision)
    ]
    if options.get("strict"):
        lacking = (text for name, labels in images.items() for text in missing(name, labels, asked.revision))
        if wrong := [*found, *lacking]:
            raise Refused("; ".join(wrong))
    return found


def origins_of(images: Mapping[str, Mapping[str, str]], asked: Asked, options: ReleaseOptions) -> dict[str, Origin]:
    """Return the required source of each image, by its labels and the checkout; none unless `strict`."""
    return {name: _origin(labels, asked) for name, labels in images.items()} if options.get("strict") else {}


def _origin(labels: Mapping[str, str], asked: Asked) -> Origin:
    source, commit = labels.get(SOURCE), asked.revision or labels.get(REVISION)
    return Origin(plain(source) if source else None, commit or None)


def check_apart(placements: Iterable[Placement], version: Version) -> None:
    """Refuse to write one tag for two images, and tags that are too long. Raises InputError."""
    taken: set[tuple[Repository, str]] = set()
    for placement in placements:
        for tag in placement.scheme.tags(version):
            if (place := (placement.repository, tag)) in taken:
                raise InputError(
                    f"{placement.repository}:{tag} would be written twice",
                    "give each image its own repository or variant",
                )
            taken.add(place)
