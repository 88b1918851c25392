"""Podman's service, which answers Docker's API: 5.8, and older ones that Debian and Ubuntu have."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

from doubles import Message, Request, Response, as_json, push_error

from hosts import Difference
from hosts.engines import EngineImitation, asked, body_of, stream

_HEADER = Difference("Its version is in the header Libpod-Api-Version.", "a recording")
_BRIEF = Difference("Its push stream has a first line, and a line of text with the digest.", "a recording")
_FORMATS = Difference("It tries a refused manifest in other formats, and reports each of them.", "a recording")
_LIST = Difference("Its Docker API shows one image of a manifest list, but not the list itself.", "a recording")
_LISTED = re.compile(r"/v[0-9.]+/libpod/manifests/(.+)/exists")
_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


class Podman(EngineImitation):
    """Podman 5.8: the messages of a push and its errors are as recorded from the one of Debian sid."""

    name = "Podman 5.8"
    version: ClassVar[str] = "5.8.6"
    lacks = (
        "A manifest list cannot be released from here. Push it with `podman manifest push --all`, then release it with"
        " `tagger promote`."
    )
    differences: ClassVar[tuple[Difference, ...]] = (
        _HEADER,
        _BRIEF,
        _FORMATS,
        Difference("When the registry refuses a push, it answers with HTTP status 500.", "a recording"),
        _LIST,
    )

    def __init__(self, upstream: Path) -> None:
        super().__init__(upstream)
        self.lists: dict[str, str] = {}
        """Manifest lists, and the image that is shown for each."""

    def answer(self, request: Request) -> Response:
        """Answer as Podman does, which says so in every header."""
        answer = super().answer(request)
        server = {"Libpod-Api-Version": self.version, "Server": f"Libpod/{self.version} (linux)"}
        return replace(answer, headers={**answer.headers, **server})

    def differs(self, request: Request) -> Response | None:
        """Answer what Podman answers in its own way."""
        if found := _LISTED.fullmatch(unquote(request.path)):
            return Response(204 if found[1] in self.lists else 404)
        if request.path.endswith("/info"):
            return self._info(request)
        verb, name = asked(request)
        if verb == "json" and name in self.lists:
            return self.pass_on(replace(request, path=request.path.replace(name, self.lists[name])))
        return self._push(request, name, request.query["tag"][0]) if verb == "push" else None

    def _info(self, request: Request) -> Response:
        """Return the registries in registries.conf, and no networks."""
        local = {"Name": "127.0.0.1", "Mirrors": [], "Secure": False, "Official": False}
        registries = {"InsecureRegistryCIDRs": [], "IndexConfigs": {"127.0.0.1": local}, "Mirrors": []}
        own = {"ServerVersion": self.version, "Driver": "overlay", "DriverStatus": [], "RegistryConfig": registries}
        return as_json(200, {**json.loads(body_of(self.pass_on(request))), **own})

    def _push(self, request: Request, name: str, tag: str) -> Response:
        messages = [json.loads(line) for line in body_of(self.pass_on(request)).splitlines()]
        error = next((str(message["error"]) for message in messages if "error" in message), "")
        if "does not exist" in error:
            said = f"failed to find image {name}:{tag}: {name}:{tag}: image not known"
            return as_json(404, {"cause": "image not known", "message": said, "response": 404})
        first: Message = {"status": f"The push refers to repository [{name}:{tag}]"}
        if error:
            said = f"writing manifest: uploading manifest {tag} to {name}: {error}"
            return self._refused(first, f"Uploading manifest failed, attempted the following formats: {_TYPE}({said})")
        return self._pushed(
            first, [message for message in messages if f"{tag}: digest: " in str(message.get("status"))]
        )

    def _refused(self, _: Message, error: str) -> Response:
        return as_json(500, push_error(error))

    def _pushed(self, first: Message, last: Iterable[Message]) -> Response:
        return stream([first, *last])


class Podman43(Podman):
    """Podman 4.3 of Debian 12, which loses one of two tags that are made at once."""

    name = "Podman 4.3"
    version = "4.3.1"
    differences: ClassVar[tuple[Difference, ...]] = (
        _HEADER,
        Difference("It loses one of two local tags that are created at once.", "trials with it"),
        _BRIEF,
        _FORMATS,
        _LIST,
    )

    def __init__(self, upstream: Path) -> None:
        super().__init__(upstream)
        self._tagging = threading.Lock()

    def differs(self, request: Request) -> Response | None:
        """Answer what Podman answers in its own way."""
        if asked(request).verb != "tag":
            return super().differs(request)
        if not self._tagging.acquire(blocking=False):
            return Response(201)
        try:
            return self.pass_on(request)
        finally:
            self._tagging.release()

    def _refused(self, first: Message, error: str) -> Response:
        return stream([first, push_error(error)])


class Podman34(Podman43):
    """Podman 3.4 of Ubuntu 22.04, whose push names a digest without a size (its issue 12468)."""

    name = "Podman 3.4"
    version = "3.4.4"
    differences = (
        Difference("Its push stream names the digest without a size. All else is imitated as Podman 4.3.", "reports"),
    )

    def _pushed(self, first: Message, last: Iterable[Message]) -> Response:
        return stream([first, *({"status": str(message["status"]).partition(" size: ")[0]} for message in last)])


class Podman30(Podman43):
    """Podman 3.0 of Debian 11, which says nothing of a push that went well (its issue 9277)."""

    name = "Podman 3.0"
    version = "3.0.1"
    differences = (
        Difference("Its push stream is empty after a success. All else is imitated as Podman 4.3.", "reports"),
    )

    def _pushed(self, _: Message, __: Iterable[Message]) -> Response:
        return Response(200)
