"""Planted bugs: each is a small change of a production class or script that one checker must find.

They test the checkers (tests/sim/test_checkers_bite.py). Ids such as R21 are defect ids (docs/defects.md); bugs without
an id were written for a checker.
"""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import COMPLETED, DISPATCHED, WAITING, Job, RetryLimits
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.jobs.waiting import SelectBatch, WaitingJobs, WaitQueue
from voxpool.scheduler.core.leases import Leases
from voxpool.scheduler.core.nodes.node import DRAIN, Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.script_queue import ScriptQueue, Selects
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.protocol.messages import Assign, NodeResult
from voxpool.scheduler.stores.script_sources import ScriptSource, load_sources
from voxpool.sim.world.variant import Variant


class ForgetsWhatCrossed(WaitingJobs):
    """R21: the answer "nobody" blocks a queue, even when room came up while the answer was in transit."""

    def settle(self, batch: SelectBatch) -> None:
        for queue in batch.queues.values():
            if queue.said_nobody:
                queue.credit = 0.0
        super().settle(batch)


class OnlyReleasesStaleAllocations(Dispatcher):
    """R22: an allocation of an old generation is released, but its node stays in the store."""

    def _hand_back(self, batch: SelectBatch, job: Job, node_id: str, generation: str) -> None:
        batch.unsure(job)
        self._observer.stale_allocation(job, node_id, generation)
        self.queue.release(job.reservation)
        if job.state == WAITING:
            self.waiting.add(job)


class SendsStaleAllocations(Dispatcher):
    """R22: an allocation is sent to the current connection of the node's id, even of another generation."""

    def _hand_back(self, batch: SelectBatch, job: Job, node_id: str, generation: str) -> None:
        node = self.node_registry.find(node_id)
        if node is not None and job.state == WAITING:
            self._dispatch(job, node, self._clock.now_ms())
        else:
            super()._hand_back(batch, job, node_id, generation)


class ReusesAttemptNumbers(Dispatcher):
    """R23: a redispatch reuses the number of the previous attempt, so an old release frees the new reservation."""

    def _next_attempt(self, job: Job) -> int:
        return max(1, job.attempt)


class BusyNodesDoNotRest(NodeEvents):
    """R24: a node that answered busy can be chosen again at once."""

    def _rest(self, node: Node, rest_ms: int, until_beat: bool, reason: str) -> None:
        if reason != "busy":
            super()._rest(node, rest_ms, until_beat, reason)


class ReportsTwice(Dispatcher):
    """Every end is reported twice."""

    def end(self, job: Job, state: str, reason: str = "", output: Any = None, detail: str = "") -> None:
        super().end(job, state, reason, output, detail)
        self._observer.job_ended(job)


class NeverReports(Dispatcher):
    """A failed job neither ends nor is queued again."""

    def end(self, job: Job, state: str, reason: str = "", output: Any = None, detail: str = "") -> None:
        if state == COMPLETED:
            super().end(job, state, reason, output, detail)


class LosesTrackOfFailures(JobTable):
    """A failed job is not counted as finished: its record stays for ever."""

    def finish(self, job: Job) -> list[Job]:
        if job.state == COMPLETED:
            return super().finish(job)
        self.unfinished -= 1
        self.free_audio(job)
        return []


class KeepsRequestIds(JobTable):
    """Like M7: a job that leaves the table stays in one of its maps."""

    def remove_ended_before(self, before_ms: int) -> Job | None:
        job = super().remove_ended_before(before_ms)
        if job is not None:
            self._by_request[0][job.request_id] = job
        return job


class AgesFromNowhere(JobTable):
    """The end time of a job's record is its submit time; nothing else is wrong."""

    def finish(self, job: Job) -> list[Job]:
        job.ended_ms = job.submitted_ms
        return super().finish(job)


class SendsTwice(Dispatcher):
    """R9: the answer 'already dispatched' is treated as success, so two callers both send."""

    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        super()._dispatch(job, node, now_ms)
        assert job.audio is not None
        node.link.send(Assign(job.job_id, job.attempt, job.pair, job.audio, self._dispatch_ms))


class TakesAnyAttempt(NodeEvents):
    """R4: a result is accepted whatever its attempt and its node."""

    def result(self, node: Node, result: NodeResult) -> None:
        job = self._dispatcher.find(result.job_id)
        if job is not None and job.state == DISPATCHED and not result.busy and result.error is None:
            self._dispatcher.end(job, COMPLETED, output=result.output)
        else:
            super().result(node, result)


class DoesNotPause(Dispatcher):
    """A job whose node answered an error is queued again at once."""

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        job.limits = RetryLimits(job.limits.attempts_max, 0)
        super().redispatch(job, node, reason, counted, detail)


class GivesToWhoeverIsThere(Dispatcher):
    """C7: before an assign is sent, the node's record is checked, and its pairs are not."""

    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        node = next((other for other in self.node_registry.nodes.values() if job.pair not in other.pairs), node)
        super()._dispatch(job, node, now_ms)


def scripts(name: str, *changes: tuple[str, str]) -> dict[str, ScriptSource]:
    """Return lua/ with `changes` (old, new) in the script `name`: in its body, or else in the files it includes."""
    sources = dict(load_sources())
    for old, new in changes:
        source = sources[name]
        if old in source.body:
            sources[name] = ScriptSource(source.prelude, source.body.replace(old, new))
        elif old in source.prelude:
            sources[name] = ScriptSource(source.prelude.replace(old, new), source.body)
        else:
            raise ValueError(f"{name} has no {old!r}")
    return sources


def overfills() -> Variant:
    """select_node doesn't check for a free slot."""
    asks = ("if load >= slots then return nil, 'full' end", "")
    closes = ("if load + 1 >= slots then", "if false then")
    return Variant("overfills", scripts=scripts("select_node", asks, closes))


def keeps_reservations() -> Variant:
    """release_job answers but keeps the reservation, and reservations never expire."""
    changed = scripts("release_job", ("release(reservation)", "call('HGET', RESERVATIONS, reservation) or ''"))
    changed["expire_reservations"] = ScriptSource("", "return {}")
    return Variant("keeps reservations", scripts=changed)


def leaves_ghosts() -> Variant:
    """M5: a node that leaves stays in its pools."""
    return Variant("leaves ghosts", scripts=scripts("node_offline", ("shut(node, served)", "")))


class ForgetsRequestIds(JobTable):
    """R12: a request id is not looked up among the known ones."""

    def find_request(self, request_id: str, owner: str = "") -> Job | None:
        return None


class ForgetsReleases(ScriptQueue):
    """Each tenth release is never sent."""

    releases = 0

    def release(self, reservation: str) -> None:
        self.releases += 1
        if self.releases % 10:
            super().release(reservation)


def keeps_old_pools() -> Variant:
    """R14: a register leaves the node in the pools that it no longer serves, and a draw doesn't check its pairs."""
    asks = ("  if not string.find(served, wanted, 1, true) then return nil, 'other_pairs' end\n", "")
    changed = scripts("select_node", asks)
    changed["register_node"] = scripts("register_node", ("  shut(node, old_served)\n", ""))["register_node"]
    return Variant("keeps old pools", scripts=changed)


def draws_once() -> Variant:
    """Like C1: one random draw; when that node is unsuitable, the answer is "nobody"."""
    return Variant("draws once", scripts=scripts("select_node", ("drawn < size do", "drawn < math.min(size, 1) do")))


class DropsAFailedFlush(ScriptQueue):
    """A flush without an answer is dropped, though its calls may have been executed."""

    async def run_once(self, selects: Selects) -> bool:
        try:
            return await super().run_once(selects)
        except StoreUnavailable:
            self.in_flight = 0
            return True

    async def _repeat(self, calls: list[Any], error: StoreUnavailable) -> list[list[str]]:
        raise error


class DoesNotTakeBack(NodeEvents):
    """R5: the jobs of a node that left stay allocated to it."""

    def _lose(self, node: Node, reason: str) -> None:
        self._node_registry.leave(node, reason)


class DoesNotRelease(Dispatcher):
    """The slot of a job that ended is free in the scheduler and reserved in the store."""

    def _release(self, job: Job, node: Node) -> None:
        if not job.ended:
            super()._release(job, node)
        elif node.connected:
            self.waiting.room(node.pairs, 1)


class ForgetsToQueue(Dispatcher):
    """A job that lost its node is not queued and has no deadline."""

    def _wait(self, job: Job) -> None:
        if not job.attempt:
            super()._wait(job)


class RestsForEver(NodeRegistry):
    """The end of a rest does not reach the store."""

    def _tell_flag(self, node: Node, flag: str) -> None:
        if flag in node.flags:
            super()._tell_flag(node, flag)


class DrainsWhoComesBack(NodeRegistry):
    """A node that joins after the first one gets no jobs."""

    def join(self, node: Node) -> None:
        if self._registers and not node.draining:
            node.move(DRAIN)
        super().join(node)


class NeverSweeps(Leases):
    """M5: nodes of dead schedulers stay in the store unless a select draws them."""

    def _list_lapsed(self) -> None:
        pass


class KeepsEmptyQueues(WaitingJobs):
    """The queue of a pair stays after its last job has left."""

    def _update(self, queue: WaitQueue) -> None:
        super()._update(queue)
        self._queues.setdefault(queue.pair, queue)


def replaced(**classes: type) -> Variant:
    """Return the variant that replaces production classes by `classes`."""
    return Variant("/".join(part.__name__ for part in classes.values()), classes=CoreClasses(**classes))


class MixesOutputsUp(NodeEvents):
    """A job gets the output of the result before, now and then."""

    _last: NodeResult | None = None

    def result(self, node: Node, result: NodeResult) -> None:
        last, self._last = self._last, result
        if last is not None and result.error is None and not result.busy and result.job_id.endswith("7"):
            result = NodeResult(result.job_id, result.attempt, last.output)
        super().result(node, result)


class SwapsAudio(Dispatcher):
    """A job is sent with the audio of the job before, now and then."""

    _last: bytes | None = None

    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        own, last = job.audio, self._last
        self._last = own
        if last is not None and job.job_id.endswith("3"):
            job.audio = last
        super()._dispatch(job, node, now_ms)
        job.audio = own
