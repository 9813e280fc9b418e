"""A proxy that breaks connections, lets them hang, or drops what the far end sends.

While a connection hangs neither end notices, as with a lost router or a closed laptop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

PART_BYTES = 65536


@dataclass(eq=False)
class Link:
    """One connection: to which port it leads, and what is wrong with it."""

    target: int
    passes: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: nothing passes, and neither end notices."""
    is_dead: bool = False
    """It hangs for ever."""
    pipes: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    def abort(self) -> None:
        """Break both ends by RST."""
        for pipe, writer in self.pipes.items():
            writer.transport.abort()
            pipe.cancel()


class Line:
    """Forwards each connection to one of `ports`, chosen by `random`, and to another one when that refuses.

    The faults concern the connections to one of the ports, or all.
    """

    def __init__(
        self,
        *ports: int,
        random: random.Random | None = None,
        connected: Callable[[int], None] = lambda port: None,
    ) -> None:
        self.port = 0
        self.connections = 0
        self._ports = ports
        self._random = random
        self._connected = connected
        self._cut: set[int] = set()
        self._held: set[int] = set()
        self._loses_answers: set[int] = set()
        self._links: set[Link] = set()

    @property
    def url(self) -> str:
        """Its URL for clients and nodes."""
        return f"ws://127.0.0.1:{self.port}"

    def cut(self, port: int | None = None) -> None:
        """Break every connection by RST, and each new one, until `mend`."""
        self._cut.update(self._ports if port is None else (port,))
        for link in self._links_to(port):
            link.abort()

    def hold(self, port: int | None = None) -> None:
        """Let nothing pass, also over new connections, until `mend`: then what was sent arrives late."""
        self._held.update(self._ports if port is None else (port,))
        for link in self._links_to(port):
            link.passes.clear()

    def mend(self, port: int | None = None) -> None:
        """Accept new connections again, and let those that were held pass."""
        for known in (self._cut, self._held, self._loses_answers):
            known.difference_update(self._ports if port is None else (port,))
        for link in self._links_to(port):
            if not link.is_dead:
                link.passes.set()

    def lose_answers(self, port: int | None = None) -> None:
        """From now on nothing that the far end sends arrives, and neither end notices, until `mend`."""
        self._loses_answers.update(self._ports if port is None else (port,))

    def go_dead(self, port: int | None = None) -> None:
        """Let the open connections hang; new connections work."""
        for link in self._links_to(port):
            link.is_dead = True
            link.passes.clear()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        """Listen at `url`."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            pipes = [pipe for link in self._links for pipe in link.pipes]
            self.cut()
            await asyncio.gather(*pipes, return_exceptions=True)

    def _links_to(self, port: int | None) -> list[Link]:
        return [link for link in self._links if port is None or link.target == port]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await self._reach()
        if there is None:
            writer.transport.abort()
            return
        target, there_reader, there_writer = there
        self.connections += 1
        self._connected(target)
        link = Link(target)
        if target not in self._held:
            link.passes.set()
        for source, sink, is_answer in ((reader, there_writer, False), (there_reader, writer, True)):
            pipe = asyncio.create_task(self._forward(link, source, sink, is_answer))
            pipe.add_done_callback(lambda _: self._ended(link))
            link.pipes[pipe] = sink
        self._links.add(link)

    def _ended(self, link: Link) -> None:
        if link.passes.is_set() and all(pipe.done() for pipe in link.pipes):
            self._links.discard(link)

    async def _reach(self) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = list(self._ports) if self._random is None else self._random.sample(self._ports, len(self._ports))
        for port in ports:
            if port not in self._cut:
                with contextlib.suppress(OSError):
                    return port, *await asyncio.open_connection("127.0.0.1", port)
        return None

    async def _forward(
        self, link: Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_answer: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(PART_BYTES):
                await link.passes.wait()
                if not (is_answer and link.target in self._loses_answers):
                    sink.write(data)
                    await sink.drain()
        if link.passes.is_set():
            sink.transport.abort()
