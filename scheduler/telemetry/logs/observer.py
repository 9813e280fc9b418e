"""Turns what the dispatcher does into log events: ids, numbers and stable words, never audio or output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import COMPLETED
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import word
from voxpool.scheduler.protocol.trace_context import trace_id
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import ITEMS_MAX, Log

if TYPE_CHECKING:
    from voxpool.scheduler.core.jobs.job import Job
    from voxpool.scheduler.core.nodes.node import Node

ATTEMPTS_TOLD = 8
"""Attempts of a job that are logged: busy nodes may cause any number, and the log of a job is bounded."""


class LogObserver(Observer):
    """Writes the events of jobs, nodes and the store.

    Each `sample`-th job is logged (0 = none), of the others only warnings and ends that are not completed. At the level
    info that is one line, at the end of the job: three lines took a seventh of the scheduler's time.
    """

    def __init__(self, log: Log, sample: int = 1) -> None:
        self._log = log
        self._every = sample if log.level <= Event.JOB_ENDED.level else 0
        """Which jobs are logged; none when the level leaves their lines out."""
        self._is_debug = log.level <= Event.JOB_SUBMITTED.level
        self._store_error = ""

    def _tells(self, job: Job) -> bool:
        """Whether `job` is logged: always the same answer for one job."""
        return self._every == 1 or (self._every > 1 and job.sequence % self._every == 0)

    def job_submitted(self, job: Job) -> None:
        """A job waits."""
        if self._is_debug and self._tells(job):
            self._log(
                Event.JOB_SUBMITTED,
                job_id=job.job_id,
                session_id=job.session_id or None,
                pair=job.pair,
                audio_bytes=job.audio_bytes,
                trace_id=trace_id(job.trace),
            )

    def job_rejected(self, pair: str, reason: str) -> None:
        """A submit was refused."""
        self._log(Event.JOB_REJECTED, pair=pair, reason=reason)

    def connection_refused(self, peer: str, reason: str) -> None:
        """A connection was refused."""
        self._log(Event.CONNECTION_REFUSED, peer=peer, reason=reason)

    def peer_aborted(self, peer: str, reason: str) -> None:
        """A peer was cut off."""
        self._log(Event.PEER_ABORTED, peer=peer, reason=reason)

    def job_dispatched(self, job: Job, node: Node) -> None:
        """A job was sent to a node."""
        if self._is_debug and job.tries <= ATTEMPTS_TOLD and self._tells(job):
            self._log(
                Event.JOB_DISPATCHED,
                job_id=job.job_id,
                attempt=job.attempt,
                node_id=node.node_id,
                waited_ms=job.dispatched_ms - job.submitted_ms,
                trace_id=trace_id(job.trace),
            )

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        """An attempt was given up."""
        if job.tries <= ATTEMPTS_TOLD:
            self._log(
                Event.JOB_REDISPATCHED,
                job_id=job.job_id,
                attempt=attempt,
                node_id=node_id,
                reason=reason,
                trace_id=trace_id(job.trace),
            )

    def job_ended(self, job: Job) -> None:
        """A job reached its final state."""
        if job.state != COMPLETED or self._tells(job):
            waited_ms = (job.dispatched_ms or job.ended_ms) - job.submitted_ms
            self._log.plain(
                Event.JOB_ENDED,
                f'"job_id":"{job.job_id}","attempt":{job.attempt}{_given("node_id", job.node_id)}'
                f'{_given("session_id", job.session_id)},"pair":"{job.pair}","audio_bytes":{job.audio_bytes}'
                f',"state":"{job.state}"{_given("reason", word(job.reason))}'
                f',"waited_ms":{waited_ms},"total_ms":{job.ended_ms - job.submitted_ms}'
                f"{_given('trace_id', trace_id(job.trace))}",
            )

    def job_removed(self, job: Job) -> None:
        """A finished job left the table."""
        if self._is_debug and self._tells(job):
            self._log(Event.JOB_REMOVED, job_id=job.job_id)

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        """A result came too late."""
        self._log(Event.LATE_RESULT, job_id=job_id, attempt=attempt, node_id=node_id, trace_id=trace_id(trace))

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        """An allocation was handed back."""
        if job.tries <= ATTEMPTS_TOLD:
            self._log(
                Event.STALE_ALLOCATION,
                job_id=job.job_id,
                attempt=job.attempt,
                node_id=node_id,
                generation=generation,
                trace_id=trace_id(job.trace),
            )

    def nobody(self, job: Job) -> None:
        """A job found no node."""
        if self._is_debug and self._tells(job):
            self._log(Event.JOB_FOUND_NOBODY, job_id=job.job_id, pair=job.pair, trace_id=trace_id(job.trace))

    def node_registered(self, node: Node) -> None:
        """A node takes jobs."""
        self._log(
            Event.NODE_REGISTERED,
            node_id=node.node_id,
            generation=node.generation,
            slots=node.slots,
            pairs=node.pairs[:ITEMS_MAX],
            pairs_total=len(node.pairs),
        )

    def node_offline(self, node: Node, reason: str) -> None:
        """A node left."""
        self._log(Event.NODE_OFFLINE, node_id=node.node_id, generation=node.generation, reason=reason)

    def node_rests(self, node: Node, until_ms: int, reason: str) -> None:
        """A node rests."""
        self._log(Event.NODE_RESTS, node_id=node.node_id, until_ms=until_ms, reason=reason)

    def swept(self, removed: int, pause_ms: float) -> None:
        """A slice of the clean-up is done."""
        self._log(Event.SWEPT, removed=removed, pause_ms=round(pause_ms, 3))

    def scheduler_lapsed(self, partition: int) -> None:
        """Others may have run jobs of this scheduler again."""
        self._log(Event.SCHEDULER_LAPSED, partition=partition)

    def jobs_adopted(self, partition: int, scheduler: str, jobs: int) -> None:
        """Jobs of a dead scheduler wait again."""
        self._log(Event.JOBS_ADOPTED, scheduler=scheduler, jobs=jobs, partition=partition)

    def store_failed(self, detail: str) -> None:
        """The store did not answer; an error that each repeat gives is logged once."""
        if detail != self._store_error:
            self._store_error = detail
            self._log(Event.STORE_FAILED, error=detail)

    def store_recovered(self) -> None:
        """The store answers again."""
        self._store_error = ""
        self._log(Event.STORE_RECOVERED)


def _given(name: str, text: str | None) -> str:
    """Return a member of a JSON object; nothing for an empty text. `text` must need no escape (Log.plain)."""
    return f',"{name}":"{text}"' if text else ""
