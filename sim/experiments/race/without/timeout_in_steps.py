"""R1: a timeout redispatch and a node that goes offline, each in several steps that can interleave.

The redispatch reads the job, draws a node from its pool, writes the assignment and sends it. The node loses first its
connection, then its pool entries, then its key. A job sent to a closed connection fails without a retry. Jobs of a lost
node wait for the next timeout (R5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from voxpool.scheduler.core.allocations import SEEDS
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import DISPATCHED, FAILED, WAITING, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.protocol.messages import CancelAttempt
from voxpool.scheduler.stores.script_sources import ScriptSource, load_sources
from voxpool.sim.planted.bugs import DoesNotTakeBack, replaced
from voxpool.sim.world.variant import Variant

DRAW = """
local seed, pair = tonumber(ARGV[2]), ARGV[4]
local first = call('ZLEXCOUNT', CAPACITY, '-', '(' .. pair .. '|')
local size = call('ZLEXCOUNT', CAPACITY, '[' .. pair .. '|', '(' .. pair .. '}')
if size == 0 then return {''} end
local rank = first + draw({seed = seed}, size)
return {string.sub(call('ZRANGE', CAPACITY, rank, rank)[1], #pair + 2)}
"""
"""ARGV: now seed job|attempt pair. Returns any member of the pool, alive or not."""
ASSIGN = """
local node, reservation, due = ARGV[1], ARGV[2], ARGV[3]
if not node_record(node) then return {''} end
take_slot(node, reservation, due)
return {node}
"""
LEAVE_POOLS = """
local node = ARGV[1]
local generation, process, slots, _, served = node_record(node)
if served then
  shut(node, served)
  write_node_record(node, generation, process, slots, 'd', served)
end
return {'OK'}
"""
"""The flag prevents a release from adding the node to pools again."""
DROP = """
for _, reservation in ipairs(reservations_of(ARGV[1])) do free_slot(ARGV[1], reservation) end
call('HDEL', NODE_RECORDS, ARGV[1])
call('ZREM', LEASES, ARGV[1])
return {'OK'}
"""


def scripts() -> Mapping[str, ScriptSource]:
    """Return lua/ with the four old steps."""
    sources = dict(load_sources())
    parts = sources["select_node"].prelude
    for name, body in (("draw", DRAW), ("assign", ASSIGN), ("leave_pools", LEAVE_POOLS), ("drop", DROP)):
        sources[name] = ScriptSource(parts, body)
    return sources


class RedispatchesInSteps(Dispatcher):
    """Redispatches a timed out job in four separate steps."""

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        if reason != "timeout":
            super().redispatch(job, node, reason, counted, detail)
            return
        node.link.send(CancelAttempt(job.job_id, job.attempt))
        self._observer.job_redispatched(job, node.node_id, job.attempt, reason)
        self._take_back(job, node)
        job.redispatches += 1
        job.state = WAITING
        self._deadlines.clear(job)
        asyncio.get_running_loop().create_task(self._in_steps(job, node.node_id))

    def job_due(self, job: Job) -> None:
        """Handle a timeout; the node of the job may be gone."""
        if job.state == DISPATCHED and self.node_registry.find(job.node_id) is None:
            job.state = WAITING
            job.redispatches += 1
            self._observer.job_redispatched(job, job.node_id, job.attempt, "timeout")
            job.node_id = ""
            job.waits_from_ms = self._clock.now_ms()
            self._wait(job)
        else:
            super().job_due(job)

    async def _in_steps(self, job: Job, was_on: str) -> None:
        run = self.queue._runner.run
        now_ms = self._clock.now_ms()
        reservation = f"{job.job_id}|{job.attempt + 1}"
        seed = 1 + int(self._random() * SEEDS)
        [[drawn]] = await run([ScriptCall("draw", [str(now_ms), str(seed), reservation, job.pair])])
        if not drawn:
            self._park(job, was_on)
            return
        due_ms = now_ms + self.node_registry.reservation_ms
        [[written]] = await run([ScriptCall("assign", [drawn, reservation, str(due_ms)])])
        if job.state != WAITING:
            self.queue.release(reservation)
            return
        if not written:
            self._park(job, was_on)
            return
        job.attempt += 1
        node = self.node_registry.find(drawn)
        if node is None:
            self.queue.release(reservation)
            self.end(job, FAILED, reason="node_gone")
        else:
            self._dispatch(job, node, self._clock.now_ms())

    def _park(self, job: Job, was_on: str) -> None:
        """Let the job wait, without a node, until the next check."""
        self._observer.job_redispatched(job, was_on, job.attempt, "parked")
        job.waits_from_ms = self._clock.now_ms()
        self._wait(job)


class LeavesInSteps(NodeRegistry):
    """A lost node is removed from the store in two steps."""

    def leave(self, node: Node, reason: str) -> None:
        del self.nodes[node.node_id]
        self.forget(node)
        self._observer.node_offline(node, reason)
        asyncio.get_running_loop().create_task(self._in_steps(node))

    async def _in_steps(self, node: Node) -> None:
        run = self._queue._runner.run
        await run([ScriptCall("leave_pools", [node.node_id])])
        await run([ScriptCall("drop", [node.node_id])])


def in_steps() -> Variant:
    """Return the variant of R1."""
    classes = replaced(dispatcher=RedispatchesInSteps, node_registry=LeavesInSteps, node_events=DoesNotTakeBack).classes
    return Variant("timeout and offline in steps", classes=classes, scripts=scripts())
