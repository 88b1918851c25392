"""Answers with a time limit, headers included.

With read timeouts alone, a server could hold a command forever by sending a byte now and then.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import math
import socket
from typing import Any

import urllib3
import urllib3.connection

from tagger.work import Deadline

SILENCE_SECONDS = 30.0
ANSWER_SECONDS = 120.0
# A blob has no limit while bytes arrive, and a registry may need a while to store a large one.
BLOB_SILENCE_SECONDS = 120.0
_SLICE_SECONDS = 0.2
_READS = frozenset({"GET", "HEAD"})


def pool_classes(given: Deadline, *, of_blob: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """The classes of pools with limited answers, by scheme; a blob may take longer while bytes arrive."""

    class Response(_Response):
        deadline = given
        endless = of_blob

    class Plain(urllib3.connection.HTTPConnection):
        response_class = Response

    class Secure(urllib3.connection.HTTPSConnection):
        response_class = Response

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Response(http.client.HTTPResponse):
    """An answer that must be complete within ANSWER_SECONDS."""

    deadline: Deadline
    endless: bool

    def __init__(self, connection: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(connection, *arguments, **named)
        seconds = (BLOB_SILENCE_SECONDS, math.inf) if self.endless else (SILENCE_SECONDS, ANSWER_SECONDS)
        reads = named.get("method") in _READS
        self.fp = io.BufferedReader(_Incoming(self.fp.detach(), connection, self.deadline, seconds, reads=reads))


class _Incoming(io.RawIOBase):
    """The bytes of one answer. A cancelled read ends at once; the answer to a write is awaited."""

    def __init__(
        self,
        raw: io.RawIOBase,
        connection: socket.socket,
        deadline: Deadline,
        seconds: tuple[float, float],
        *,
        reads: bool,
    ) -> None:
        self._raw = raw  # keeps the socket open until the answer is read
        self._socket = connection
        self._check = deadline.check if reads else lambda: None
        self._now = deadline.clock.monotonic
        self._silence, in_all = seconds
        self._end = self._now() + in_all

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        end = min(self._now() + self._silence, self._end)
        while (left := end - self._now()) > 0:
            self._check()
            self._socket.settimeout(min(left, _SLICE_SECONDS))
            with contextlib.suppress(TimeoutError):
                return self._socket.recv_into(buffer)
        raise TimeoutError("the answer takes too long")

    def close(self) -> None:
        self._raw.close()
        super().close()
