"""The connections between nodes and the scheduler: two ordered directions, a delay each way, and a close.

A connection is the scheduler's NodeLink, and it takes the role of production's socket handler: it reads the node's
messages and passes them to the node events, one after the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.errors import NodeRefused
from voxpool.scheduler.protocol.messages import Assign, Drain, Error, FromNode, Heartbeat, NodeResult, Register, ToNode
from voxpool.sim.world.clients import Request
from voxpool.sim.world.door import Door

if TYPE_CHECKING:
    from voxpool.sim.world.nodes import SimNode

PROBE_S = 5.0
"""Timeout of a probe."""


class Connection:
    """One connection of one node. Without a delay, a message is delivered at once by a direct call."""

    def __init__(self, door: Door, worker: SimNode, desk: NodeEvents) -> None:
        self.node: Node | None = None
        """The scheduler's record of the node, after its register was read."""
        self.is_open = True
        """False after the scheduler closed the connection or noticed that the node is gone."""
        self.is_taking = True
        """True when the scheduler reads the connection: it is open, and the process is not stalled."""
        self.is_reachable = True
        """True when messages to the node arrive: false after the node has closed or vanished."""
        self._door = door
        self._desk = desk
        self._worker = worker
        self._loop = door.loop
        self._env = door.env
        self._delay_s = door.delay_s
        self._busy = door.busy
        self._down_at = 0.0
        self._up_at = 0.0
        self._instant_ups = 0
        self._is_delivering = False
        self._is_joining = False
        self._unread: deque[FromNode] = deque()
        door.connections[self] = None

    def __repr__(self) -> str:
        return f"<connection of {self._worker.node_id} {'open' if self.is_open else 'closed'}>"

    # ---- the scheduler's end: NodeLink

    def send(self, message: ToNode) -> None:
        """Send `message` to the node."""
        if not self.is_open:
            return
        request = self.announce(message) if type(message) is Assign else None
        delay_s = self._delay_s
        if delay_s is None:
            self._is_delivering = True
            self.deliver(message, request)
            self._is_delivering = False
            return
        at = self._env._now + delay_s()
        if at < self._down_at:
            at = self._down_at
        self._down_at = at
        self._loop.at(at, self.deliver, message, request)

    def announce(self, assign: Assign) -> Request:
        """Report `assign` to the watchers, and return its request."""
        door = self._door
        request = door.clients.of_job(assign.job_id)
        door.hub.assign_sent(request, self, assign)
        return request

    def close(self, reason: str) -> None:
        """Close the connection from the scheduler's side; the node notices it after the messages in transit."""
        if not self.is_open:
            return
        self._end()
        self.down(self._closed_by_scheduler)
        if self.node is not None:
            self._loop.after(0, self._left, self.node)

    def scheduler_dies(self) -> None:
        """Handle the scheduler's death: sent messages arrive, then the node sees its socket close."""
        self.is_open = self.is_taking = False
        self.down(self._closed_by_scheduler)

    async def probe(self) -> bool:
        """Ping the node; returns False when no answer arrives in time."""
        sleep = self._loop.create_future()
        answers = self.is_open and self.is_reachable and self._worker.answers
        way = 0.0 if self._delay_s is None else self._delay_s() + self._delay_s()
        self._loop.after(way if answers else PROBE_S, _wake, sleep)
        await sleep
        return answers and self.is_open

    def deliver(self, message: ToNode, request: Request | None) -> None:
        """Deliver `message` to the node."""
        if self.is_reachable:
            self._worker.receive(self, message, request)

    def _closed_by_scheduler(self) -> None:
        if self.is_reachable:
            self.is_reachable = False
            self._worker.connection_closed(self)

    def down(self, fn: Callable[..., object], *args: object) -> None:
        """Call `fn` on arrival at the node, in order."""
        delay_s = 0.0 if self._delay_s is None else self._delay_s()
        self._down_at = max(self._env._now + delay_s, self._down_at)
        self._loop.at(self._down_at, fn, *args)

    # ---- the node's end

    def to_scheduler(self, message: FromNode) -> None:
        """Send `message` to the scheduler. It never arrives while the scheduler is sending."""
        if not self.is_reachable:
            return
        delay_s = self._delay_s
        if self._busy is not None:
            self.up(self.arrive, message)
            return
        if delay_s is None:
            if self._is_delivering or self._instant_ups:
                self._instant_ups += 1
                self._loop.after(0, self._arrive_later, message)
            else:
                self.arrive(message)
            return
        at = self._env._now + delay_s()
        if at < self._up_at:
            at = self._up_at
        self._up_at = at
        self._loop.at(at, self.arrive, message)

    def close_by_node(self) -> None:
        """Close the connection from the node's side, or by its death; the scheduler sees the socket close."""
        if self.is_reachable:
            self.is_reachable = False
            self.up(self._closed_by_node)

    def vanish(self) -> None:
        """Drop all messages from now on, in both directions, without notifying either end: the machine is gone."""
        self.is_reachable = False

    def close_late(self) -> None:
        """Deliver the close of a connection that the node has already left."""
        self.up(self._closed_by_node)

    # ---- timeouts of keepalives and first messages, which only faults of links cause

    def given_up_by_node(self) -> None:
        """Handle a missing pong: the node closes the connection and reconnects."""
        if self.is_reachable and self._worker.answers:
            self.close_by_node()
            self._worker.connection_closed(self)

    def given_up_by_scheduler(self) -> None:
        """Handle a missing pong or first message: the scheduler closes the connection."""
        if self.is_taking:
            self.close("no answer")

    def hold_up(self, way: Callable[..., None], for_s: float) -> None:
        """Delay all messages of `way` for at least `for_s` seconds."""
        if way is Connection.down:
            self._down_at = max(self._down_at, self._env._now + for_s)
        else:
            self._up_at = max(self._up_at, self._env._now + for_s)

    @property
    def is_greeted(self) -> bool:
        """True when a register was read."""
        return self.node is not None or self._is_joining

    @property
    def quiet_from(self) -> float:
        """Time at which all messages in transit have arrived."""
        return max(self._down_at, self._up_at)

    def up(self, fn: Callable[..., object], *args: object) -> None:
        """Call `fn` on arrival at the scheduler, in order."""
        delay_s = 0.0 if self._delay_s is None else self._delay_s()
        self._up_at = max(self._env._now + delay_s, self._up_at)
        if self._busy is None:
            self._loop.at(self._up_at, fn, *args)
        else:
            self._loop.at(self._up_at, self._busy.take, fn, *args)

    # ---- the handler of the socket

    def _arrive_later(self, message: FromNode) -> None:
        self._instant_ups -= 1
        self.arrive(message)

    def arrive(self, message: FromNode) -> None:
        """Deliver `message` to the scheduler."""
        if not self.is_taking:
            if self.is_open:
                self._door.not_now(self.arrive, message)
            return
        if self._is_joining:
            self._unread.append(message)
        elif type(message) is NodeResult and self.node is not None:
            node, hub = self.node, self._door.hub
            hub.result_arrives(node, message)
            self._desk.result(node, message)
            hub.result_handled(node, message)
        else:
            self._handle(message)

    def _handle(self, message: FromNode) -> None:
        door, node = self._door, self.node
        if type(message) is Register:
            self._is_joining = True
            joining = self._loop.create_task(self._join(message))
            door.joins[joining] = None
            joining.add_done_callback(lambda done: door.joins.pop(done, None))
        elif node is None:
            self._refuse("not_registered", "register first")
        elif type(message) is Heartbeat:
            door.hub.beat_arrives(node)
            self._desk.heartbeat(node, message)
        elif type(message) is Drain:
            self._desk.drain(node, message.on)

    async def _join(self, register: Register) -> None:
        try:
            node = await self._desk.joined(self, register)
        except NodeRefused as refused:
            self._is_joining = False
            self._refuse(refused.reason, refused.detail)
            return
        self.node = node
        self._is_joining = False
        if not self.is_open:
            self._left(node)
        while self._unread and not self._is_joining:
            self.arrive(self._unread.popleft())

    def _refuse(self, reason: str, detail: str) -> None:
        self.send(Error(reason, detail))
        self.close(reason)

    def _closed_by_node(self) -> None:
        if not self.is_taking:
            if self.is_open:
                self._door.not_now(self._closed_by_node)
            return
        self._end()
        if self.node is not None and not self._is_joining:
            self._left(self.node)

    def _end(self) -> None:
        self.is_open = self.is_taking = False
        self._door.connections.pop(self, None)

    def _left(self, node: Node) -> None:
        if self._desk is self._door.desk:
            self._desk.left(node)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
