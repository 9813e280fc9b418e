"""Faults of the link of one node: all its connections to the scheduler, including those opened during the fault.

Connections are TCP, which loses nothing and keeps the order while they are open. A partition therefore delays messages
(TCP retransmits) until it heals or the keepalive of one end times out. Loss, duplication and reordering model a broken
relay between both ends; every job must end in spite of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from voxpool.scheduler.protocol.messages import Assign, FromNode, ToNode
from voxpool.sim.faults.kind import FaultKind, Target, divert, restore
from voxpool.sim.world.links import PROBE_S, Connection
from voxpool.sim.world.nodes import SimNode

DELAY_S = (0.1, 3.0)
"""Extra delay of a message on a slow link, of a duplicate, and of a reordered message."""
LOSS = 0.3
COPIES = 0.5
OVERTAKEN = 0.3
"""Shares of the messages that are lost, duplicated, reordered."""
NODE_GIVES_UP_S = 40.0
"""The keepalive of the SDK's connection: a ping every 20 s, 20 s for its pong (the websockets library's defaults)."""

Way = Callable[..., None]
"""Connection.down or Connection.up."""


class Link:
    """A link with a fault. Subclasses define by `carry` what happens to a message."""

    lets_connect = True

    def __init__(self, node: SimNode, random: random.Random) -> None:
        self.node = node
        self.random = random
        self.loop = node.door.loop
        self.is_healed = False
        self._connections: list[Connection] = []
        node.door.broken[node] = self
        if node.connection is not None:
            self.attach(node.connection)

    def attach(self, connection: Connection) -> None:
        """Route the messages of `connection` through this link."""
        self._connections.append(connection)
        divert(
            connection,
            send=partial(self._send, connection),
            to_scheduler=partial(self._to_scheduler, connection),
            down=partial(self.close, connection, Connection.down),
            up=partial(self.close, connection, Connection.up),
        )

    def heal(self) -> None:
        """Deliver new messages normally, after all messages in transit have arrived, so the order is kept."""
        self.is_healed = True
        del self.node.door.broken[self.node]
        for connection in self._connections:
            self._restore(connection)

    def _restore(self, connection: Connection) -> None:
        if connection.send is not self._own(connection):
            return  # another fault has taken over
        if connection.quiet_from > self.loop.time():
            self.loop.at(connection.quiet_from, self._restore, connection)
        else:
            restore(connection, "send", "to_scheduler", "down", "up", "probe")

    def _own(self, connection: Connection) -> object:
        send = connection.__dict__.get("send")
        return send if isinstance(send, partial) and send.func == self._send else None

    def _send(self, connection: Connection, message: ToNode) -> None:
        if connection.is_open:
            request = connection.announce(message) if type(message) is Assign else None
            self._carry(connection, Connection.down, connection.deliver, message, request)

    def _to_scheduler(self, connection: Connection, message: FromNode) -> None:
        if connection.is_reachable:
            self._carry(connection, Connection.up, connection.arrive, message)

    def _carry(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        if self.is_healed:
            way(connection, fn, *args)
        else:
            self.carry(connection, way, fn, *args)

    def carry(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        """Deliver a message: call `fn(*args)` by `way`, or drop it."""
        raise NotImplementedError

    def close(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        """Deliver the close of a connection."""
        way(connection, fn, *args)


class SlowLink(Link):
    """Messages are delayed and keep their order."""

    def carry(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        connection.hold_up(way, self.random.uniform(*DELAY_S))
        way(connection, fn, *args)


class LossyLink(Link):
    """Some messages never arrive. A connection whose first message is lost is closed by its timeout."""

    def carry(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        if self.random.random() >= LOSS:
            way(connection, fn, *args)
        elif way is Connection.up and not connection.is_greeted:
            self.loop.after(self.node.door.greeting_s, _close_unless_greeted, connection)


class DoublingLink(Link):
    """Some messages are delivered again later."""

    def carry(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        way(connection, fn, *args)
        if self.random.random() < COPIES:
            self.loop.after(self.random.uniform(*DELAY_S), way, connection, fn, *args)


class ShufflingLink(Link):
    """Some messages are overtaken by later ones."""

    def carry(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        if self.random.random() < OVERTAKEN:
            self.loop.after(self.random.uniform(*DELAY_S), way, connection, fn, *args)
        else:
            way(connection, fn, *args)


class CutLink(Link):
    """No message arrives, in one direction or both, until it heals; no new connection can be opened."""

    lets_connect = False
    cuts: tuple[Way, ...] = (Connection.down, Connection.up)

    def __init__(self, node: SimNode, random: random.Random) -> None:
        self._held: list[Callable[[], None]] = []
        super().__init__(node, random)

    def attach(self, connection: Connection) -> None:
        super().attach(connection)
        divert(connection, probe=self._probe)
        self.loop.after(NODE_GIVES_UP_S, self._give_up, connection.given_up_by_node)
        self.loop.after(self.node.door.keepalive_s, self._give_up, connection.given_up_by_scheduler)

    def carry(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        if way in self.cuts:
            self._held.append(partial(way, connection, fn, *args))
        else:
            way(connection, fn, *args)

    def close(self, connection: Connection, way: Way, fn: Way, *args: Any) -> None:
        self._carry(connection, way, fn, *args)

    def heal(self) -> None:
        self.is_healed = True
        for arrive in self._held:
            arrive()
        super().heal()

    def _give_up(self, end: Callable[[], None]) -> None:
        if not self.is_healed:
            end()

    async def _probe(self) -> bool:
        waits = self.loop.create_future()
        self.loop.after(PROBE_S, _wake, waits)
        await waits
        return False


class CutToNode(CutLink):
    """The node receives nothing; its own messages arrive."""

    cuts = (Connection.down,)


class CutToScheduler(CutLink):
    """The node receives messages; its own messages are lost."""

    cuts = (Connection.up,)


def _close_unless_greeted(connection: Connection) -> None:
    if not connection.is_greeted:
        connection.given_up_by_scheduler()


def _wake(waits: Any) -> None:
    if not waits.done():
        waits.set_result(None)


def _is_connected(node: SimNode) -> bool:
    return node.connection is not None


def _heal(node: SimNode, link: Link) -> None:
    link.heal()


def _link_fault(what: str, link: type[Link]) -> FaultKind:
    return FaultKind(what, Target.LINK, link, _heal, _is_connected)


LINK_FAULTS: dict[str, FaultKind] = {
    "link_delay": _link_fault(f"each message takes {DELAY_S[0]:g} to {DELAY_S[1]:g} s longer, in order", SlowLink),
    "link_loss": _link_fault(f"{LOSS:.0%} of the messages are lost, each way", LossyLink),
    "link_duplication": _link_fault(f"{COPIES:.0%} of the messages are delivered again later", DoublingLink),
    "link_reordering": _link_fault(f"{OVERTAKEN:.0%} of the messages are overtaken by later ones", ShufflingLink),
    "link_partition": _link_fault(
        "no message arrives until it heals or a keepalive times out; connecting fails", CutLink
    ),
    "link_cut_to_node": _link_fault("messages of the scheduler are lost; those of the node arrive", CutToNode),
    "link_cut_to_scheduler": _link_fault(
        "messages of the node are lost; those of the scheduler arrive", CutToScheduler
    ),
}
