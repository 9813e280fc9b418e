"""The other ends of the round trips, one a process: a bare relay, an echoing worker, a node that answers at once.

Usage: python -m bench._processes relay PORT | worker URL | node URL | receiver PORT (of spans). All use the same
WebSocket library and event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voxpool.scheduler.protocol import codec
from voxpool.scheduler.protocol.messages import Assign, Heartbeat, NodeResult, Register, Registered

PAIR = "en:en"
NODE_SLOTS = 256
REPLY = b'{"n":%d}'


async def relay(port: str) -> None:
    """Pass each frame on to the other end without reading it: no scheduler between two sockets can be faster."""
    ends: dict[str, ServerConnection] = {}
    both = asyncio.Event()

    async def pass_on(end: ServerConnection) -> None:
        assert end.request is not None
        name = end.request.path.strip("/")
        ends[name] = end
        if len(ends) == 2:
            both.set()
        await both.wait()
        other = "worker" if name == "client" else "client"
        with contextlib.suppress(ConnectionClosed):
            async for frame in end:
                await ends[other].send(frame)

    async with serve(pass_on, "127.0.0.1", int(port), compression=None, max_size=None):
        await asyncio.Future()


async def worker(url: str) -> None:
    """Answer each frame with its first four bytes and its length."""
    async with connect(url, compression=None, max_size=None) as socket:
        async for frame in socket:
            assert isinstance(frame, bytes)
            await socket.send(frame[:4] + REPLY % (len(frame) - 4))


async def node(url: str) -> None:
    """Answer each assign at once with the length of its audio."""
    async with connect(url, compression=None, max_size=None) as socket:
        register = Register("bench", "bench", [PAIR], NODE_SLOTS, [])
        await socket.send(codec.encode(register, binary=True))
        async for frame in socket:
            assert isinstance(frame, bytes)
            message = codec.to_node.decode(frame, binary=True)
            if isinstance(message, Assign):
                result = NodeResult(message.job_id, message.attempt, {"n": len(message.audio)})
                await socket.send(codec.encode(result, binary=True))
            elif isinstance(message, Registered):
                await socket.send(codec.encode(Heartbeat([]), binary=True))


async def receiver(port: str) -> None:
    """Receive spans by OTLP over HTTP and discard them."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    server = await asyncio.start_server(take, "127.0.0.1", int(port))
    await server.serve_forever()


if __name__ == "__main__":
    role, argument = sys.argv[1:]
    uvloop.run({"relay": relay, "worker": worker, "node": node, "receiver": receiver}[role](argument))
