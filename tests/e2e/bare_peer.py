"""One end of a WebSocket without a library: thousands of them fit into a process, and it can stop at any byte.

It answers pings and counts frames; messages are decoded and passed to a callback, or kept until they are read.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import msgspec

from voxpool.scheduler.protocol.codec import Codec, encode, to_client, to_node

PATIENCE_S = 60.0
"""Patience for an answer, on a busy machine."""
BINARY, PING, PONG, CLOSE = 0x2, 0x9, 0xA, 0x8
MASK = b"\x00\x00\x00\x00"
"""A mask that changes nothing (RFC 6455, 5.3 requires a mask; its value is up to the sender)."""


class Gone(Exception):
    """The connection ended while an answer was awaited."""


def handshake(path: str) -> bytes:
    """Return the request that turns a connection into a WebSocket."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def frame(payload: bytes, opcode: int = BINARY) -> bytes:
    """Return `payload` as one final, masked frame."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
    elif length < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    return head + MASK + payload


def encoded(message: msgspec.Struct) -> bytes:
    """Return `message` as a binary frame."""
    return frame(encode(message, binary=True))


class BarePeer(asyncio.Protocol):
    """A connection; `open` makes it a WebSocket, `reset` and `end` break it without a goodbye.

    Messages are passed to `on_message` if it is set; else `answer` returns them.
    """

    def __init__(self, codec: Codec[Any], on_message: Callable[[Any], None] | None = None) -> None:
        self.pings = 0
        """Pings from the other end; each was answered."""
        self.pongs = 0
        self.gone = False
        self._codec = codec
        self._on_message = on_message
        self._buffer = bytearray()
        self._upgraded = False
        self._messages: deque[Any] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport

    @classmethod
    async def connect(cls, port: int, codec: Codec[Any], on_message: Callable[[Any], None] | None = None) -> BarePeer:
        """Open a TCP connection to that port of this machine."""
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(lambda: cls(codec, on_message), "127.0.0.1", port)
        return peer

    async def open(self, path: str) -> None:
        """Upgrade the connection to a WebSocket. Raises Gone when that is refused."""
        self.write(handshake(path))
        while not self._upgraded:
            await self._more()

    def write(self, data: bytes) -> None:
        """Send raw bytes."""
        self.transport.write(data)

    def send_message(self, message: msgspec.Struct) -> None:
        """Send a message."""
        self.write(encoded(message))

    def ping(self) -> None:
        """Send a ping."""
        self.write(frame(b"bare", PING))

    async def answer(self, *kinds: type[Any]) -> Any:
        """Return the next message of one of these kinds and discard others. Raises Gone."""
        while True:
            while self._messages:
                message = self._messages.popleft()
                if isinstance(message, kinds):
                    return message
            await self._more()

    async def reply(self) -> bytes:
        """Return the received bytes of an answer that is not a WebSocket's. Raises Gone."""
        while not self._buffer:
            await self._more()
        return bytes(self._buffer)

    def reset(self) -> None:
        """Close the connection with a RST: data in flight are lost."""
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def end(self) -> None:
        """Close the connection with a FIN after the written bytes are sent, without a close frame."""
        self.transport.close()

    # ---- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transport is one in all but its class

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._wake()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            if not self._buffer.startswith(b"HTTP/1.1 101"):
                self._wake()
                return
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._upgraded = True
            del self._buffer[: end + 4]
        self._take_frames()
        self._wake()

    def _take_frames(self) -> None:
        buffer = self._buffer
        while len(buffer) >= 2:
            length, start = buffer[1], 2
            if length >= 126:
                start = 4 if length == 126 else 10
                if len(buffer) < start:
                    return
                length = int.from_bytes(buffer[2:start], "big")
            if len(buffer) < start + length:
                return
            opcode, payload = buffer[0] & 0xF, bytes(buffer[start : start + length])
            del buffer[: start + length]
            self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == BINARY:
            message = self._codec.decode(payload, binary=True)
            if self._on_message is None:
                self._messages.append(message)
            else:
                self._on_message(message)
        elif opcode == PING:
            self.pings += 1
            self.write(frame(payload, PONG))
        elif opcode == PONG:
            self.pongs += 1
        elif opcode == CLOSE:
            self.transport.close()

    async def _more(self) -> None:
        if self.gone:
            raise Gone(bytes(self._buffer[:200]).decode("latin-1"))
        self._waiting = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(PATIENCE_S):
            await self._waiting

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


async def client(port: int, on_message: Callable[[Any], None] | None = None) -> BarePeer:
    """Return a connection of a client, open, before hello."""
    peer = await BarePeer.connect(port, to_client, on_message)
    await peer.open("/ws/session")
    return peer


async def node(port: int, on_message: Callable[[Any], None] | None = None) -> BarePeer:
    """Return a connection of a node, open, before register."""
    peer = await BarePeer.connect(port, to_node, on_message)
    await peer.open("/ws/node")
    return peer
