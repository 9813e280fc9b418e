"""A proxy between clients and a scheduler that breaks connections, hangs, or drops what the scheduler sends.

When it hangs neither end notices, as with a lost router or a closed laptop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

PART_BYTES = 65536


class Line:
    """Forwards connections to `port`."""

    def __init__(self, port: int) -> None:
        self.url = ""
        self._port = port
        self._is_cut = False
        self._loses_answers = False
        self.connections = 0
        self._living = asyncio.Event()
        self._living.set()
        self._pipes: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def cut(self) -> None:
        """Break every connection by RST, and each new one, until `mend`."""
        self._is_cut = True
        for writer in self._pipes.values():
            writer.transport.abort()

    def mend(self) -> None:
        """Accept new connections again."""
        self._is_cut = self._loses_answers = False

    def lose_answers(self) -> None:
        """From now on nothing that the scheduler sends arrives, and neither end notices."""
        self._loses_answers = True

    def go_dead(self) -> None:
        """Let the open connections hang; new connections work."""
        self._living.clear()
        self._living = asyncio.Event()
        self._living.set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        """Listen at `url`."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        for source, target, is_answer in ((reader, there_writer, False), (there_reader, writer, True)):
            pipe = asyncio.create_task(self._forward(source, target, is_answer, self._living))
            self._pipes[pipe] = target

    async def _forward(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, is_answer: bool, living: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(PART_BYTES):
                await living.wait()
                if not (is_answer and self._loses_answers):
                    target.write(data)
                    await target.drain()
        if living.is_set():
            target.transport.abort()
