"""A server that answers with any bytes, even those that no server library would send."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def answering(*pieces: bytes | Iterable[bytes]) -> Iterator[str]:
    """Answer every connection's request with these bytes and close it; return the host."""
    connections: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                connections.append(client)
                threading.Thread(target=answer, args=(client,), daemon=True).start()

    def answer(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.recv(65536)
            for piece in pieces:
                for part in [piece] if isinstance(piece, bytes) else piece:
                    client.sendall(part)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        acceptor = threading.Thread(target=serve, daemon=True)
        acceptor.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(10)
        for client in connections:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
