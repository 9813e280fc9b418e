"""The scheduler's door for nodes: where connections are opened, and what they all share."""

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
    """The scheduler's side, where connections are opened: what they all share."""

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
        """How long a new connection may wait for its first message before it is closed."""
        self.keepalive_s = keepalive_s
        """How long the scheduler waits for an answer to a ping before it cuts a connection off."""
        self.overhead_s = overhead_s
        """What an attempt takes on a node beside its work; None = nothing."""
        self.busy = busy
        """What the scheduler's loop is busy with; None = it is never."""
        self.nodes: dict[str, SimNode] = {}
        """All nodes by the ids that they have, or had."""
        self.connections: dict[Connection, None] = {}
        """Those that stand open at the scheduler, the oldest first."""
        self.joins: dict[asyncio.Task[None], None] = {}
        """Registers that the scheduler is dealing with; a connection may have closed meanwhile."""
        self.broken: dict[SimNode, BrokenLink] = {}
        """The links on which something is wrong."""
        self._unread: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = None

    def open(self, worker: SimNode) -> Connection | None:
        """Return a new connection of `worker`, or None when nobody listens or the way is cut."""
        broken = self.broken.get(worker)
        if self.desk is None or (broken is not None and not broken.lets_connect):
            return None
        connection = self.connection(self, worker, self.desk)
        connection.is_taking = self._unread is None
        if broken is not None:
            broken.attach(connection)
        return connection

    def listen(self, desk: NodeEvents) -> None:
        """Let new connections speak to `desk`."""
        self.desk = desk

    def scheduler_dies(self) -> None:
        """Nobody listens any more, and all connections close: the system does that when a process dies."""
        self.desk = None
        self._unread = None
        connections, self.connections = self.connections, {}
        for connection in connections:
            connection.scheduler_dies()
        joins, self.joins = self.joins, {}
        for join in joins:
            join.cancel()

    def stall(self) -> None:
        """The scheduler reads nothing; the system goes on accepting connections and what comes on them."""
        self._unread = []
        for connection in self.connections:
            connection.is_taking = False

    def resume(self) -> None:
        """The scheduler reads again, first what has piled up."""
        unread, self._unread = self._unread or [], None
        for connection in self.connections:
            connection.is_taking = True
        for take, args in unread:
            take(*args)

    def not_now(self, take: Callable[..., None], *args: Any) -> None:
        """Keep what has come while the scheduler stands still."""
        if self._unread is not None:
            self._unread.append((take, args))


class BrokenLink(Protocol):
    """What is wrong with the link of a node (faults/links.py)."""

    lets_connect: bool

    def attach(self, connection: Connection) -> None:
        """Let messages of `connection` go the broken way."""
        ...
