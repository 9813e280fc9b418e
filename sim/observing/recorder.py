"""Records the figures of a run: waits of completed jobs, table sizes over time, assigns per node.

Waits are kept as plain arrays of floats (24 bytes a job); everything else is counted as it happens.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.observing.watch import Watcher

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.nodes import SimNode, Work
    from voxpool.sim.world.world import World

STORE_EVERY_S = 10.0
"""Virtual seconds between two samples of the number of keys in the store."""


class OverTime:
    """The integral over time and the maximum of a number that changes at discrete times."""

    __slots__ = ("_area", "_since", "greatest", "value")

    def __init__(self) -> None:
        self.value = 0
        self.greatest = 0
        self._area = 0.0
        self._since = 0.0

    def set(self, value: int, now: float) -> None:
        """Set the number to `value` from `now` on."""
        self._area += (now - self._since) * self.value
        self._since = now
        self.value = value
        if value > self.greatest:
            self.greatest = value

    def area(self, now: float) -> float:
        """Return the integral from 0 to `now`."""
        return self._area + (now - self._since) * self.value


class Recorder(Watcher):
    """Records one run, and updates each request's record; it is therefore the first watcher.

    Waits exclude jobs submitted before `warmup_s`.
    """

    def __init__(self, world: World, warmup_s: float = 0.0) -> None:
        self.wait_s = array("d")
        self.start_wait_s = array("d")
        self.sojourn_s = array("d")
        self.ended = {"completed": 0, "failed": 0, "cancelled": 0}
        self.reasons: dict[str, int] = {}
        """Reason -> number of failed jobs."""
        self.submitted = self.rejected = self.redispatched = self.late_results = self.run_twice = self.notified = 0
        self.stale_allocations = self.removed = self.all_ended = 0
        self.died_unfinished = self.died_finished = 0
        """Number of jobs that were in the memory of a scheduler that died."""
        self.dispatches: dict[str, int] = {}
        """Node -> number of assigns."""
        self.finished = OverTime()
        self.unfinished = OverTime()
        self.audio_bytes_max = 0
        self.store_keys_max = 0
        self.mean_finished: float | None = None
        self._mean_from = (0.0, 0.0)
        self._warmup_s = warmup_s
        self._env = world.env
        self._table = world.core.table
        self._clients = world.clients
        self._open = world.clients.open
        self._by_job = world.clients.by_job
        self._mark = world.mark
        self._world = world
        self._look_at_store_s = 0.0

    # ---- jobs

    def job_submitted(self, job: Job) -> None:
        self.submitted += 1
        request = self._open.get(job.request_id) or self._clients.submitting
        if request.job_id:
            request.forget_job()
        request.job_id = job.job_id
        request.submitted_at = self._env._now
        request.assigned = request.attempt = request.given_up = request.ended = 0
        self._by_job[job.job_id] = request
        self._mark()

    def job_dispatched(self, job: Job, node: Node) -> None:
        request = self._by_job[job.job_id]
        request.dispatched_at = self._env._now
        request.attempt = job.attempt
        node_id = request.node_id = node.node_id
        dispatches = self.dispatches
        dispatches[node_id] = dispatches.get(node_id, 0) + 1

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self.redispatched += 1
        request = self._by_job[job.job_id]
        request.attempt = 0
        if reason != "busy":
            request.given_up += 1

    def job_ended(self, job: Job) -> None:
        self.all_ended += 1
        self.ended[job.state] += 1
        self._mark()
        if job.state != COMPLETED:
            self.reasons[job.reason] = self.reasons.get(job.reason, 0) + 1
            return
        request = self._by_job.get(job.job_id)
        if request is not None and request.submitted_at >= self._warmup_s:
            submitted_at = request.submitted_at
            self.wait_s.append(request.dispatched_at - submitted_at)
            self.start_wait_s.append(request.started_at - submitted_at)
            self.sojourn_s.append(self._env._now - submitted_at)

    def job_removed(self, job: Job) -> None:
        self.removed += 1
        self._mark()

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        self.late_results += 1

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        self.stale_allocations += 1

    def work_started(self, worker: SimNode, work: Work) -> None:
        work.request.started_at = work.started_at

    def work_ended(self, worker: SimNode, work: Work, is_done: bool) -> None:
        if is_done:
            work.request.done += 1
            if work.request.done == 2:
                self.run_twice += 1

    def request_ended(self, request: Request, state: str) -> None:
        self.notified += 1
        if state == "rejected":
            self.rejected += 1

    # ---- its scheduler

    def scheduler_gone(self) -> None:
        self.died_unfinished += self._table.unfinished
        self.died_finished += self._table.finished
        self._mark()

    def scheduler_built(self) -> None:
        self._table = self._world.core.table

    # ---- what resides

    def instant_over(self) -> None:
        table, now = self._table, self._env._now
        finished, unfinished = table.finished, table.unfinished
        if finished != self.finished.value:
            self.finished.set(finished, now)
        if unfinished != self.unfinished.value:
            self.unfinished.set(unfinished, now)
            if table.audio_bytes > self.audio_bytes_max:
                self.audio_bytes_max = table.audio_bytes
        if now >= self._look_at_store_s:
            self._look_at_store_s = now + STORE_EVERY_S
            self.store_keys_max = max(self.store_keys_max, self._world.store_keys())

    def begin_mean(self) -> None:
        """Begin the time over which finished jobs are averaged."""
        self._mean_from = (self._env._now, self.finished.area(self._env._now))

    def end_mean(self) -> None:
        """End the time over which finished jobs are averaged."""
        now = self._env._now
        from_s, area = self._mean_from
        if now > from_s:
            self.mean_finished = (self.finished.area(now) - area) / (now - from_s)
