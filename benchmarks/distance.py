"""A TCP proxy that puts a distance between its clients and a server: every byte arrives late, at full speed.

Run alone: `python -m benchmarks.distance 127.0.0.1:5001 127.0.0.1:5000 40` listens at the first address, forwards to
the second, and adds a round trip of 40 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

_PIECE = 64 * 1024
# The pieces that may be under way in each direction: 64 MiB, more than any bandwidth here times any delay.
_PIECES = 1024


async def serve(listen: str, upstream: str, round_trip: float) -> asyncio.Server:
    """Listen at HOST:PORT and forward every connection to another HOST:PORT, `round_trip` seconds away."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await _connect(reader, writer, upstream, round_trip)
        writer.close()

    host, _, port = listen.rpartition(":")
    return await asyncio.start_server(accept, host, int(port), limit=_PIECE)


async def _connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: str, round_trip: float
) -> None:
    """Join a client to the server until both have said all.

    The kernel shakes hands with the client at once, so its first bytes pay for that: they leave a round trip late.
    """
    accepted = asyncio.get_running_loop().time()
    host, _, port = upstream.rpartition(":")
    there, back = await asyncio.open_connection(host, int(port), limit=_PIECE)
    try:
        await asyncio.gather(
            _carry(reader, back, round_trip / 2, accepted + round_trip),
            _carry(there, writer, round_trip / 2, accepted + round_trip / 2),
        )
    finally:
        back.close()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float, first: float) -> None:
    """Carry bytes in order until the source ends; each arrives `delay` after it left, and none leaves before `first`.

    The end of the source is carried like any byte, and ends the sink's direction alone.
    """
    time = asyncio.get_running_loop().time
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_PIECES)

    async def take() -> None:
        piece = b"first"
        while piece:
            try:
                piece = await source.read(_PIECE)
            except OSError:
                piece = b""
            await under_way.put((max(time(), first) + delay, piece))

    async def give() -> None:
        piece = b"first"
        while piece:
            due, piece = await under_way.get()
            if (wait := due - time()) > 0:
                await asyncio.sleep(wait)
            sink.write(piece)
            await sink.drain()
        sink.write_eof()

    taking = asyncio.create_task(take())
    try:
        with contextlib.suppress(OSError):
            await give()
    finally:
        # A closed sink takes nothing more, whatever the source still sends.
        taking.cancel()


async def _forever(listen: str, upstream: str, round_trip: float) -> None:
    async with await serve(listen, upstream, round_trip) as server:
        print(f"{listen} is {round_trip * 1000:g} ms away from {upstream}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_forever(sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000))
