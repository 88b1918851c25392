"""An Engine in this process that pushes to a registry by HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Literal

from doubles import FakeEngine, Message, digest_of, push_error

from hosts import PASSWORD, USER, Imitation, blobs_of

_TOKEN = "the-token-of-the-engine"
# The codes that Docker's client knows; it calls every other one `unknown`.
_KNOWN = (
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DENIED", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "TAG_INVALID",
    "TOOMANYREQUESTS", "UNAUTHORIZED", "UNAVAILABLE", "UNSUPPORTED",
)  # fmt: skip


class _Refusal(Exception):
    """What a registry refuses, as Docker's client quotes it."""


class PushingEngine(FakeEngine):
    """An Engine that asks the registry by HTTP, and quotes a refusal in Docker's form: code in words, then message."""

    authorization: Mapping[str, str] = {}
    """The header that the registry wants, where it wants one."""

    def __init__(self, store: Literal["overlay2", "containerd"] = "overlay2") -> None:
        super().__init__(store=store)
        self._blobs: dict[str, tuple[bytes, ...]] = {}

    def load(self, name: str, content: bytes) -> str:
        """Add an image of one layer under a name; return its ID."""
        image = super().load(name, content)
        self._blobs[image] = blobs_of(content)
        return image

    def log_in(self, registry: Imitation, name: str) -> None:
        """Do what `docker login` does: keep the password for tagger, and have a token of this Engine's own."""
        if not registry.auth:
            return
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        config = Path(os.environ["DOCKER_CONFIG"], "config.json")
        config.write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
        registry.auth.tokens[_TOKEN] = float("inf"), frozenset({(name, "pull"), (name, "push")})
        self.authorization = {"Authorization": f"Bearer {_TOKEN}"}

    def deliver(self, name: str, tag: str) -> Iterator[Message]:
        """Push the blobs that are not there, then the manifest."""
        yield {"status": f"The push refers to repository [{name}]"}
        host, _, path = name.partition("/")
        image = self.tags[f"{name}:{tag}"]
        body = self.manifests[image]
        try:
            with closing(http.client.HTTPConnection(host, timeout=30)) as registry:
                for blob in self._blobs[image]:
                    self._upload(registry, path, blob)
                headers = {"Content-Type": json.loads(body)["mediaType"]}
                self._send(registry, "PUT", f"/v2/{path}/manifests/{tag}", body, headers)
        except _Refusal as problem:
            yield push_error(str(problem))
            return
        yield {"status": f"{tag}: digest: {digest_of(body)} size: {len(body)}"}
        if self.store != "containerd":
            yield {"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest_of(body), "Size": len(body)}}

    def quoted(self, request: str, status: int, body: bytes) -> str:  # noqa: ARG002 - other Engines name the request
        """Quote a registry's refusal of a request."""
        return quoted(status, body)

    def _upload(self, registry: http.client.HTTPConnection, path: str, blob: bytes) -> None:
        try:
            self._send(registry, "HEAD", f"/v2/{path}/blobs/{digest_of(blob)}")
        except _Refusal:
            place = self._send(registry, "POST", f"/v2/{path}/blobs/uploads/")
            self._send(registry, "PUT", f"{place}&digest={digest_of(blob)}", blob)

    def _send(
        self,
        registry: http.client.HTTPConnection,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] = {},
    ) -> str:
        """Send a request, and return the Location of the answer. Raises _Refusal."""
        registry.request(method, url, body, {"User-Agent": "docker/20.10.24", **self.authorization, **headers})
        answer = registry.getresponse()
        said = answer.read()
        if answer.status >= 400:
            raise _Refusal(self.quoted(f"{method} request to http://{registry.host}{url}", answer.status, said))
        return answer.getheader("Location", "")


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
