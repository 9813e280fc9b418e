"""The sockets of a server: one that listens, those that it accepts, and asyncio's server around it."""

from __future__ import annotations

import asyncio
import contextvars
import errno
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from voxpool.sim.network.process import Process
from voxpool.sim.network.transport import MemoryTransport
from voxpool.sim.virtual_time.loop_internals import Handle

if TYPE_CHECKING:
    from voxpool.sim.network.loop import NetworkLoop
    from voxpool.sim.network.network import Network


class ListeningSocket:
    """A port of a machine that its process listens on; connections wait in `backlog` until they are accepted.

    It has the methods of socket.socket that a server calls, and the loop's `add_reader` takes it.
    """

    def __init__(self, network: Network, process: Process, port: int) -> None:
        self.process, self.port = process, port
        self.backlog: deque[MemoryTransport] = deque()
        self._network = network
        self._reader: tuple[Callable[..., object], tuple[Any, ...], contextvars.Context] | None = None
        self._will_call = False
        process.listening[self] = None
        network.listening[process.name, port] = self

    def getsockname(self) -> tuple[str, int]:
        """Return host and port."""
        return self._network.address(self.process.name), self.port

    def accept(self) -> tuple[AcceptedSocket, tuple[str, int]]:
        """Return the oldest connection of the backlog and the address of its peer. Raises BlockingIOError."""
        if not self.backlog:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        end = self.backlog.popleft()
        return AcceptedSocket(end), end.get_extra_info("peername")

    def close(self) -> None:
        """Refuse connections from now on, and reset those that nobody has accepted."""
        self._reader = None
        self.process.listening.pop(self, None)
        if self._network.listening.get((self.process.name, self.port)) is self:
            del self._network.listening[self.process.name, self.port]
        for end in self.backlog:
            end.abort()
        self.backlog.clear()

    def setblocking(self, flag: bool) -> None:
        """Do nothing: an accept never blocks here."""

    def __enter__(self) -> ListeningSocket:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def arrived(self, end: MemoryTransport) -> None:
        """Take a new connection into the backlog."""
        self.backlog.append(end)
        self._call_soon()

    def call_when_readable(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Call `callback(*args)` in each turn in which the backlog is not empty."""
        self._reader = callback, args, contextvars.copy_context()
        self._call_soon()

    def call_no_more(self) -> bool:
        """Forget the callback; returns whether there was one."""
        had_one, self._reader = self._reader is not None, None
        return had_one

    def _call_soon(self) -> None:
        if self.backlog and self._reader is not None and not self._will_call and self.process.is_alive:
            self._will_call = True
            self._network.loop._ready.append(Handle(self._call, (), self._reader[2]))

    def _call(self) -> None:
        self._will_call = False
        if self.backlog and self._reader is not None:
            self._reader[0](*self._reader[1])
            self._call_soon()


class AcceptedSocket:
    """What `accept` returns, for `connect_accepted_socket`."""

    def __init__(self, end: MemoryTransport) -> None:
        self.end = end

    def setblocking(self, flag: bool) -> None:
        """Do nothing."""

    def close(self) -> None:
        """End a connection that has no protocol."""
        self.end.abort()


class Server(asyncio.AbstractServer):
    """What `create_server` returns: it accepts all connections until `close`."""

    def __init__(
        self, loop: NetworkLoop, listening: ListeningSocket, factory: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._loop, self._listening, self._factory = loop, listening, factory
        self.sockets = (listening,)
        listening.call_when_readable(self._accept, ())

    def _accept(self) -> None:
        while self._listening.backlog:
            self._listening.accept()[0].end.begin(self._factory)

    def close(self) -> None:
        self._listening.close()

    def get_loop(self) -> NetworkLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._listening in self._listening.process.listening

    async def start_serving(self) -> None:
        """Do nothing: a server accepts from its creation on."""

    async def serve_forever(self) -> None:
        raise NotImplementedError

    async def wait_closed(self) -> None:
        """Return at once: open connections don't belong to the listener."""
