"""Traces: what the dispatcher does with a job as spans, from its submit to its end.

An Observer around the core. It decides which jobs are sampled and writes the job's place in its trace into `Job.trace`,
from where the node gets it; nothing else of the core knows of traces. span_ship.py exports the spans.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import FAILED
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import word
from voxpool.scheduler.protocol.trace_context import is_sampled, span_id, trace_id, traceparent
from voxpool.scheduler.telemetry.traces import spans
from voxpool.scheduler.telemetry.traces.spans import Attributes, Event, Span

if TYPE_CHECKING:
    from voxpool.scheduler.core.jobs.job import Job
    from voxpool.scheduler.core.nodes.node import Node

EVENTS_MAX = 32
"""Events of a job's span; later ones are left out; each attempt has its span in any case."""
_RATIO_BITS = 64
"""Bits of a trace's id that decide whether it is sampled: all samplers by ratio decide alike."""


class Life:
    """A sampled job that has not ended. It is in one phase at a time: it waits, or an attempt is made."""

    __slots__ = (
        *("trace", "span", "parent", "start_ns", "events", "redispatches"),
        *("phase", "phase_ns", "attempt", "node_id"),
    )

    def __init__(self, trace: int, span: int, parent: int, start_ns: int) -> None:
        self.trace = trace
        self.span = span
        self.parent = parent
        self.start_ns = start_ns
        self.phase = 0
        """The id of the span of the present phase."""
        self.phase_ns = start_ns
        self.attempt = 0
        """The attempt that is made; 0 while it waits."""
        self.node_id = ""
        self.redispatches = 0
        self.events: list[Event] = []


class TraceObserver(Observer):
    """Makes spans of jobs and passes them to `give`.

    A traceparent decides whether its job is sampled; of the jobs without one, the share `sample` (0 to 1) is. `now_ns`
    is the wall clock in ns.
    """

    def __init__(
        self, sample: float, now_ns: Callable[[], int], random: random.Random, give: Callable[[Span], None]
    ) -> None:
        self.lives: dict[str, Life] = {}
        """Sampled jobs that have not ended, by their ids."""
        self.now_ns = now_ns
        self.give = give
        self._bits = random.getrandbits
        self._sampled_below = round(sample * 2**_RATIO_BITS)

    def new_id(self) -> int:
        """Return an id for a span."""
        return self._bits(64) or 1

    def job_submitted(self, job: Job) -> None:
        """A job waits: its trace begins, or goes on with a span of its own."""
        came_with = job.trace
        if came_with:
            if not is_sampled(came_with):
                return
            trace, parent = int(trace_id(came_with) or "", 16), int(span_id(came_with), 16)
        else:
            trace, parent = self._bits(128) or 1, 0
            if trace % 2**_RATIO_BITS >= self._sampled_below:
                job.trace = traceparent(trace, self.new_id(), False)  # otherwise the node would decide anew
                return
        life = self.lives[job.job_id] = Life(trace, self.new_id(), parent, self.now_ns())
        life.phase = self.new_id()
        job.trace = traceparent(trace, life.span, True)

    def job_dispatched(self, job: Job, node: Node) -> None:
        """A job was sent to a node, which gets the span of the attempt."""
        life = self.lives.get(job.job_id)
        if life is not None:
            self._end_phase(job, life)
            life.attempt, life.node_id = job.attempt, node.node_id
            job.trace = traceparent(life.trace, life.phase, True)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        """An attempt was given up; the job waits again."""
        life = self.lives.get(job.job_id)
        if life is not None:
            life.redispatches += 1
            self._end_phase(job, life, reason)
            self._note(life, "redispatched", attempt, node_id, {"voxpool.reason": word(reason)})

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        """An allocation was handed back."""
        life = self.lives.get(job.job_id)
        if life is not None:
            self._note(life, "stale_allocation", job.attempt, node_id)

    def job_ended(self, job: Job) -> None:
        """A job reached its final state."""
        life = self.lives.pop(job.job_id, None)
        if life is None:
            return
        reason = word(job.reason)
        error = reason if job.state == FAILED else ""
        self._end_phase(job, life, error)
        attributes: Attributes = {
            "voxpool.job_id": job.job_id,
            "voxpool.pair": job.pair,
            "voxpool.audio_bytes": job.audio_bytes,
            "voxpool.attempt": job.attempt,
            "voxpool.redispatches": life.redispatches,
            "voxpool.state": job.state,
        }
        for name, value in (("session_id", job.session_id), ("node_id", job.node_id), ("reason", reason)):
            if value:
                attributes[f"voxpool.{name}"] = value
        ids, times = (life.trace, life.span, life.parent), (life.start_ns, self.now_ns())
        self.give(Span(spans.JOB, *ids, *times, attributes, error, life.events, has_remote_parent=life.parent != 0))

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        """A result came too late: it is recorded under the span of the work, which the node sent along."""
        if is_sampled(trace):
            at_ns = self.now_ns()
            attributes: Attributes = {"voxpool.job_id": job_id, "voxpool.attempt": attempt, "voxpool.node_id": node_id}
            ids = (int(trace_id(trace) or "", 16), self.new_id(), int(span_id(trace), 16))
            self.give(Span(spans.LATE_RESULT, *ids, at_ns, at_ns, attributes, has_remote_parent=True))

    def _end_phase(self, job: Job, life: Life, error: str = "") -> None:
        """Export the span of the present phase and begin the next one, in which the job waits."""
        now_ns = self.now_ns()
        attributes: Attributes = {"voxpool.job_id": job.job_id, "voxpool.pair": job.pair}
        name = spans.WAITING
        if life.attempt:
            name = spans.ATTEMPT
            attributes["voxpool.attempt"] = life.attempt
            attributes["voxpool.node_id"] = life.node_id
        if error:
            error = attributes["voxpool.reason"] = word(error)
        self.give(Span(name, life.trace, life.phase, life.span, life.phase_ns, now_ns, attributes, error))
        life.phase = self.new_id()
        life.phase_ns = now_ns
        life.attempt = 0

    def _note(self, life: Life, name: str, attempt: int, node_id: str, more: Attributes | None = None) -> None:
        if len(life.events) < EVENTS_MAX:
            attributes: Attributes = {"voxpool.attempt": attempt, "voxpool.node_id": node_id, **(more or {})}
            life.events.append(Event(name, self.now_ns(), attributes))
