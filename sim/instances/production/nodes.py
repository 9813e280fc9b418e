"""A node of the modelled fleet: it works on what it is assigned, and connects to another scheduler after a break."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.errors import NodeRefused
from voxpool.scheduler.protocol.messages import (
    Assign,
    CancelAttempt,
    Heartbeat,
    NodeResult,
    Register,
    Registered,
    Reregister,
    ToNode,
)
from voxpool.sim.instances.production.scheduler import Scheduler
from voxpool.sim.instances.production.servers import NETWORK_S

if TYPE_CHECKING:
    from voxpool.sim.instances.production.world import Instances

AGAIN_S = 0.2
"""Pause of a node before it connects again."""


class ModelNode:
    """A NodeLink for its scheduler, and the process behind it."""

    def __init__(self, world: Instances, name: str, pairs: list[str], slots: int, home: int) -> None:
        self._world = world
        self.name = name
        self.pairs = pairs
        self.slots = slots
        self.service_s = world.service_s
        """The time that it works on a job."""
        self.home = home
        """The number of the scheduler that it prefers."""
        self.running: dict[tuple[str, int], None] = {}
        self.scheduler: Scheduler | None = None
        self.known: Node | None = None
        self._joins: set[asyncio.Task[None]] = set()

    def connect(self) -> None:
        """Connect to the preferred scheduler, or to another one that lives."""
        self.scheduler = scheduler = self._world.one_for(self.home)
        self.known = None
        scheduler.receive(0.0, self._register, scheduler)

    def lost(self) -> None:
        """The connection broke."""
        self.scheduler = self.known = None
        self._world.loop.after(AGAIN_S, self.connect)

    def _register(self, scheduler: Scheduler) -> None:
        join = asyncio.ensure_future(self._join(scheduler))
        self._joins.add(join)
        join.add_done_callback(self._joins.discard)

    async def _join(self, scheduler: Scheduler) -> None:
        register = Register(self.name, "1", self.pairs, self.slots, list(self.running))
        try:
            self.known = await scheduler.core.node_events.joined(self, register)
        except NodeRefused:
            if scheduler is self.scheduler:
                self.lost()

    # ---- NodeLink

    def send(self, message: ToNode) -> None:
        """Take a message of the scheduler."""
        scheduler = self.scheduler
        if scheduler is None or not scheduler.is_alive:
            return
        if isinstance(message, Assign):
            more_s = scheduler.more_s if self._world.is_elsewhere else 0.0
            delay_s = scheduler.processor.spend(scheduler.part_s + more_s) + NETWORK_S
            self._world.loop.after(delay_s, self._begin, scheduler, message)
        elif isinstance(message, CancelAttempt):
            attempt = (message.job_id, message.attempt)
            if attempt in self.running:
                del self.running[attempt]
                self._world.dropped(scheduler, message)
        elif isinstance(message, Registered):
            self._world.loop.after(message.heartbeat_ms / 1000, self._beat, scheduler, message.heartbeat_ms / 1000)
        elif isinstance(message, Reregister):
            scheduler.receive(0.0, self._register, scheduler)

    def close(self, reason: str) -> None:
        """The scheduler closes the connection."""
        if self.scheduler is not None:
            self.lost()

    async def probe(self) -> bool:
        """Return True: it answers."""
        return True

    # ---- its work

    def _begin(self, scheduler: Scheduler, message: Assign) -> None:
        if scheduler is self.scheduler:
            self._world.ran(message.job_id)
            self.running[message.job_id, message.attempt] = None
            self._world.loop.after(self.service_s, self._finish, message)

    def _finish(self, message: Assign) -> None:
        if (message.job_id, message.attempt) not in self.running:
            return
        scheduler = self.scheduler
        if scheduler is None or self.known is None:
            self._world.loop.after(AGAIN_S, self._finish, message)
            return
        del self.running[message.job_id, message.attempt]
        result = NodeResult(message.job_id, message.attempt, output=message.audio.decode())
        self._world.loop.after(NETWORK_S, self._answer, scheduler, self.known, result)

    def _answer(self, scheduler: Scheduler, known: Node, result: NodeResult) -> None:
        scheduler.receive(scheduler.part_s, scheduler.core.node_events.result, known, result)

    def _beat(self, scheduler: Scheduler, every_s: float) -> None:
        if scheduler is self.scheduler and scheduler.is_alive and self.known is not None:
            beat = Heartbeat(list(self.running))
            scheduler.receive(0.0, scheduler.core.node_events.heartbeat, self.known, beat)
            self._world.loop.after(every_s, self._beat, scheduler, every_s)
