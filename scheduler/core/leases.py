"""The role that sweeps: it ends the leases of silent nodes, rests that are over, and overdue reservations."""

from __future__ import annotations

import asyncio
from functools import partial

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.clock import Clock, Deadlines
from voxpool.scheduler.core.jobs.waiting import WaitingJobs
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.script_queue import ScriptQueue, ignore_answer
from voxpool.scheduler.core.scripts import expire_reservations, lapsed_nodes, node_offline

RESERVATIONS_MAX = 100
"""Reservations that one call frees; bounds the time that it takes in the store."""
LAPSED_MAX = 50
"""Nodes with an ended lease that one call lists."""


class Leases:
    """Looks at the connected nodes when their lease or rest may have ended, and at the store every `store_sweep_s`.

    The store may hold nodes that aren't connected here: the leftovers of a scheduler that died. Their leases end, and
    the sweep removes them, so that everything in the store has a living owner after one lease and one sweep.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        deadlines: Deadlines[Node],
        desk: NodeEvents,
        node_registry: NodeRegistry,
        queue: ScriptQueue,
        waiting: WaitingJobs,
    ) -> None:
        self._sweep_ms = ms(settings.store_sweep_s)
        self._heartbeat_ms = ms(settings.heartbeat_s)
        self._clock = clock
        self.deadlines = deadlines
        self._desk = desk
        self._node_registry = node_registry
        self._queue = queue
        self._waiting = waiting
        self._looked_ms = clock.now_ms()
        self._swept_ms = self._looked_ms
        self._not_before_ms = 0

    def run_once(self) -> None:
        """Handle the nodes that are due, and look at the store when it is time."""
        now_ms = self._clock.now_ms()
        if now_ms - self._looked_ms > self._heartbeat_ms:
            # This process was stopped: the beats that came meanwhile are still in the sockets.
            self._not_before_ms = now_ms + self._heartbeat_ms
        self._looked_ms = now_ms
        while (node := self.deadlines.take_due(now_ms)) is not None:
            if self._node_registry.look_at(node, now_ms, self._not_before_ms):
                self._desk.silent(node)
        if now_ms - self._swept_ms >= self._sweep_ms:
            self._swept_ms = now_ms
            if (
                not self._queue.is_repeating
            ):  # otherwise thousands of sweeps would wait for a store that is away for hours
                self.sweep_store()
                self._node_registry.settle_doubts()

    async def run_forever(self) -> None:
        """Look whenever something is due, and at the store at each interval."""
        while True:
            due_ms = self._swept_ms + self._sweep_ms - self._clock.now_ms()
            await self.deadlines.sleep_until_due(at_most_ms=due_ms)
            self.run_once()
            await asyncio.sleep(0)

    def sweep_store(self) -> None:
        """Free overdue reservations, and remove nodes whose lease has ended and that aren't connected here."""
        self._queue.call(expire_reservations(self._clock.now_ms(), RESERVATIONS_MAX), self._expired)
        self._list_lapsed()

    def _list_lapsed(self) -> None:
        now_ms = self._clock.now_ms()
        self._queue.call(lapsed_nodes(now_ms, LAPSED_MAX), partial(self._lapsed, now_ms))

    def _expired(self, answer: list[str]) -> None:
        for node_id in answer[1::2]:
            node = self._node_registry.find(node_id)
            if node is not None:
                self._waiting.room(node.pairs, 1)
        if len(answer) >= 2 * RESERVATIONS_MAX:
            self._queue.call(expire_reservations(self._clock.now_ms(), RESERVATIONS_MAX), self._expired)
        elif answer:
            self._queue.nudge()

    def _lapsed(self, asked_ms: int, answer: list[str]) -> None:
        for node_id, generation in zip(answer[::2], answer[1::2], strict=True):
            node = self._node_registry.find(node_id)
            if node is None:
                self._queue.call(node_offline(node_id, generation, asked_ms), ignore_answer)
            elif node.generation == generation and node.registered:
                self._node_registry.register(node)  # connected and beating, but the store missed its beats
        if len(answer) >= 2 * LAPSED_MAX:
            self._list_lapsed()  # there may be more; what was found here is dealt with before this call runs
