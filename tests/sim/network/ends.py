"""Two implementations of the same connection: asyncio's own sockets on loopback, and the network in memory."""

from __future__ import annotations

import asyncio
import contextvars
import fcntl
import socket
import struct
import termios
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Protocol

from voxpool.sim.network.loop import NetworkLoop
from voxpool.sim.network.network import Network
from voxpool.sim.network.transport import MemoryTransport

PATIENCE_S = 10.0
"""Limit of a wait for a condition, in the time of the loop."""


class End(asyncio.Protocol):
    """One end of a connection. It records its callbacks; consecutive data count as one."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.bytes = 0
        self.stays_open_after_eof = False
        self.transport: Any = None
        self.sizes: list[int] = []
        """The size of the write buffer at each pause and resume."""

    @property
    def is_lost(self) -> bool:
        return self.events[-1].startswith("lost")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if self.events[-1] != "data":
            self.events.append("data")

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.stays_open_after_eof

    def pause_writing(self) -> None:
        self.events.append("paused")
        self.sizes.append(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self.events.append("resumed")
        self.sizes.append(self.transport.get_write_buffer_size())

    def connection_lost(self, error: Exception | None) -> None:
        # A kernel reports a reset as EPIPE when the write comes before the read.
        name = "reset" if isinstance(error, ConnectionResetError | BrokenPipeError) else error
        self.events.append(f"lost {name}")


class Ends(Protocol):
    """A server on a port, and connections to it."""

    port: int
    server: asyncio.AbstractServer
    accepted: list[End]

    async def connect(self) -> tuple[End, End]:
        """Return the end that connects and the end that accepts."""
        ...

    async def connect_to(self, port: int) -> End:
        """Return the end that connects to `port`."""
        ...

    async def listen(self) -> asyncio.AbstractServer:
        """Listen on the port that is already in use."""
        ...

    def unread(self, end: End) -> int:
        """Return the number of bytes in the kernel's receive buffer of `end`."""
        ...


Case = Callable[[Ends], Awaitable[object]]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition()` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Loopback:
    """Connections of asyncio over 127.0.0.1."""

    def __init__(self) -> None:
        self.server: asyncio.AbstractServer
        self.port = 0
        self.accepted: list[End] = []
        self.connected: list[End] = []

    def _accept(self) -> End:
        self.accepted.append(End())
        return self.accepted[-1]

    async def start(self) -> None:
        server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        self.server, self.port = server, server.sockets[0].getsockname()[1]

    async def connect_to(self, port: int) -> End:
        end = (await asyncio.get_running_loop().create_connection(End, "127.0.0.1", port))[1]
        self.connected.append(end)
        return end

    async def stop(self) -> None:
        """Close everything."""
        self.server.close()
        for end in self.accepted + self.connected:
            if not end.is_lost:
                end.transport.abort()
                await until(lambda end=end: end.is_lost)  # type: ignore[misc]

    async def connect(self) -> tuple[End, End]:
        count = len(self.accepted)
        end = await self.connect_to(self.port)
        await until(lambda: len(self.accepted) > count and self.accepted[count].transport is not None)
        return end, self.accepted[count]

    async def listen(self) -> asyncio.AbstractServer:
        return await asyncio.get_running_loop().create_server(End, "127.0.0.1", self.port)

    def unread(self, end: End) -> int:
        sock: socket.socket = end.transport.get_extra_info("socket")
        size: int = struct.unpack("I", fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0" * 4))[0]
        return size


class InMemory(Loopback):
    """Connections of the network in virtual time; the server is a separate process."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    async def start(self) -> None:
        machine = self._network.process("server")
        machine.start(self._serve)
        await until(lambda: bool(machine.listening))

    async def _serve(self) -> None:
        self._server_context = contextvars.copy_context()
        self.port = 80
        self.server = await asyncio.get_running_loop().create_server(self._accept, "server", self.port)
        await asyncio.get_running_loop().create_future()

    async def connect_to(self, port: int) -> End:
        return (await asyncio.get_running_loop().create_connection(End, "server", port))[1]

    async def listen(self) -> asyncio.AbstractServer:
        listening = asyncio.get_running_loop().create_server(End, "server", self.port)
        return await asyncio.get_running_loop().create_task(listening, context=self._server_context)

    def unread(self, end: End) -> int:
        transport: MemoryTransport = end.transport
        return transport.unread_bytes


def on_loopback(case: Case) -> object:
    """Return the result of `case` over real sockets."""

    async def main() -> object:
        ends = Loopback()
        await ends.start()
        try:
            return await case(ends)
        finally:
            await ends.stop()

    return asyncio.run(main())


def in_memory(case: Case, cuts_reads: bool = False) -> object:
    """Return the result of `case` in virtual time."""
    loop = NetworkLoop()
    network = Network(loop, Random(1), lambda: 0.0005)
    network.cuts_reads = cuts_reads
    results: list[object] = []

    async def main() -> None:
        ends = InMemory(network)
        await ends.start()
        results.append(await case(ends))

    client = network.process("client")
    task = client.start(main)
    loop.run(until_s=60.0, done=lambda: bool(results) or task.done())
    if task.done():
        task.result()
    for process in network.processes.values():
        process.kill()
    assert loop.bury() == []
    return results[0]
