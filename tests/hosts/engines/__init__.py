"""Imitations of the Engines that people use, one module for each.

Most are a proxy before the real Docker Engine 20.10 that the tests start, which answers as another Engine does. Each
difference says where it is known from: a recording of that Engine, its documentation, its source, or reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple
from urllib.parse import unquote

from doubles import EngineProxy, Message, Request, Response, Server, _Handler, _TCPListener

from hosts import Kind

_IMAGE = re.compile(r"(?:/v[0-9.]+)?/images/(?P<name>.+)/(?P<verb>json|tag|push)")


class OfEngine(Kind):
    """What a page says of an Engine: `environment` is what the command runs with, `lacks` what cannot be done."""

    environment: ClassVar[Mapping[str, str]] = {}
    lacks: ClassVar[str] = ""


class EngineImitation(OfEngine, EngineProxy):
    """A proxy before a real Engine, which changes what `differs` answers."""

    name = "Docker Engine 20.10"

    def differs(self, request: Request) -> Response | None:
        """Answer what the Engine answers in its own way, None for the rest."""

    def answer(self, request: Request) -> Response:
        """Answer as the Engine does."""
        return self.differs(request) or self.pass_on(request)

    def pass_on(self, request: Request) -> Response:
        """Let the real Engine answer."""
        return super().answer(request)


class OverTcp(EngineImitation):
    """A real Engine as it is, but on TCP."""

    def _listen(self) -> _TCPListener:  # type: ignore[override] # the other one is for a socket
        listener = _TCPListener(("127.0.0.1", 0), _Handler)
        self._port = listener.server_address[1]
        return listener

    @property
    def url(self) -> str:
        """Return the address as DOCKER_HOST wants it."""
        return f"tcp://127.0.0.1:{self._port}"

    def __exit__(self, *problem: object) -> None:
        Server.__exit__(self, *problem)


class Asked(NamedTuple):
    """What a request wants of an image: to see it (`json`), to `tag` it, to `push` it; two empty texts for others."""

    verb: str
    name: str


def asked(request: Request) -> Asked:
    """What a request wants from an image."""
    found = _IMAGE.fullmatch(unquote(request.path))
    return Asked(found["verb"], found["name"]) if found else Asked("", "")


def body_of(answer: Response) -> bytes:
    """Read an answer to its end."""
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


def stream(messages: Iterable[Message]) -> Response:
    """Answer a push."""
    lines = [json.dumps(message).encode() + b"\n" for message in messages]
    return Response(200, lines, {"Content-Type": "application/json"})
