"""Answers that end: an answer is complete in time or given up, headers included.

Read timeouts alone would let a server hold a command for ever with a byte now and then.
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
# A blob may take for ever as long as it moves, and a registry may take a while to put a large one where it belongs.
BLOB_SILENCE_SECONDS = 120.0
_SLICE_SECONDS = 0.2
_READS = frozenset({"GET", "HEAD"})


def pool_classes(given: Deadline, *, of_blob: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """The classes, by scheme, of pools whose answers end; a blob may take longer, as long as it moves."""

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
    """An answer that has to be complete within ANSWER_SECONDS."""

    deadline: Deadline
    endless: bool

    def __init__(self, connection: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(connection, *arguments, **named)
        seconds = (BLOB_SILENCE_SECONDS, math.inf) if self.endless else (SILENCE_SECONDS, ANSWER_SECONDS)
        reads = named.get("method") in _READS
        self.fp = io.BufferedReader(_Incoming(self.fp.detach(), connection, self.deadline, seconds, reads=reads))


class _Incoming(io.RawIOBase):
    """The bytes of one answer; a read ends as soon as it is called off, the answer to a write is waited for."""

    def __init__(
        self,
        raw: io.RawIOBase,
        connection: socket.socket,
        deadline: Deadline,
        seconds: tuple[float, float],
        *,
        reads: bool,
    ) -> None:
        self._raw = raw  # holds the socket open for as long as the answer is read
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
