"""Imitations of the registries that people use, one module for each.

An imitation answers as its host does where that differs from the OCI distribution specification. Each difference says
where it is known from: the host's own documentation, its source, or reports by the people who met it. None of this is a
recording, and a host may change at any time.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple
from urllib.parse import unquote

from doubles import Bearer, FakeEngine, Message, ModelRegistry, Request, Response, digest_of, push_error

REFUSED = 3
"""The exit code of a command that wrote nothing, since a rule says no."""


USER, PASSWORD = "releaser", "a password"
_ENGINE = "the-token-of-the-engine"


class Difference(NamedTuple):
    """What a host does in its own way, and what kind of source says so."""

    does: str
    source: Literal["its documentation", "its source", "reports"]


class Imitation(ModelRegistry):
    """A registry of the specification, but for what `differs` answers.

    `name` is the host's, and `refuses` says what it does not offer: a command, and what tagger says then, with exit
    code 3 and nothing written. Where `denies_late`, only a real delete shows that. `differences` says in words what
    `differs` does.
    """

    name: ClassVar[str] = "a registry of the specification"
    refuses: ClassVar[Mapping[str, str]] = {}
    denies_late: ClassVar[bool] = False
    differences: ClassVar[tuple[Difference, ...]] = ()

    def differs(self, request: Request) -> Response | None:
        """Answer what the host answers in its own way, None for the rest."""

    def _route(self, request: Request) -> Response:
        return self.differs(request) or super()._route(request)


def manifest_of(request: Request) -> tuple[str, str]:
    """Give the repository and the tag or digest of a request for a manifest, two empty texts for any other."""
    name, found, reference = request.path.removeprefix("/v2/").rpartition("/manifests/")
    return (name, unquote(reference)) if found else ("", "")


def plain(status: int, text: str, **headers: str) -> Response:
    """Build an answer that is no JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"} | named)


# The codes that Docker's client knows; it calls every other one `unknown`.
_KNOWN = (
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DENIED", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "TAG_INVALID",
    "TOOMANYREQUESTS", "UNAUTHORIZED", "UNAVAILABLE", "UNSUPPORTED",
)  # fmt: skip


class PushingEngine(FakeEngine):
    """An Engine that asks the registry by HTTP, and quotes a refusal in Docker's form: code in words, then message."""

    authorization: Mapping[str, str] = {}
    """The header that the registry wants, where it wants one."""

    def log_in(self, registry: Imitation) -> None:
        """Do what `docker login` does: keep the password for tagger, and have a token of this Engine's own."""
        if not isinstance(registry.auth, Bearer):
            return
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        config = Path(os.environ["DOCKER_CONFIG"], "config.json")
        config.write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
        everything = frozenset((name, right) for name in registry.repositories for right in ("pull", "push"))
        registry.auth.tokens[_ENGINE] = float("inf"), everything
        self.authorization = {"Authorization": f"Bearer {_ENGINE}"}

    def deliver(self, name: str, tag: str) -> Iterator[Message]:
        """Push the manifest; these images have no layers of their own to send."""
        yield {"status": f"The push refers to repository [{name}]"}
        host, _, path = name.partition("/")
        body = self.manifests[self.tags[f"{name}:{tag}"]]
        headers = {"Content-Type": json.loads(body)["mediaType"], "User-Agent": "docker/20.10.24"}
        headers |= self.authorization
        with closing(http.client.HTTPConnection(host, timeout=30)) as connection:
            connection.request("PUT", f"/v2/{path}/manifests/{tag}", body, headers)
            answer = connection.getresponse()
            said = answer.read()
        if answer.status != 201:
            yield push_error(quoted(answer.status, said))
            return
        yield {"status": f"{tag}: digest: {digest_of(body)} size: {len(body)}"}
        yield {"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest_of(body), "Size": len(body)}}


def quoted(status: int, body: bytes) -> str:
    """Quote a registry's refusal as Docker's client does (distribution's `errcode`).

    >>> quoted(400, b'{"errors": [{"code": "TAG_INVALID", "message": "it already exists"}]}')
    'tag invalid: it already exists'
    """
    try:
        error = json.loads(body)["errors"][0]
        code = str(error["code"])
    except (ValueError, LookupError, TypeError):
        return f"received unexpected HTTP status: {status} {http.client.responses.get(status, '')}"
    words = code.lower().replace("_", " ") if code in _KNOWN else "unknown"
    return f"{words}: {error.get('message', '')}"
