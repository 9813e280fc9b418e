"""The connections that are open, from their accept on: their number, and which one gives way.

A stranger is a connection whose peer is not known yet: one in its TLS handshake, one that is silent or has asked
for open pages only, a WebSocket before hello or register. When there is no room the oldest stranger gives way, so that
known peers keep their connections and a new one, such as a health check, is served.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from voxpool.scheduler.core.seams import Observer

CONNECTIONS_MAX = "connections_max"
NO_OPEN_FILE = "no_open_file"
STRANGERS_MIN = 16
"""Strangers for whom there is room beside `connections_max` known ones: health is asked by strangers."""
ACCEPTS_A_TURN = 4
"""Connections accepted before others get their turn, so that a newcomer is read before STRANGERS_MIN more come."""
NO_FILE_PAUSE_S = 0.1
"""How long accepting pauses when the process may open no more files; the strangers that gave way are closed by then."""
HANDSHAKE_S = 10.0
"""Time for the handshake of TLS."""
_NO_FILE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Connection:
    """One of `table`; `cut_off` ends it, whatever state it is in."""

    __slots__ = ("_table", "cut_off", "peer")

    def __init__(self, table: Connections, peer: str) -> None:
        self.peer = peer
        self.cut_off: Callable[[], object] = _nothing
        self._table = table

    @property
    def is_known(self) -> bool:
        """Whether the peer is known."""
        return self in self._table.known

    def now_known(self) -> None:
        """The peer is known; from now on it never gives way."""
        self._table.now_known(self)

    def ended(self) -> None:
        """The connection is gone."""
        self._table.ended(self)


class Connections:
    """At most `connections_max` of known peers, and as many strangers as that leaves room for."""

    def __init__(self, connections_max: int, observer: Observer) -> None:
        self.connections_max = connections_max
        self._observer = observer
        self.known: set[Connection] = set()
        self._strangers: dict[Connection, None] = {}
        """In the order in which they came."""

    def __len__(self) -> int:
        return len(self.known) + len(self._strangers)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for one more known peer."""
        return len(self.known) >= self.connections_max

    def accepted(self, peer: str) -> Connection:
        """Return a new connection of a stranger; when there is no room for it the oldest stranger is cut off."""
        room = max(STRANGERS_MIN, self.connections_max - len(self.known))
        while len(self._strangers) >= room:
            self._give_way()
        connection = Connection(self, peer)
        self._strangers[connection] = None
        return connection

    def now_known(self, connection: Connection) -> None:
        """Its peer is known."""
        if connection in self._strangers:
            del self._strangers[connection]
            self.known.add(connection)

    def ended(self, connection: Connection) -> None:
        """It is gone; calling it again does nothing."""
        self._strangers.pop(connection, None)
        self.known.discard(connection)

    def no_file(self) -> None:
        """The process may open no more files: the oldest strangers give way."""
        self._observer.connection_refused("?", NO_OPEN_FILE)
        for _ in range(min(ACCEPTS_A_TURN, len(self._strangers))):
            self._give_way()

    def _give_way(self) -> None:
        oldest = next(iter(self._strangers))
        del self._strangers[oldest]
        self._observer.connection_refused(oldest.peer, CONNECTIONS_MAX)
        oldest.cut_off()


class Acceptor:
    """Accepts the connections of `listener` and makes a protocol for each; with `tls` its handshake comes first."""

    def __init__(
        self,
        listener: socket.socket,
        connections: Connections,
        protocol: Callable[[dict[str, Any]], asyncio.Protocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._listener = listener
        self._connections = connections
        self._protocol = protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more. What has no protocol yet ends."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        for task in self._opening:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise
                self._connections.no_file()
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(NO_FILE_PAUSE_S, self.start)
                return
            accepted.setblocking(False)
            connection = self._connections.accepted(f"{address[0]}:{address[1]}")
            task = self._loop.create_task(self._open(accepted, connection))
            connection.cut_off = task.cancel
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket, connection: Connection) -> None:
        def protocol() -> asyncio.Protocol:
            return self._protocol({"connection": connection})

        try:
            await self._loop.connect_accepted_socket(
                protocol,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
            )
        except (OSError, asyncio.CancelledError):  # the handshake failed, the peer has left, or it gave way
            connection.ended()
            accepted.close()


def connection_of(state: Mapping[str, Any]) -> Connection | None:
    """Return the connection of a protocol or a scope, by its state; None when there is none."""
    connection: Connection | None = state.get("connection")
    return connection


def _nothing() -> None:
    """Nothing is there to end yet."""
