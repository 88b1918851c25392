"""The missing parts of indexes: some registries clean up the platforms and keep the index."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tagger.errors import BadAnswer, Refused
from tagger.names import Digest
from tagger.oci.manifest import IMAGES, Descriptor, Manifest, beneath
from tagger.repository.observe import Tags


def lost(repository: Tags, digest: Digest) -> list[Digest]:
    """Return the parts of an index, at any depth, that its repository no longer has; an image has no parts.

    An unreadable part does not count as missing. Raises RegistryUnreachable.
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
    """Find a listed part; None if neither HEAD nor GET finds it."""
    try:
        there = repository.descriptor(listed.digest) if listed.media_type in IMAGES else None
        return there or repository.manifest(listed.digest)
    except (BadAnswer, Refused) as error:
        return error
