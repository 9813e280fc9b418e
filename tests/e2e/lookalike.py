"""A TCP server that speaks RESP: it forwards commands to a real Redis and answers some of them itself.

It imitates failing proxies, servers that refuse, and an address that moves to another server (`target`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

ONE_LINE = b"+-:,#_("
BULK = b"$=!"
MANY = {b"*": 1, b"~": 1, b">": 1, b"%": 2}
POINTS = {
    "connect": frozenset[str](),
    "info": frozenset({"INFO"}),
    "load": frozenset({"SCRIPT"}),
    "flush": frozenset({"EVALSHA"}),
    "middle": frozenset({"EVALSHA"}),
    "claim": frozenset({"EVAL", "SET", "GET"}),
}
"""The points at which an answer is replaced -> the commands; "middle": every second command, "connect": before any."""


class Lookalike:
    """Listens on 127.0.0.1 at `url` while `open`; the data are those of the server on port `target`."""

    def __init__(self, target: int) -> None:
        self.target = target
        """New connections go there; open connections keep their server."""
        self.url = ""
        self.port = 0
        self.given: Counter[str] = Counter()
        """The number of replaced answers, by command."""
        self._answer = b""
        self._commands: frozenset[str] = frozenset()
        self._skips = False
        self._asked = 0
        self._at_connect = False
        self._peers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Lookalike]:
        """Listen."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        try:
            yield self
        finally:
            server.close()
            self.drop()
            if self._tasks:
                await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # aborted transports release their sockets

    def misbehave(self, answer: bytes, *points: str) -> None:
        """Answer with the raw bytes `answer` at these points of POINTS until `behave`."""
        self.given.clear()
        self._answer = answer
        self._commands = frozenset().union(*(POINTS[point] for point in points))
        self._skips = "middle" in points
        self._at_connect = "connect" in points
        if not {"flush", "middle", "claim"} >= set(points):
            self.drop()

    def behave(self) -> None:
        """Forward everything again."""
        self._commands = frozenset()
        self._at_connect = False

    def drop(self) -> None:
        """Close all connections."""
        for peer in self._peers:
            peer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._peers.add(writer)
        try:
            if self._at_connect:
                self.given["connect"] += 1
                writer.write(self._answer)
                await writer.drain()
                return
            there, to_there = await asyncio.open_connection("127.0.0.1", self.target)
            self._peers.add(to_there)
            try:
                await self._serve(reader, writer, there, to_there)
            finally:
                self._peers.discard(to_there)
                to_there.close()
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of the two has closed
        finally:
            self._peers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        to_there: asyncio.StreamWriter,
    ) -> None:
        while True:
            command = await value_of(reader)
            name = command.split(b"\r\n")[2].decode().upper()
            if name in self._commands and self._is_bad():
                self.given[name] += 1
                writer.write(self._answer)
            else:
                to_there.write(command)
                writer.write(await value_of(there))
            await writer.drain()

    def _is_bad(self) -> bool:
        self._asked += 1
        return not self._skips or self._asked % 2 == 0


async def value_of(reader: asyncio.StreamReader) -> bytes:
    """Return the bytes of one value of RESP 2 or 3."""
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind in BULK and kind:
        return line + (await reader.readexactly(int(rest) + 2) if int(rest) >= 0 else b"")
    if kind in MANY:
        return line + b"".join([await value_of(reader) for _ in range(MANY[kind] * int(rest))])
    assert kind in ONE_LINE, line
    return line
