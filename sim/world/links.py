"""The connections between nodes and the scheduler: two directions in order, a delay each way, an end.

A connection is the scheduler's NodeLink, and what a socket's handler is in production: it reads the node's messages
and calls the node desk, one after the other.
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
"""How long a probe waits for an answer: a link's own time-out."""


class Connection:
    """One connection of one node. Without a delay a message is there in the same instant, by a plain call."""

    def __init__(self, door: Door, worker: SimNode, desk: NodeEvents) -> None:
        self.node: Node | None = None
        """The scheduler's record, once its register was read."""
        self.is_open = True
        """The scheduler's side: false once it closed the connection or noticed that the node is gone."""
        self.is_taking = True
        """True when the scheduler reads it: it is open, and its process doesn't stand still."""
        self.is_reachable = True
        """True when what is sent to the node arrives: false once the node has closed or vanished."""
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
        """Put `message` on the way to the node."""
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
        """Tell the watchers of `assign`, and return the request that it is for."""
        door = self._door
        request = door.clients.of_job(assign.job_id)
        door.hub.assign_sent(request, self, assign)
        return request

    def close(self, reason: str) -> None:
        """Close it from the scheduler's side: the node notices it after the messages that are under way to it."""
        if not self.is_open:
            return
        self._end()
        self.down(self._closed_by_scheduler)
        if self.node is not None:
            self._loop.after(0, self._left, self.node)

    def scheduler_dies(self) -> None:
        """The scheduler's process is gone: what it has sent arrives, then the node sees its socket close."""
        self.is_open = self.is_taking = False
        self.down(self._closed_by_scheduler)

    async def probe(self) -> bool:
        """Ping the node: True after both ways, False when no answer came in time."""
        sleep = self._loop.create_future()
        answers = self.is_open and self.is_reachable and self._worker.answers
        way = 0.0 if self._delay_s is None else self._delay_s() + self._delay_s()
        self._loop.after(way if answers else PROBE_S, _wake, sleep)
        await sleep
        return answers and self.is_open

    def deliver(self, message: ToNode, request: Request | None) -> None:
        """`message` has come to the node."""
        if self.is_reachable:
            self._worker.receive(self, message, request)

    def _closed_by_scheduler(self) -> None:
        if self.is_reachable:
            self.is_reachable = False
            self._worker.connection_closed(self)

    def down(self, fn: Callable[..., object], *args: object) -> None:
        """Call `fn` when it arrives at the node; nothing overtakes."""
        delay_s = 0.0 if self._delay_s is None else self._delay_s()
        self._down_at = max(self._env._now + delay_s, self._down_at)
        self._loop.at(self._down_at, fn, *args)

    # ---- the node's end

    def to_scheduler(self, message: FromNode) -> None:
        """Put `message` on the way to the scheduler. Never arrives while the scheduler is itself sending."""
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
        """The node closes, or its process dies: the scheduler sees the socket close."""
        if self.is_reachable:
            self.is_reachable = False
            self.up(self._closed_by_node)

    def vanish(self) -> None:
        """The node's machine is gone: nothing passes in either direction, and neither end is notified."""
        self.is_reachable = False

    def close_late(self) -> None:
        """The close of a connection that the node has already left comes through."""
        self.up(self._closed_by_node)

    # ---- the ends of keepalives and greetings, which only a broken link brings about

    def given_up_by_node(self) -> None:
        """No pong has come: the node closes it and tries again."""
        if self.is_reachable and self._worker.answers:
            self.close_by_node()
            self._worker.connection_closed(self)

    def given_up_by_scheduler(self) -> None:
        """No pong, or no first message, has come: the scheduler cuts it off."""
        if self.is_taking:
            self.close("no answer")

    def hold_up(self, way: Callable[..., None], for_s: float) -> None:
        """Let nothing arrive by `way` before `for_s` seconds are over."""
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
        """When all that is on its way has arrived."""
        return max(self._down_at, self._up_at)

    def up(self, fn: Callable[..., object], *args: object) -> None:
        """Call `fn` when it arrives at the scheduler; nothing overtakes."""
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
        """`message` has come to the scheduler."""
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
