"""Records an explored execution: results reported to clients, messages sent, and violations on the way."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.seams import Observer, ResultSink
from voxpool.scheduler.protocol.messages import Assign


class Observed(Observer):
    """Records what the dispatcher does. No decision of the scheduler reads it, so it has no footprint."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.names: dict[str, str] = {}
        """Job id -> request id."""
        self.times: dict[str, int] = {}
        """Job id -> how often its end was observed."""
        self.late = 0
        self.stale: list[str] = []
        """Nodes of unusable allocations."""
        self.parked = 0
        self.broken: dict[str, None] = {}
        self.assigned: dict[tuple[str, int], str] = {}
        """(job id, attempt) -> node that it was sent to."""
        self.busy_until: dict[str, int] = {}
        """Node that answered busy -> time until which it must not get a job."""

    def name(self, job_id: str) -> str:
        """Return the request id of a job, or its job id when it was not submitted in this execution."""
        return self.names.get(job_id, job_id)

    def broke(self, sentence: str, detail: str) -> None:
        """Record a violation."""
        self.broken[f"{sentence}: {detail}"] = None

    # ---- Observer

    def job_submitted(self, job: Job) -> None:
        self.jobs[job.job_id] = job
        self.names[job.job_id] = job.request_id

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        self.late += 1

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        self.stale.append(node_id)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self.parked += reason == "parked"

    # ---- reports of the ends

    def was_assigned(self, node: Node | None, assign: Assign, now_ms: int) -> None:
        """Record an assign sent to `node`."""
        assert node is not None
        attempt = (assign.job_id, assign.attempt)
        label = f"{self.name(assign.job_id)}|{assign.attempt}"
        if attempt in self.assigned:
            self.broke("one assignment an attempt", f"{label} was sent twice")
        self.assigned[attempt] = node.node_id
        if now_ms < self.busy_until.get(node.node_id, 0):
            self.broke("a busy node rests", f"{label} was sent to {node.node_id} too early")

    def result_handled(self, job: Job, was: str, attempt: int, node: Node) -> None:
        """Check a handled result; before it, `job` was in the state `was`."""
        if job.state != was and job.state == COMPLETED:
            newest = max(number for job_id, number in self.assigned if job_id == job.job_id)
            if attempt != newest or self.assigned[job.job_id, newest] != node.node_id:
                self.broke("a result of an old attempt changes nothing", f"{self.name(job.job_id)}|{attempt} counted")


class Sink(ResultSink):
    """The scheduler's result sink: the clients."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def job_ended(self, job: Job) -> None:
        """Count that the end of a job is reported to its client."""
        times = self._observed.times
        times[job.job_id] = times.get(job.job_id, 0) + 1
