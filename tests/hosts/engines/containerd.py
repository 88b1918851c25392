"""Docker Engine 29 with the containerd image store, the default of a new Engine."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from doubles import Message, recorded

from hosts import Difference
from hosts.engines import OfEngine
from hosts.pushing import PushingEngine


class Containerd(OfEngine, PushingEngine):
    """An Engine in this process that pushes by HTTP, and says what Docker 29 said when it was recorded."""

    name = "Docker Engine 29, containerd image store"
    refuses: ClassVar[Mapping[str, str]] = {"reason": "400 Bad Request"}
    differences = (
        Difference("The ID of an image is the digest of its manifest.", "a recording"),
        Difference("Its push stream shows the digest only in a line of text.", "a recording"),
        Difference("When the registry refuses a push, it shows the HTTP status, but not the reason.", "a recording"),
    )

    def __init__(self, _: Path) -> None:
        super().__init__(store="containerd")
        self.load("build", b"the image of the containerd store")

    def deliver(self, name: str, tag: str) -> Iterator[Message]:
        """Push, and say it in the recorded messages, all but the last of which name no tag."""
        first, *_, last = super().deliver(name, tag)
        yield first
        if "error" not in last:
            yield from recorded("docker-29-containerd/first-push")[1:-1]
        yield last

    def quoted(self, request: str, status: int, _: bytes) -> str:
        """The request and the status."""
        return f"unexpected status from {request}: {status} {http.client.responses[status]}"
