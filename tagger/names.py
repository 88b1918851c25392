"""Names of registries, repositories, tags and digests: parsed once at the edge, passed inside as values.

The grammar is that of github.com/distribution/reference (regexp.go), and so is the normalisation: a first component
is a registry only if it holds a dot or a colon, is `localhost`, or has an upper-case letter; otherwise the name is one
of Docker Hub's.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NewType

from tagger.errors import InvalidReference
from tagger.text import printable
from tagger.values import dataclass

Tag = NewType("Tag", str)
"""A tag that has been through `parse_tag`."""

Digest = NewType("Digest", str)
"""A digest that has been through `parse_digest`."""

DOCKER_HUB = "docker.io"
_HUB_NAMES = {"index.docker.io": DOCKER_HUB}
LONGEST_TAG = 128
SHORT_DIGEST = len("sha256:") + 12
"""The number of characters of a digest in texts for people."""
_LONGEST_PATH = 255

_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])"
_DOMAIN = re.compile(rf"{_HOST}(?::[0-9]+)?")
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PATH_PART}(?:/{_PATH_PART})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


def parse_tag(text: str) -> Tag:
    """Return the text as a tag (OCI distribution spec, "Pulling manifests").

    >>> parse_tag("2.1.106-rc.1")
    '2.1.106-rc.1'

    Raises InvalidReference.
    """
    if not _TAG.fullmatch(text):
        raise InvalidReference(
            f"'{printable(text)}' is not a tag",
            "use letters, digits, '_', '.' and '-', and start with neither of the last two",
        )
    if len(text) > LONGEST_TAG:
        raise InvalidReference(
            f"tag '{printable(text, 40)}' has {len(text)} characters", f"shorten it to at most {LONGEST_TAG}"
        )
    return Tag(text)


def parse_digest(text: str) -> Digest:
    """Return the text as a digest (OCI image spec, "Digests"), of an algorithm that Docker knows.

    >>> parse_digest("sha256:" + "0" * 64)[:10]
    'sha256:000'

    Raises InvalidReference.
    """
    if not _DIGEST.fullmatch(text):
        raise InvalidReference(f"'{printable(text)}' is not a digest", "it looks like sha256:<64 hexadecimal digits>")
    return Digest(text)


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry, by its host and optional port: `registry.local:5000`."""

    host: str

    @classmethod
    def parse(cls, text: str) -> Registry:
        """Parse `HOST[:PORT]`.

        >>> Registry.parse("registry.local:5000")
        Registry(host='registry.local:5000')

        Raises InvalidReference, also for a host that the Engine would read as the first part of a Docker Hub name.
        """
        if "@" in text:
            raise InvalidReference("a registry's name cannot contain a user or password", "use docker login instead")
        if "://" in text:
            raise InvalidReference(
                f"registry '{printable(text)}' is a URL", "give the host and port alone, such as registry.local:5000"
            )
        if not _DOMAIN.fullmatch(text):
            raise InvalidReference(
                f"'{printable(text)}' is not a registry", "give HOST or HOST:PORT, such as registry.local:5000"
            )
        if not _is_domain(text):
            raise InvalidReference(
                f"'{printable(text)}' names no registry, because the Engine reads it as part of a Docker Hub name",
                f"write {printable(text)}:PORT or the full host name",
            )
        return cls(_HUB_NAMES.get(text, text))

    @property
    def is_docker_hub(self) -> bool:
        """Whether this is Docker Hub."""
        return self.host == DOCKER_HUB

    @property
    def hostname(self) -> str:
        """The host without its port, and without the brackets of an IPv6 address."""
        return re.sub(r":[0-9]+$", "", self.host).strip("[]")

    @property
    def api_host(self) -> str:
        """The host that serves the HTTP API; that of Docker Hub has another name."""
        return "registry-1.docker.io" if self.is_docker_hub else self.host

    def __str__(self) -> str:
        return self.host


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository in a registry: `registry.local:5000/gallery/ui`."""

    registry: Registry
    path: str

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Parse a repository; without a registry it is Docker Hub's.

        >>> str(Repository.parse("registry.local:5000/gallery/ui"))
        'registry.local:5000/gallery/ui'
        >>> str(Repository.parse("team/app"))
        'docker.io/team/app'

        Raises InvalidReference.
        """
        reference = Reference.parse(text)
        if reference.tag or reference.digest:
            raise InvalidReference(
                f"'{printable(text)}' names one image", "give the repository alone, without tag or digest"
            )
        return reference.repository

    @classmethod
    def at(cls, registry: Registry, path: str) -> Repository:
        """Return the repository at a path in a registry.

        >>> str(Repository.at(Registry("localhost"), "gallery/ui"))
        'localhost/gallery/ui'

        Raises InvalidReference.
        """
        if not _PATH.fullmatch(path):
            hint = _path_hint(path)
            raise InvalidReference(f"'{printable(path)}' is not a repository name", hint)
        if len(path) > _LONGEST_PATH:
            raise InvalidReference(
                f"repository '{path[:40]}…' has {len(path)} characters", f"shorten it to at most {_LONGEST_PATH}"
            )
        return cls(registry, path)

    def tagged(self, tag: Tag) -> Reference:
        """Return the reference to one tag of this repository.

        >>> str(Repository.parse("registry.local:5000/gallery/ui").tagged(Tag("2.1")))
        'registry.local:5000/gallery/ui:2.1'
        """
        return Reference(self, tag=tag)

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an image: a repository, and perhaps a tag, a digest, or both."""

    repository: Repository
    tag: Tag | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse and normalise a reference as the Docker command line does.

        >>> str(Reference.parse("redis"))
        'docker.io/library/redis'
        >>> str(Reference.parse("registry.local:5000/gallery/ui:2.1"))
        'registry.local:5000/gallery/ui:2.1'

        Raises InvalidReference.
        """
        if IMAGE_ID.fullmatch(text):
            raise InvalidReference(f"'{text}' is an image ID and names no repository", "choose one with --repository")
        rest, at, digest = text.partition("@")
        head, slash, last = rest.rpartition("/")
        last, colon, tag = last.partition(":")
        return cls(
            _normalised(head + slash + last),
            parse_tag(tag) if colon else None,
            parse_digest(digest) if at else None,
        )

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address; no name is resolved.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("registry.local")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_domain(head: str) -> bool:
    return "." in head or ":" in head or head == "localhost" or head.lower() != head


def _normalised(name: str) -> Repository:
    head, slash, path = name.partition("/")
    if not slash or not _is_domain(head):
        head, path = DOCKER_HUB, name
    if not _DOMAIN.fullmatch(head):
        raise InvalidReference(
            f"'{printable(name)}' is not an image name: '{printable(head)}' is not a host",
            "write HOST/NAME or HOST:PORT/NAME",
        )
    repository = Repository.at(Registry(_HUB_NAMES.get(head, head)), path)
    official = repository.registry.is_docker_hub and "/" not in path
    return Repository.at(repository.registry, f"library/{path}") if official else repository


def _path_hint(path: str) -> str:
    if not path:
        return "give one such as gallery/ui"
    if ":" in path or "@" in path:
        return "give it alone, without registry, tag or digest"
    if path != path.lower():
        return f"it must be lower case, such as '{printable(path.lower())}'"
    if ".." in path.split("/"):
        return "a name cannot contain '..'"
    return "use lower-case letters and digits, with '.', '_', '-' and '/' between them"
