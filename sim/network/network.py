"""The machines of a world by name, the links between them, who listens where, and the handshake of a connection."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from random import Random
from typing import Any

from voxpool.sim.network.link import Link
from voxpool.sim.network.loop import NetworkLoop
from voxpool.sim.network.process import PROCESS, Process
from voxpool.sim.network.sizes import SEGMENT_BYTES
from voxpool.sim.network.sockets import ListeningSocket
from voxpool.sim.network.transport import MemoryTransport

FIRST_PORT = 40_000
"""The first port of outgoing connections."""
Factory = Callable[[], asyncio.BaseProtocol]


class Network:
    """All machines and links of a world. A machine is known by a host name and has one address.

    `delay_s` returns the delay of one segment in seconds; `random` decides where reads are cut and when
    retransmissions arrive.
    """

    def __init__(self, loop: NetworkLoop, random: Random, delay_s: Callable[[], float] = lambda: 0.0) -> None:
        self.loop, self.random, self.delay_s = loop, random, delay_s
        loop.network = self
        self.processes: dict[str, Process] = {}
        self.listening: dict[tuple[str, int], ListeningSocket] = {}
        self.cuts_reads = False
        """Whether reads end at arbitrary bytes, as they may in TCP."""
        self.bytes = self.segments = 0
        """What was sent in all connections."""
        self._links: dict[tuple[str, str], Link] = {}
        self._port = FIRST_PORT
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def process(self, name: str) -> Process:
        """Return a new process on the machine `name`, whose last process must have ended."""
        last = self.processes.get(name)
        if last is not None and last.is_alive:
            raise RuntimeError(f"{last} is still there")
        process = self.processes[name] = Process(self.loop, name)
        return process

    def link(self, a: str, b: str) -> Link:
        """Return the link between the machines `a` and `b`, which is made at its first use."""
        key = (a, b) if a < b else (b, a)
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = Link(self.loop, self.random, self.delay_s)
        return link

    def address(self, name: str) -> str:
        """Return the IP address of the machine `name`."""
        address = self._addresses.get(name)
        if address is None:
            number = len(self._addresses) + 1
            address = self._addresses[name] = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            self._names[address] = name
        return address

    def addresses(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Return what getaddrinfo returns for `host`, a machine's name or address."""
        address = host if host in self._names else self.address(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]

    def listen(self, port: int) -> ListeningSocket:
        """Return a socket that listens on `port` for the running process. Raises OSError when the port is in use."""
        process = PROCESS.get()
        if (process.name, port) in self.listening:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return ListeningSocket(self, process, port)

    async def connect(self, factory: Factory, host: str, port: int) -> tuple[MemoryTransport, asyncio.BaseProtocol]:
        """Connect the running process; returns transport and protocol. Raises ConnectionRefusedError.

        A machine without power never answers; the caller has to bound the wait.
        """
        process, name = PROCESS.get(), self._names.get(host, host)
        self._port += 1
        link, way = self.link(process.name, name), 0 if process.name < name else 1
        answered: asyncio.Future[MemoryTransport | None] = self.loop.create_future()
        link.carry(way, SEGMENT_BYTES, self._syn, process, name, port, self._port, way, answered)
        server_end = await answered
        if server_end is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed ({host!r}, {port})")
        own, peer = server_end.get_extra_info("peername"), server_end.get_extra_info("sockname")
        transport = MemoryTransport(self, process, link, way, own, peer)
        transport.meet(server_end)
        protocol: asyncio.Future[asyncio.BaseProtocol] = self.loop.create_future()
        self.loop.call_soon(lambda: protocol.set_result(transport.begin(factory)))
        return transport, await protocol

    def _syn(
        self,
        process: Process,
        name: str,
        port: int,
        own_port: int,
        way: int,
        answered: asyncio.Future[MemoryTransport | None],
    ) -> None:
        """The request for a connection has arrived: the kernel accepts it, also while the process is frozen."""
        machine = self.processes.get(name)
        if machine is not None and machine.is_off:
            return
        listening, end, link = self.listening.get((name, port)), None, self.link(process.name, name)
        if listening is not None:
            here, there = (self.address(name), port), (self.address(process.name), own_port)
            end = MemoryTransport(self, listening.process, link, 1 - way, here, there)
            listening.arrived(end)
        link.carry(1 - way, SEGMENT_BYTES, _syn_ack, process, answered, end)


def _syn_ack(process: Process, answered: asyncio.Future[MemoryTransport | None], end: MemoryTransport | None) -> None:
    if process.is_alive and not answered.done():
        answered.set_result(end)
    elif end is not None and not process.is_off:
        end.reset_came()
