"""An answer that would never end is cut off."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
from clocks import Racing

from tagger.errors import CalledOff, TimedOut, Unreadable
from tagger.names import Registry
from tagger.registry.http import Transport
from tagger.registry.retry_after import seconds_to_wait
from tagger.work import Deadline


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("880.092\N{MICRO SIGN}s", 880.092e-6),
        ("250ms", 0.25),
        ("0h0m20s", 20),
        ("1m30s", 30),
        ("6h0m0s", 30),
        ("9" * 400, 30),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("5 minutes", 0),
        ("1e9", 0),
        ("inf", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2115 07:28:00 GMT", 30),
    ],
)
def test_every_form_of_retry_after_is_understood(asked: str, seconds: float) -> None:
    assert seconds_to_wait(asked, time.time()) == pytest.approx(seconds)


ENDLESS = {
    "a header a byte at a time": itertools.chain([b"HTTP/1.1 200 OK\r\nX: "], itertools.repeat(b"x")),
    "headers without end": itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"X: y\r\n")),
    "no answer but promises of one": itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body a byte at a time": itertools.chain(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"], itertools.repeat(b"x")
    ),
    "chunks of a byte": itertools.chain(
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"1\r\nx\r\n")
    ),
    "a body that stays away": iter([b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]),
    "nothing": iter([b""]),
}  # fmt: skip


@contextlib.contextmanager
def sending(pieces: Iterable[bytes]) -> Iterator[str]:
    """Listen, and send these pieces slowly to each client, as long as it is connected."""
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                client, _ = listener.accept()
                threading.Thread(target=feed, args=(client,), daemon=True).start()

    def feed(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            for piece in pieces:
                client.sendall(piece)
                if over.wait(0.01):
                    return
            over.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=serve, daemon=True)
        acceptor.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(10)


@pytest.fixture
def get() -> Iterator[Callable[[str, Deadline], object]]:
    """Ask a host for something before a deadline."""
    with contextlib.ExitStack() as opened:

        def ask(host: str, deadline: Deadline) -> object:
            asked = Transport(Registry(host), insecure=True, deadline=deadline)
            opened.callback(asked.close)
            return asked.send("GET", f"http://{host}/v2/", {}, limit=1000)

        yield ask


@pytest.mark.parametrize("answer", ENDLESS)
def test_tagger_gives_up_on_an_endless_answer(answer: str, get: Callable[[str, Deadline], object]) -> None:
    with sending(ENDLESS[answer]) as host, pytest.raises(Unreadable, match="run the same command again"):
        get(host, Deadline(clock=Racing(400)))


def test_the_timeout_of_the_command_ends_an_answer_too(get: Callable[[str, Deadline], object]) -> None:
    with sending(iter([b""])) as host, pytest.raises(TimedOut):
        get(host, Deadline(0.5))


def test_an_interruption_ends_a_read_at_once(get: Callable[[str, Deadline], object]) -> None:
    deadline, asked = Deadline(), threading.Event()

    def answer() -> Iterator[bytes]:
        asked.set()
        yield b""

    def interrupt() -> None:
        asked.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    ended: list[BaseException] = []

    def read(host: str) -> None:
        try:
            get(host, deadline)
        except CalledOff as error:
            ended.append(error)

    with sending(answer()) as host, pytest.raises(KeyboardInterrupt):
        deadline.at_once([interrupt, lambda: read(host)])
    assert len(ended) == 1
