"""`tagger ls REPOSITORY@DIGEST`: every tag that holds an image."""

from __future__ import annotations

from tagger.errors import InputError, Unreadable
from tagger.names import Digest, Repository, Tag
from tagger.repository.observe import Listed, ask, existing
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Sharing:
    """The tags of a repository that hold an image; `unreadable` ones may hold it too."""

    repository: Repository
    digest: Digest
    tags: tuple[Tag, ...]
    unreadable: tuple[Tag, ...] = ()


def sharing(repository: Listed, digest: Digest) -> Sharing:
    """Find the tags that hold an image, by reading where each one points.

    Raises InputError when there is no such repository or no such image in it, and what the registry raises.
    """
    answers = ask(repository, existing(repository))
    tags = tuple(sorted(tag for tag, answer in answers.items() if answer == digest))
    if not tags and repository.digest(digest) is None:
        raise InputError(f"{repository.name} has no image {digest}", "tagger ls shows the digests that it has")
    unreadable = tuple(sorted(tag for tag, answer in answers.items() if isinstance(answer, Unreadable)))
    return Sharing(repository.name, digest, tags, unreadable)
