"""The scheduler's listening side for nodes: opens connections and holds their shared state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.sim.chance.distributions import Draw
from voxpool.sim.observing.watch import Hub
from voxpool.sim.virtual_time.loop import VirtualLoop
from voxpool.sim.world.busy import BusyLoop
from voxpool.sim.world.clients import Clients

if TYPE_CHECKING:
    from voxpool.sim.world.links import Connection
    from voxpool.sim.world.nodes import SimNode


class Door:
    """Opens connections of nodes to the scheduler and holds their shared state."""

    def __init__(
        self,
        loop: VirtualLoop,
        hub: Hub,
        clients: Clients,
        delay_s: Draw | None,
        connection: type[Connection],
        greeting_s: float,
        keepalive_s: float,
        overhead_s: Draw | None = None,
        busy: BusyLoop | None = None,
        has_content: bool = False,
    ) -> None:
        self.loop = loop
        self.env = loop.env
        self.hub = hub
        self.clients = clients
        self.desk: NodeEvents | None = None
        """The node events of the running scheduler; None while no scheduler runs."""
        self.delay_s = delay_s
        self.connection = connection
        """The class of connections that nodes open here."""
        self.greeting_s = greeting_s
        """Time after which a new connection without a message is closed."""
        self.keepalive_s = keepalive_s
        """Time that the scheduler waits for the answer to a ping before it closes the connection."""
        self.overhead_s = overhead_s
        """Overhead of an attempt on a node; None = none."""
        self.busy = busy
        """Model of the scheduler's loop; None = handling a message takes no time."""
        self.has_content = has_content
        """True when outputs depend on job and audio (content.py)."""
        self.nodes: dict[str, SimNode] = {}
        """All nodes by their current and former ids."""
        self.connections: dict[Connection, None] = {}
        """Connections that are open at the scheduler, the oldest first."""
        self.joins: dict[asyncio.Task[None], None] = {}
        """Registers in progress at the scheduler; their connection may already be closed."""
        self.broken: dict[SimNode, BrokenLink] = {}
        """The links with a fault."""
        self._unread: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = None

    def open(self, worker: SimNode) -> Connection | None:
        """Return a new connection of `worker`, or None when no scheduler listens or the link is cut."""
        broken = self.broken.get(worker)
        if self.desk is None or (broken is not None and not broken.lets_connect):
            return None
        connection = self.connection(self, worker, self.desk)
        connection.is_taking = self._unread is None
        if broken is not None:
            broken.attach(connection)
        return connection

    def listen(self, desk: NodeEvents) -> None:
        """Pass messages of new connections to `desk`."""
        self.desk = desk

    def scheduler_dies(self) -> None:
        """Stop listening and close all connections, as the operating system does when a process dies."""
        self.desk = None
        self._unread = None
        connections, self.connections = self.connections, {}
        for connection in connections:
            connection.scheduler_dies()
        joins, self.joins = self.joins, {}
        for join in joins:
            join.cancel()

    def stall(self) -> None:
        """Stop the scheduler from reading; the operating system still accepts connections and their messages."""
        self._unread = []
        for connection in self.connections:
            connection.is_taking = False

    def resume(self) -> None:
        """Let the scheduler read again, queued messages first."""
        unread, self._unread = self._unread or [], None
        for connection in self.connections:
            connection.is_taking = True
        for take, args in unread:
            take(*args)

    def not_now(self, take: Callable[..., None], *args: Any) -> None:
        """Queue a message that arrives while the scheduler is stalled."""
        if self._unread is not None:
            self._unread.append((take, args))


class BrokenLink(Protocol):
    """A fault of a node's link (faults/links.py)."""

    lets_connect: bool

    def attach(self, connection: Connection) -> None:
        """Route the messages of `connection` through the fault."""
        ...
