"""Prometheus counters and histograms of what the dispatcher does. figures.py has the present jobs, nodes and slots.

Children are made once and kept, since finding one by its labels costs more than counting. Everything is in a registry
of our own, so that no other metrics get in; exporter.py adds those of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from voxpool.scheduler.config import PRIORITY, PRIORITY_MAX
from voxpool.scheduler.core.jobs.job import COMPLETED, FINAL_STATES
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.protocol.trace_context import is_sampled, span_id, trace_id
from voxpool.scheduler.telemetry.metrics.labels import (
    ABORT_REASONS,
    CONNECTION_REASONS,
    END_REASONS,
    NONE,
    OTHER,
    REDISPATCH_REASONS,
    REJECT_REASONS,
    PairLabels,
    one_of,
)

if TYPE_CHECKING:
    from voxpool.scheduler.core.jobs.job import Job
    from voxpool.scheduler.core.nodes.node import Node

NAMESPACE = "voxpool"
JOB_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Buckets of a wait or a service: from an idle node to the timeouts."""
PAUSE_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Buckets of the time in which the loop did nothing else."""


class MetricsObserver(Observer):
    """Counts jobs, dispatches, sweeps and failures of the store in `registry`. `now_ms` is the wall clock."""

    def __init__(self, registry: CollectorRegistry, now_ms: Callable[[], int]) -> None:
        self.pairs = PairLabels(now_ms, self._forget_pair)
        self._now_ms = now_ms
        self.finished = dict.fromkeys(sorted(FINAL_STATES), 0)
        """Finished jobs in the table, by state: those that ended and were not removed yet."""

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace=NAMESPACE, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, namespace=NAMESPACE, registry=registry, buckets=buckets)

        self._submitted = counter("jobs_submitted_total", "Jobs that were accepted.", "pair")
        self._rejected = counter("jobs_rejected_total", "Submits that were refused.", "reason")
        self._ended = counter("jobs_ended_total", "Jobs that reached their final state.", "pair", "state", "reason")
        self._wait = histogram(
            "wait_seconds", "From the submit to the last dispatch, of jobs that completed.", JOB_BUCKETS_S
        )
        self._service = histogram(
            "service_seconds", "From the last dispatch to the end, of jobs that completed.", JOB_BUCKETS_S
        )
        dispatches = counter(
            "dispatches_total",
            "Answers of the store about jobs: sent to a node, nobody (no room), or stale (a node not connected).",
            "result",
        )
        self._sent = dispatches.labels("sent")
        self._nobody = dispatches.labels("nobody")
        self._stale = dispatches.labels("stale")
        starts = counter(
            "job_starts_total",
            "Jobs sent to a node, by priority; all have priority 3 unless the setting order is fair.",
            "priority",
        )
        self._starts_of = {priority: starts.labels(str(priority)) for priority in range(1, PRIORITY_MAX + 1)}
        self._redispatches = counter("redispatches_total", "Attempts that were given up.", "reason")
        self._late = counter("late_results_total", "Results for attempts that no longer counted.")
        self._removed = counter("cleanup_removed_total", "Finished jobs that the clean-up removed.")
        self._pause = histogram(
            "cleanup_pause_seconds", "How long a slice of the clean-up blocked the loop.", PAUSE_BUCKETS_S
        )
        self._last_run = Gauge(
            "cleanup_last_run_timestamp_seconds",
            "When the clean-up last looked for jobs to remove; until the first time, when this scheduler started.",
            namespace=NAMESPACE,
            registry=registry,
        )
        self._last_run.set(now_ms() / 1000)
        aborted = counter("peers_aborted_total", "Peers that broke a bound and were cut off.", "reason")
        self._aborted_of = {reason: aborted.labels(reason) for reason in (*sorted(ABORT_REASONS), OTHER)}
        unwanted = counter("connections_refused_total", "Connections and requests that were refused.", "reason")
        self._unwanted_of = {reason: unwanted.labels(reason) for reason in (*sorted(CONNECTION_REASONS), OTHER)}
        self._store_up = Gauge(
            "store_up", "1 while the store answers script calls, else 0.", namespace=NAMESPACE, registry=registry
        )
        self._store_up.set(1)
        self._failing = Gauge(
            "partitions_failing",
            "Partitions of the jobs in Redis that can't be reached now; 0 with jobs in memory.",
            namespace=NAMESPACE,
            registry=registry,
        )
        self._lapses = counter(
            "scheduler_lapses_total", "Leases of this scheduler, one a partition, that had ended when it renewed them."
        )
        self._adopted = counter("jobs_adopted_total", "Jobs that this scheduler took back from schedulers that died.")
        self._submitted_of: dict[str, Counter] = {}
        self._ended_of: dict[tuple[str, str, str], Counter] = {}
        self._redispatched_of = {reason: self._redispatches.labels(reason) for reason in sorted(REDISPATCH_REASONS)}
        self._rejected_of = {reason: self._rejected.labels(reason) for reason in sorted(REJECT_REASONS)}

    def node_registered(self, node: Node) -> None:
        """Its pairs get labels."""
        self.pairs.serve(node.pairs)

    def job_submitted(self, job: Job) -> None:
        """A job waits."""
        pair = self.pairs.of(job.pair)
        child = self._submitted_of.get(pair)
        if child is None:
            child = self._submitted_of[pair] = self._submitted.labels(pair)
        child.inc()

    def job_rejected(self, pair: str, reason: str) -> None:
        """A submit was refused; its pair may be anything, so it has no label."""
        (self._rejected_of.get(reason) or self._rejected.labels(one_of(REJECT_REASONS, reason))).inc()

    def connection_refused(self, peer: str, reason: str) -> None:
        """A connection was refused."""
        self._unwanted_of[one_of(CONNECTION_REASONS, reason)].inc()

    def peer_aborted(self, peer: str, reason: str) -> None:
        """A peer was cut off."""
        self._aborted_of[one_of(ABORT_REASONS, reason)].inc()

    def job_dispatched(self, job: Job, node: Node) -> None:
        """A job was sent to a node."""
        self._sent.inc()
        self._starts_of[PRIORITY if job.share is None else job.share.priority].inc()

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        """An attempt was given up."""
        (self._redispatched_of.get(reason) or self._redispatches.labels(one_of(REDISPATCH_REASONS, reason))).inc()

    def job_ended(self, job: Job) -> None:
        """A job reached its final state."""
        state = job.state
        self.finished[state] += 1
        key = (self.pairs.of(job.pair), state, one_of(END_REASONS, job.reason or NONE))
        child = self._ended_of.get(key)
        if child is None:
            child = self._ended_of[key] = self._ended.labels(*key)
        child.inc()
        if state == COMPLETED:
            exemplar = _exemplar(job.trace) if job.trace else None
            self._wait.observe((job.dispatched_ms - job.submitted_ms) / 1000, exemplar)
            self._service.observe((job.ended_ms - job.dispatched_ms) / 1000, exemplar)

    def job_removed(self, job: Job) -> None:
        """A finished job left the table."""
        self.finished[job.state] -= 1

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        """A result came too late."""
        self._late.inc()

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        """An allocation was handed back."""
        self._stale.inc()

    def nobody(self, job: Job) -> None:
        """A job found no node."""
        self._nobody.inc()

    def swept(self, removed: int, pause_ms: float) -> None:
        """A slice of the clean-up is done."""
        self._removed.inc(removed)
        self._pause.observe(pause_ms / 1000)
        self._last_run.set(self._now_ms() / 1000)

    def partitions_failing(self, count: int) -> None:
        """The number of partitions that can't be reached has changed."""
        self._failing.set(count)

    def scheduler_lapsed(self, partition: int) -> None:
        """A lease had ended."""
        self._lapses.inc()

    def jobs_adopted(self, partition: int, scheduler: str, jobs: int) -> None:
        """Jobs of a dead scheduler wait again."""
        self._adopted.inc(jobs)

    def store_failed(self, detail: str) -> None:
        """The store did not answer."""
        self._store_up.set(0)

    def store_recovered(self) -> None:
        """The store answers again."""
        self._store_up.set(1)

    def _forget_pair(self, pair: str) -> None:
        if self._submitted_of.pop(pair, None) is not None:
            self._submitted.remove(pair)
        for key in [key for key in self._ended_of if key[0] == pair]:
            del self._ended_of[key]
            self._ended.remove(*key)


def _exemplar(trace: str) -> dict[str, str] | None:
    """Return the exemplar that links a figure to the span of the job's last attempt, if that is recorded anywhere."""
    return {"trace_id": trace_id(trace) or "", "span_id": span_id(trace)} if is_sampled(trace) else None
