"""The name of an image in an Engine, and the target of its release."""

from __future__ import annotations

import re

from tagger.errors import InvalidReference, Refused
from tagger.names import DOCKER_HUB, IMAGE_ID, Reference, Registry, Repository
from tagger.values import dataclass

_SHORT_ID = re.compile(r"sha256:[0-9a-f]{2,64}")


@dataclass(frozen=True, slots=True)
class ImageName:
    """The name of an image in an Engine: a reference, or an image ID, which has no `reference`.

    The beginning of an ID without `sha256:` looks like a reference; only the Engine knows what it is.
    """

    text: str
    reference: Reference | None

    @classmethod
    def parse(cls, text: str) -> ImageName:
        """Parse a name; 64 hexadecimal digits, or fewer after `sha256:`, can only be an ID.

        >>> ImageName.parse("sha256:" + "a" * 64).reference is None
        True

        Raises InvalidReference.
        """
        is_id = IMAGE_ID.fullmatch(text) or _SHORT_ID.fullmatch(text)
        return cls(text, None if is_id else Reference.parse(text))

    def target(self, registry: str | None = None, repository: str | None = None) -> Repository:
        """Return the repository to release the image to: by default the registry and path of its own name.

        >>> str(ImageName.parse("image-gallery").target("registry.local:5000", "gallery/ui"))
        'registry.local:5000/gallery/ui'
        >>> str(ImageName.parse("registry.local:5000/gallery/ui:build-77").target())
        'registry.local:5000/gallery/ui'

        Raises InvalidReference, and Refused for Docker Hub's `library/`.
        """
        own = self.reference.repository if self.reference else None
        if own is None and repository is None:
            raise InvalidReference(
                f"'{self.text}' is an image ID and names no repository", "choose one with --repository"
            )
        host = Registry.parse(registry) if registry is not None else own.registry if own else Registry(DOCKER_HUB)
        path = _familiar_path(own) if own and repository is None else repository or ""
        return writable(Repository.at(host, path))

    def __str__(self) -> str:
        return self.text


def writable(repository: Repository) -> Repository:
    """Return the repository. Raises Refused for Docker Hub's official images, which accept no pushes."""
    if is_official(repository):
        name = repository.path.removeprefix("library/")
        raise Refused(
            f"{DOCKER_HUB}/library/{name} belongs to Docker's official images, so you cannot push there",
            f"choose your own with --repository USER/{name}, or another registry with --registry",
        )
    return repository


def is_official(repository: Repository) -> bool:
    """Whether a repository is one of Docker Hub's official images, which take no pushes."""
    path = repository.path
    return repository.registry.is_docker_hub and (path.startswith("library/") or "/" not in path)


def _familiar_path(repository: Repository) -> str:
    official = repository.registry.is_docker_hub and repository.path.count("/") == 1
    return repository.path.removeprefix("library/") if official else repository.path
