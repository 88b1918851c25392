"""Imitations of the registries that people use, one module for each.

An imitation is a proxy before the real registry that the tests start. It answers as its host does where that differs
from that registry. Each difference says where it is known from: the host's own documentation, its source, or reports by
the people who met it. None of this is a recording, and a host may change at any time.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple
from urllib.parse import unquote

from doubles import Bearer, Proxy, Request, Response, digest_of, manifest, refusal
from pushed import Repository
from services import Registry

REFUSED = 3
"""The exit code of a command that wrote nothing, because a rule says no."""


USER, PASSWORD = "releaser", "a password"
# As the real registry, they send it with every answer.
_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
_WITHIN = re.compile(r"/v2/(?P<name>.+)/(?P<what>manifests|tags|referrers|blobs/uploads|blobs)/")


class Difference(NamedTuple):
    """What a host does in its own way, and what kind of source says so."""

    does: str
    source: Literal["its documentation", "its source", "reports", "a recording", "trials with it"]


class Kind:
    """What a page says of a registry or an Engine, and what tests expect of it.

    `refuses` says what it does not offer: what is tried, and what tagger says then, with exit code 3 and nothing
    written. Where `denies_late`, only a real delete shows that. `differences` says in words what it does otherwise.
    """

    name: ClassVar[str]
    refuses: ClassVar[Mapping[str, str]] = {}
    denies_late: ClassVar[bool] = False
    differences: ClassVar[tuple[Difference, ...]] = ()


class Imitation(Kind, Proxy):
    """A proxy before a real registry, which changes what `differs` answers.

    The real registry has no token server: with `auth`, the imitation has one.
    """

    name = "a registry of distribution 2.8"
    referrers: ClassVar[bool] = False
    """Whether it lists what refers to an image."""

    def __init__(self, real: Registry, auth: Bearer | None = None) -> None:
        super().__init__(real.host)
        self.real, self.auth = real, auth
        self._idle: deque[HTTPConnection] = deque()

    def __exit__(self, *problem: object) -> None:
        super().__exit__(*problem)
        for connection in self._idle:
            connection.close()

    @property
    def url(self) -> str:
        """Return the address without a path."""
        return f"http://{self.host}"

    def differs(self, request: Request) -> Response | None:
        """Answer what the host answers in its own way, None for the rest."""

    def answer(self, request: Request) -> Response:
        """Answer as the host does."""
        if self.auth and request.path == "/token":
            return self.auth.token(request) if request.method == "GET" else Response(404)
        with self.lock:
            answer = self._challenge(request) or self.differs(request)
        answer = answer or self.pass_on(request)
        return replace(answer, headers={**answer.headers, **_VERSION})

    def pass_on(self, request: Request) -> Response:
        """Let the real registry answer."""
        return super().answer(request)

    @contextmanager
    def connected(self) -> Iterator[HTTPConnection]:
        """A connection to the real registry, which serves again: it never goes away here."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = HTTPConnection(self.upstream, timeout=60)
        yield connection
        self._idle.append(connection)

    def _challenge(self, request: Request) -> Response | None:
        """Ask who it is that sends a request, and for the right that it takes."""
        if not self.auth:
            return None
        within = _WITHIN.match(request.path)
        rights = {"GET": {"pull"}, "HEAD": {"pull"}, "DELETE": {"delete"}}.get(request.method, {"pull", "push"})
        if within and within["what"] == "blobs/uploads":
            rights = {"pull", "push"}
        error = self.auth.error(request, within["name"] if within else "", rights if within else set())
        if error is None:
            return None
        challenge = f'Bearer realm="{self.url}/token",service="imitation"'
        challenge += f',scope="repository:{within["name"]}:{",".join(sorted(rights))}"' if within else ""
        challenge += f',error="{error}"' if error else ""
        return refusal(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)

    # What follows goes past the proxy, to the real registry or to its storage.

    def folder(self, name: str) -> Path:
        """The folder in which the real registry keeps a repository."""
        return self.real.root / "docker/registry/v2/repositories" / name

    def exists(self, name: str) -> bool:
        """Whether there is such a repository."""
        return (self.folder(name) / "_manifests").is_dir()

    def create(self, name: str) -> None:
        """Make a repository without tags."""
        (self.folder(name) / "_manifests/tags").mkdir(parents=True, exist_ok=True)

    def tags(self, name: str) -> dict[str, str]:
        """Return where every tag of a repository points."""
        folder = self.folder(name) / "_manifests/tags"
        tags = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        return {tag: digest for tag in tags if (digest := self.held(name, tag))}

    def held(self, name: str, reference: str) -> str:
        """The digest that a tag points to; an empty text if there is none. A digest points to itself."""
        if ":" in reference:
            return reference
        try:
            return self.real.link_file(name, reference).read_text()
        except FileNotFoundError:
            return ""

    def tags_on(self, name: str, digest: str) -> list[str]:
        """The tags that point at a digest."""
        return sorted(tag for tag, held in self.tags(name).items() if held == digest)

    def manifests(self, name: str) -> dict[str, bytes]:
        """Every manifest of a repository by its digest."""
        links = self.folder(name).glob("_manifests/revisions/sha256/*/link")
        digests = [link.parent.name for link in links]
        blobs = self.real.root / "docker/registry/v2/blobs/sha256"
        return {f"sha256:{digest}": (blobs / digest[:2] / digest / "data").read_bytes() for digest in digests}

    def untag(self, name: str, tag: str) -> Response:
        """Delete one tag, as the real registry cannot, but distribution 3 does."""
        held = self.real.link_file(name, tag).parents[1]
        if not held.is_dir():
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        gone = self.real.folder / secrets.token_hex(8)
        held.rename(gone)  # a rename is atomic, so a concurrent write to the tag does no harm
        shutil.rmtree(gone)
        return Response(202)

    def seed(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Publish an image for each tag, one layer of the given content."""
        for tag, content in contents.items():
            self.put(name, tag, manifest(content), *blobs_of(content))

    def copy(self, template: str, name: str) -> None:
        """Make a repository that is as another one, which costs no request."""
        shutil.copytree(self.folder(template), self.folder(name))

    def put(self, name: str, reference: str, body: bytes, *blobs: bytes) -> None:
        """Publish a manifest under a tag or its digest, with the blobs that it is made of."""
        for blob in blobs:
            if not (self.folder(name) / "_layers" / digest_of(blob).replace(":", "/")).is_dir():
                Repository(self.real, name).blob(blob, "")
        status = self.real.put(name, reference, body, json.loads(body)["mediaType"])
        assert status == 201, status


def blobs_of(content: bytes) -> tuple[bytes, bytes]:
    """The configuration and the layer of the image with that content."""
    return b"config of " + content, content


def manifest_of(request: Request) -> tuple[str, str]:
    """The repository and the tag or digest of a request for a manifest, two empty texts for any other."""
    name, found, reference = request.path.removeprefix("/v2/").rpartition("/manifests/")
    return (name, unquote(reference)) if found else ("", "")


def list_of(request: Request) -> str:
    """The repository of a request for a list of tags, an empty text for any other."""
    name, found, _ = request.path.removeprefix("/v2/").rpartition("/tags/list")
    return name if found else ""


def upload_to(request: Request) -> str:
    """The repository of a request that begins an upload, an empty text for any other."""
    name, found, _ = request.path.removeprefix("/v2/").rpartition("/blobs/uploads/")
    return name if found and request.method == "POST" else ""


def plain(status: int, text: str, **headers: str) -> Response:
    """Build an answer that is not JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"} | named)
