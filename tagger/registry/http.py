"""HTTP requests to one registry and to the targets of its redirects, with retries."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from http import HTTPStatus

import urllib3

from tagger import __version__
from tagger.errors import AGAIN, TooLong, Unreadable
from tagger.names import Registry
from tagger.registry.answer import Answer
from tagger.registry.bounded import BLOB_SILENCE_SECONDS, SILENCE_SECONDS
from tagger.registry.failures import connection_lost, unreachable
from tagger.registry.pools import Pools
from tagger.registry.retry_after import seconds_to_wait
from tagger.registry.traffic import Traffic
from tagger.registry.url import shown
from tagger.values import dataclass
from tagger.work import Attempt, Deadline, Pauses, Trace

_CONNECT_SECONDS = 15.0
_PIECE_BYTES = 512 * 1024
# The time for all retries of a command, so that it soon reports a registry that stays down.
_WAITING_SECONDS = 120.0
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
Body = bytes | Iterator[bytes] | None
"""The body of a request: bytes, or the pieces of a blob, which can be read only once."""


class Transport:
    """A pool of connections to one registry, and to the targets of its redirects; safe to use from several threads.

    With `insecure` the registry's own certificate is not verified. `trace` gets a line for every request. Several
    transports share their `pools`, and the `traffic` that they belong to.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        insecure: bool,
        deadline: Deadline,
        trace: Trace | None = None,
        pools: Pools | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self.registry = registry
        self.deadline = deadline
        self._trace = trace
        self._lock = threading.Lock()
        self._pools = pools or Pools(registry, insecure=insecure, deadline=deadline)
        self._traffic = traffic
        self.close = self._pools.close
        self._waited = 0.0

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body = None,
        *,
        limit: int,
        first: Answer | None = None,
    ) -> Answer:
        """Send a request, and return its answer; retry temporary failures, unless it sends the pieces of a blob.

        `first` is the answer to the first attempt, if there was one already.

        Raises Unreadable, RegistryUnreachable, BadAnswer for an answer that is too long, TimedOut and CalledOff.
        """
        repeatable = method in _REPEATABLE and not isinstance(body, Iterator)
        for attempt in self.deadline.attempts(Pauses.REQUEST):
            try:
                answer, first = first or self.once(method, url, headers, body, limit=limit), None
            except urllib3.exceptions.ReadTimeoutError:
                raise Unreadable(
                    f"{self.registry} accepted the request but did not answer in time",
                    f"see its log, and {AGAIN}",
                ) from None
            except urllib3.exceptions.ProtocolError as error:
                if not (repeatable and self._may_wait(attempt, "closed the connection early")):
                    raise connection_lost(self.registry, error) from None
            except urllib3.exceptions.HTTPError as error:
                raise unreachable(self.registry, url, error) from None
            else:
                asked = answer.headers.get("retry-after", "")
                if not (
                    repeatable
                    and answer.passes()
                    and self._may_wait(attempt, f"answered HTTP {answer.status}", seconds_to_wait(asked, time.time()))
                ):
                    return answer
        raise AssertionError("the last attempt returns or raises")

    def _may_wait(self, attempt: Attempt, because: str, seconds: float = 0.0) -> bool:
        """Return whether another attempt is allowed, after at least this pause."""
        if attempt.pause is None:
            return False
        pause = max(attempt.pause, seconds)
        with self._lock:
            if self._waited + pause > _WAITING_SECONDS:
                return False
            self._waited += pause
        if self._trace:
            self._trace(f"{self.registry} is asked again in {pause:.1f} s")
        attempt.pause, attempt.since = pause, f"{self.registry} {because}"
        return True

    def once(self, method: str, url: str, headers: Mapping[str, str], body: Body = None, *, limit: int) -> Answer:
        """Send a request once. Raises urllib3's HTTPError, which `send` translates, and what else `send` raises."""
        with self._traced(method, url) as traced:
            response = self._begun(method, url, headers, body, of_blob=isinstance(body, Iterator))
            traced.outcome = str(response.status)
            return Answer(response.status, response.headers, self._content(response, limit), url)

    @contextlib.contextmanager
    def opened(self, url: str, headers: Mapping[str, str], *, limit: int) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """Get a blob: yield the answer, and its body in pieces; unless the status is 200, the answer has the body.

        Nothing is retried. Raises what `send` raises, at any piece too.
        """
        with self._traced("GET", url) as traced:
            try:
                response = self._begun("GET", url, headers, None, of_blob=True)
                traced.outcome = str(response.status)
                found = response.status == HTTPStatus.OK
                content = b"" if found else self._content(response, limit)
            except urllib3.exceptions.ProtocolError as error:
                raise connection_lost(self.registry, error) from None
            except urllib3.exceptions.HTTPError as error:
                raise unreachable(self.registry, url, error) from None
            try:
                yield Answer(response.status, response.headers, content, url), self._pieces(response)
            finally:
                response.close()
                response.release_conn()

    def _begun(
        self, method: str, url: str, headers: Mapping[str, str], body: Body, *, of_blob: bool
    ) -> urllib3.BaseHTTPResponse:
        if self._traffic:
            self._traffic.wait(self.deadline)
        self.deadline.check()
        fields = {"User-Agent": f"tagger/{__version__}", "Accept-Encoding": "identity", **headers}
        silence = BLOB_SILENCE_SECONDS if of_blob else SILENCE_SECONDS
        pool = self._pools.to(url, of_blob=of_blob)
        with self._counted(url) as counted:
            response = pool.request(
                method, url, headers=fields, body=body, redirect=False, retries=False, preload_content=False,
                timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, self.deadline.left() or math.inf), read=silence),
            )  # fmt: skip
            counted.append(response)
        return response

    @contextlib.contextmanager
    def _counted(self, url: str) -> Iterator[list[urllib3.BaseHTTPResponse]]:
        """Tell the traffic how a request was answered."""
        answered: list[urllib3.BaseHTTPResponse] = []
        try:
            yield answered
        finally:
            if self._traffic:
                host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
                for response in answered:
                    self._traffic.heard(host, response.status, response.headers)
                if not answered:
                    self._traffic.unheard(host)

    @contextlib.contextmanager
    def _traced(self, method: str, url: str) -> Iterator[_Traced]:
        traced, begun = _Traced(), time.monotonic()
        try:
            yield traced
        finally:
            if self._trace:
                self._trace(f"{method} {shown(url)} {traced.outcome} in {(time.monotonic() - begun) * 1000:.0f} ms")

    def _pieces(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            while piece := response.read(_PIECE_BYTES, decode_content=False):
                self.deadline.left()
                yield piece
        except (urllib3.exceptions.HTTPError, ValueError) as error:  # the latter as in `_content`
            raise connection_lost(self.registry, error) from None

    def _content(self, response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; only the read after the last byte shows whether it was cut off."""
        content = bytearray()
        try:
            while len(content) <= limit and (piece := response.read(limit + 1 - len(content), decode_content=False)):
                content += piece
            if len(content) > limit:
                response.close()
                raise TooLong(
                    f"{self.registry} answers with more than {limit} bytes, more than any registry should send",
                    "check the host and the port",
                )
            return bytes(content)
        except ValueError:  # http.client's own for a chunk of a negative size
            raise urllib3.exceptions.ProtocolError("the answer is not HTTP") from None
        finally:
            response.release_conn()


@dataclass(slots=True)
class _Traced:
    """The end of a request's trace line: the status, or why there is none."""

    outcome: str = "no answer"
