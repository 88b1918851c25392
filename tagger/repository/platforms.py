"""What an index lists and a repository no longer has: some registries clean up the platforms and keep the index."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tagger.errors import BadAnswer, Refused
from tagger.names import Digest
from tagger.oci.manifest import IMAGES, Descriptor, Manifest, beneath
from tagger.repository.observe import Tags


def lost(repository: Tags, digest: Digest) -> list[Digest]:
    """Return what an index lists, at any depth, and its repository no longer has; an image lists nothing.

    What cannot be read does not count as lost. Raises RegistryUnreachable.
    """
    gone: list[Digest] = []

    def read(listed: Sequence[Descriptor]) -> list[Manifest | None]:
        found = repository.deadline.at_once([partial(_found, repository, each) for each in listed])
        gone.extend(each.digest for each, answer in zip(listed, found, strict=True) if answer is None)
        return [answer if isinstance(answer, Manifest) else None for answer in found]

    try:
        index = repository.manifest(digest) if repository.is_index(digest) else None
        if index:
            beneath(index, read)
    except (BadAnswer, Refused):
        pass
    return list(dict.fromkeys(gone))


def _found(repository: Tags, listed: Descriptor) -> Manifest | Descriptor | Exception | None:
    """Look for what is listed; None if neither way of asking finds it."""
    try:
        there = repository.descriptor(listed.digest) if listed.media_type in IMAGES else None
        return there or repository.manifest(listed.digest)
    except (BadAnswer, Refused) as error:
        return error
