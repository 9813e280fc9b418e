"""A server that answers as a Sentinel does, and names as primary whatever a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.lookalike import value_of


class PlayedSentinel:
    """Names 127.0.0.1:`primary` as the primary of any name; 0 = it knows none."""

    def __init__(self, primary: int) -> None:
        self.primary = primary
        self.asked = 0
        self._port = 0

    @property
    def url(self) -> str:
        """The address of the primary."""
        return f"redis+sentinel://127.0.0.1:{self._port}/main"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PlayedSentinel]:
        """Listen."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                words = (await value_of(reader)).decode().split("\r\n")[2::2]
                if words[0] != "SENTINEL":
                    writer.write(b"+OK\r\n")
                    continue
                self.asked += 1
                port = str(self.primary)
                found = f"*2\r\n$9\r\n127.0.0.1\r\n${len(port)}\r\n{port}\r\n" if self.primary else "*-1\r\n"
                writer.write(found.encode())
        except (OSError, asyncio.IncompleteReadError):
            pass  # it has closed
        finally:
            writer.close()
