"""What is checked before a release, beside what its steps check: labels, and that no two images want one tag."""

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
    """Where an image's labels contradict the version or the commit that it is released as.

    With `strict` raises Refused for that, and for labels that are missing.
    """
    spellings = {str(each.scheme.version_tag(asked.version)) for each in placements}
    found = [
        text
        for name, labels in images.items()
        for text in mismatches(name, labels, asked.version, spellings, asked.revision)
    ]
    if options.get("strict"):
        lacking = (text for name, labels in images.items() for text in missing(name, labels, asked.revision))
        if told := [*found, *lacking]:
            raise Refused("; ".join(told))
    return found


def origins_of(images: Mapping[str, Mapping[str, str]], asked: Asked, options: ReleaseOptions) -> dict[str, Origin]:
    """Where each image has to come from, by its labels and the checkout; nothing is said of it unless `strict`."""
    return {name: _origin(labels, asked) for name, labels in images.items()} if options.get("strict") else {}


def _origin(labels: Mapping[str, str], asked: Asked) -> Origin:
    source, commit = labels.get(SOURCE), asked.revision or labels.get(REVISION)
    return Origin(plain(source) if source else None, commit or None)


def check_apart(placements: Iterable[Placement], version: Version) -> None:
    """Refuse to write a tag for two images; a tag that gets too long is found too. Raises InputError."""
    taken: set[tuple[Repository, str]] = set()
    for placement in placements:
        for tag in placement.scheme.tags(version):
            if (place := (placement.repository, tag)) in taken:
                raise InputError(
                    f"{placement.repository}:{tag} would be written twice",
                    "give each image its own repository or variant",
                )
            taken.add(place)
