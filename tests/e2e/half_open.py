"""A wire between two ends that can go dead without telling them: what a lost router or a closed laptop does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

PART_BYTES = 65536


class Wire:
    """Forwards connections to `port`; those that are open when it goes `dead` carry nothing any more."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pipes: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._living = asyncio.Event()
        self._living.set()
        self.url = ""
        self.connections = 0

    def go_dead(self) -> None:
        """Let the open connections hang; new ones work."""
        self._living.clear()
        self._living = asyncio.Event()
        self._living.set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        """Listen at `url`."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)
            for writer in self._pipes.values():
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        living = self._living
        for source, target in ((reader, there_writer), (there_reader, writer)):
            pipe = asyncio.create_task(self._forward(source, target, living))
            self._pipes[pipe] = target

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, living: asyncio.Event) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await source.read(PART_BYTES):
                    await living.wait()
                    target.write(data)
                    await target.drain()
        finally:
            if living.is_set():
                target.close()
