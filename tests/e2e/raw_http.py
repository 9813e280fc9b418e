"""HTTP at the level of bytes, for requests that no well-behaved client sends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

PATIENCE_S = 15.0
TRICKLE_S = 0.02
"""Pause between two pieces of a slow request."""


class Raw:
    """One TCP connection to a scheduler."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send at once; bytes that the other end no longer accepts are lost."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def trickle(self, piece: bytes) -> bytes:
        """Send `piece` again and again until the other end closes, and return its answer."""
        answer = asyncio.create_task(self.rest())
        while not answer.done():
            await self.send(piece)
            await asyncio.wait([answer], timeout=TRICKLE_S)
        return await answer

    async def rest(self) -> bytes:
        """Return all bytes until the other end closes the connection."""
        received = b""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                while data := await self._reader.read(65536):
                    received += data
        return received

    async def status(self) -> int:
        """Return the status of the next answer."""
        async with asyncio.timeout(PATIENCE_S):
            return status_of(await self._reader.readline())

    async def answer(self) -> bytes:
        """Return the next answer, which has a Content-Length."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            return head + await self._reader.readexactly(int(length or b"0"))


@contextlib.asynccontextmanager
async def raw(port: int) -> AsyncIterator[Raw]:
    """Connect; the connection is aborted at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


def status_of(answer: bytes) -> int:
    """Return the status in the first line of an answer; 0 when there is none."""
    return int(answer[9:12] or b"0")


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """Return a request; the caller adds a Content-Length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
