"""R1: a time-out redispatch and a node that goes offline, each in several steps that may fall between one another.

The redispatch reads the job, draws a node from its pool, writes the assignment and sends it; the node that goes loses
its connection first, then its places in the pools, then its key. A job that is sent to a connection that is gone fails;
there is no second try. What a lost node had is left to the next time-out (R5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from voxpool.scheduler.core.allocations import SEEDS
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import DISPATCHED, FAILED, WAITING, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.protocol.messages import CancelAttempt
from voxpool.scheduler.stores.script_sources import ScriptSource, load_sources
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.world.variant import Variant

DRAW = """
local seed, pair = tonumber(ARGV[2]), ARGV[4]
local first = call('ZLEXCOUNT', CAPACITY, '-', '(' .. pair .. '|')
local size = call('ZLEXCOUNT', CAPACITY, '[' .. pair .. '|', '(' .. pair .. '}')
if size == 0 then return {''} end
local rank = first + draw({seed = seed}, size)
return {string.sub(call('ZRANGE', CAPACITY, rank, rank)[1], #pair + 2)}
"""
"""ARGV: now seed job|attempt pair. Any member of the pool, alive or not."""
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
"""The flag keeps a release from opening the pools again."""
DROP = """
for _, reservation in ipairs(reservations_of(ARGV[1])) do free_slot(ARGV[1], reservation) end
call('HDEL', NODE_RECORDS, ARGV[1])
call('ZREM', LEASES, ARGV[1])
return {'OK'}
"""


def scripts() -> Mapping[str, ScriptSource]:
    """Return lua/ and the four steps that it replaced."""
    sources = dict(load_sources())
    parts = sources["select_node"].prelude
    for name, body in (("draw", DRAW), ("assign", ASSIGN), ("leave_pools", LEAVE_POOLS), ("drop", DROP)):
        sources[name] = ScriptSource(parts, body)
    return sources


class RedispatchesInSteps(Dispatcher):
    """A job whose time is over is given to another node in four steps, each beside whatever else happens."""

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
        """The node that the job was given to may be gone."""
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
        """No node now: the job waits until somebody looks again."""
        self._observer.job_redispatched(job, was_on, job.attempt, "parked")
        job.waits_from_ms = self._clock.now_ms()
        self._wait(job)


class LeavesInSteps(NodeRegistry):
    """A node that is gone leaves the store in two steps."""

    def leave(self, node: Node, reason: str) -> None:
        del self.nodes[node.node_id]
        self.forget(node)
        self._observer.node_offline(node, reason)
        asyncio.get_running_loop().create_task(self._in_steps(node))

    async def _in_steps(self, node: Node) -> None:
        run = self._queue._runner.run
        await run([ScriptCall("leave_pools", [node.node_id])])
        await run([ScriptCall("drop", [node.node_id])])


class ForgetsItsJobs(NodeEvents):
    """R5: the jobs of a node that is gone are found by their time-outs."""

    def _lose(self, node: Node, reason: str) -> None:
        self._node_registry.leave(node, reason)


def in_steps() -> Variant:
    """Return the variant of R1."""
    classes = replaced(dispatcher=RedispatchesInSteps, node_registry=LeavesInSteps, node_events=ForgetsItsJobs).classes
    return Variant("time-out and offline in steps", classes=classes, scripts=scripts())
