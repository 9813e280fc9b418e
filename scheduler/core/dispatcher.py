"""The life of a job: submitted, put to the store, sent to a node, ended; and back to waiting when its node is lost.

Plain synchronous decisions. It acts through the script queue, the links of the nodes and the result sink, and knows no
socket, no HTTP and no Redis. Every change of state comes before the message that reports it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.admission.intake import Intake
from voxpool.scheduler.core.alone import Alone
from voxpool.scheduler.core.clock import Clock, Deadlines
from voxpool.scheduler.core.jobs.affinity import Affinity
from voxpool.scheduler.core.jobs.error_text import cleaned
from voxpool.scheduler.core.jobs.job import (
    ANSWERS,
    CANCELLED,
    COMPLETED,
    DISPATCHED,
    EQUAL,
    ERROR,
    FAILED,
    REDISPATCHED,
    TIMEOUT,
    WAITING,
    Job,
    Retries,
    Share,
    hash_of,
    key_of,
)
from voxpool.scheduler.core.jobs.job_list import JobList, Lists
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.jobs.reasons import ATTEMPTS_MAX, EXPIRED, SESSION_GONE, TOO_LATE
from voxpool.scheduler.core.jobs.waiting import WaitingJobs
from voxpool.scheduler.core.nodes.node import GONE, Node
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.script_queue import ScriptQueue
from voxpool.scheduler.core.seams import Observer, ResultSink
from voxpool.scheduler.core.why import Why
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import Assign, CancelAttempt, NodePartial

LATE_LOOK_MS = 2
"""How soon a job that has too little time left is looked at again, while the store may still find a slot for it."""
AVOID_MAX = 3
"""Nodes that a job remembers as having failed it."""


class Dispatcher(Alone):
    """Gives jobs to nodes. One for each scheduler; everything it owns comes in by the constructor (core.py)."""

    _job_class: type[Job] = Job

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        table: JobTable,
        waiting: WaitingJobs,
        intake: Intake,
        deadlines: Deadlines[Job],
        node_registry: NodeRegistry,
        queue: ScriptQueue,
        affinity: Affinity,
        sink: ResultSink,
        observer: Observer,
        random: random.Random,
        why: Why,
        instance: str,
    ) -> None:
        super().__init__(settings, clock, waiting, intake, node_registry, queue, affinity, observer, random, why)
        self.table = table
        self.jobs: Lists = JobList(self.find_sequence, lambda: self.newest_sequence, table.count_of)
        self._deadlines = deadlines
        self._sink = sink
        self.instance = instance
        self._submits = 0
        self._waiting_ms = ms(settings.waiting_timeout_s)
        self._dispatch_ms = ms(settings.dispatch_timeout_s)
        self._retries = Retries(settings)

    def __repr__(self) -> str:
        return f"<dispatcher {self.instance} {self.table!r} {self.waiting!r} {len(self.node_registry)} nodes>"

    # ---- clients

    @property
    def is_fair(self) -> bool:
        """Whether jobs have shares: the setting order is `fair`."""
        return self.waiting.is_fair

    def submit(
        self,
        *,
        pair: str,
        audio: bytes,
        request_id: str,
        session_id: str = "",
        timeout_ms: int | None = None,
        affinity: bool = False,
        why: bool = False,
        owner: str = "",
        trace: str = "",
        attempts_max: int | None = None,
        backoff_ms: int | None = None,
        share: Share | None = None,
    ) -> Job:
        """Accept a job, or return the one that was accepted under this `request_id` and isn't forgotten yet.

        One that failed before it was started, or was given up with its session, begins anew as a new job. `timeout_ms`
        counts from here: past it the job fails, as the client no longer wants the result. With `affinity` the node of
        the session's last job is tried first, with `why` the decisions about it are kept. The same request or session
        id of another `owner` is a different one. `trace` is the traceparent that the job comes with (trace_context.py).
        `attempts_max` and `backoff_ms` replace the settings attempts_max and backoff_s for this job. `share` is None
        unless the setting order is `fair`. Raises Rejected; then nothing is kept.
        """
        if not self.is_fair:
            share = None
        elif share is None:
            share = EQUAL
        known = self.table.find_request(request_id, owner)
        try:
            if known is not None:
                self.intake.check_same(known, pair, audio)
                if not known.begins_anew:
                    return known
            self.intake.check(pair, len(audio), key_of(owner, request_id), timeout_ms, share)
        except Rejected as rejected:
            self._observer.job_rejected(pair, rejected.reason)
            raise
        now_ms = self._clock.now_ms()
        self._submits += 1
        job = self._job_class(
            job_id=self._new_id(pair, owner, request_id),
            request_id=request_id,
            session_id=session_id,
            pair=pair,
            sequence=self._submits,
            submitted_ms=now_ms,
            waits_from_ms=now_ms,
            audio=audio,
            audio_bytes=len(audio),
            audio_hash=hash_of(audio),
            expires_ms=now_ms + timeout_ms if timeout_ms else 0,
            affinity=affinity and bool(session_id),
            owner=owner,
            trace=trace,
            limits=self._retries.limits(attempts_max, backoff_ms),
            share=share,
        )
        self.table.add(job)
        self.intake.accepted(job)
        if why:
            self._why.follow(job.job_id)
        self._observer.job_submitted(job)
        self._wait(job)
        return job

    def when_accepted(self, job: Job, accepted: Callable[[Job], None], refused: Callable[[Rejected], None]) -> None:
        """Call `accepted` with the `job` of a submit as soon as it can't be lost with this scheduler's doors: at once.

        Where another process has the last word (jobs in Redis), one of the two is called later.
        """
        accepted(job)

    def cancel(self, job_id: str, reason: str = "cancelled") -> Job | None:
        """End the job as cancelled unless it has ended, and notify its node; None when it is unknown."""
        job = self.table.find(job_id)
        if job is not None and not job.ended:
            self.end(job, CANCELLED, reason=reason)
        return job

    def find(self, job_id: str) -> Job | None:
        """Return the job, or None when it was never here or its retention is over."""
        return self.table.find(job_id)

    @property
    def newest_sequence(self) -> int:
        """The sequence number of the last submit; 0 before the first."""
        return self._submits

    def find_sequence(self, sequence: int) -> Job | None:
        """Return the job that was submit number `sequence`, or None when it is forgotten."""
        return self.table.find(self._job_id(sequence))

    def session_closed(self, session_key: str, job_ids: Iterable[str] = ()) -> None:
        """Cancel `job_ids`, the jobs whose results are no longer wanted, and forget the affinity of the session.

        Its other jobs go on, and can be asked for by their request ids; one that was cancelled here begins anew.
        """
        for job_id in job_ids:
            self.cancel(job_id, SESSION_GONE)
        self.affinity.forget(session_key)

    # ---- what the roles and the node events call

    def job_due(self, job: Job) -> None:
        """The deadline of `job` has come."""
        now_ms = self._clock.now_ms()
        if job.expires_ms and job.expires_ms <= now_ms:
            self.end(job, FAILED, reason=EXPIRED)
        elif job.backoff_until_ms:
            job.backoff_until_ms = 0
            self._wait(job)
        elif job.state == WAITING:
            reason = TOO_LATE if self.is_too_late(job, now_ms) else self.intake.why_in_vain(job)
            self.end(job, FAILED, reason=reason)
        else:
            node = self.node_registry.nodes[job.node_id]
            self.redispatch(job, node, TIMEOUT)
            self.node_registry.count_failure(node)

    def is_too_late(self, job: Job, now_ms: int) -> bool:
        """Return whether a waiting `job` has too little time left for its work, and no slot in sight."""
        return 0 < self.intake.too_late_ms(job) <= now_ms and not self.waiting.may_start(job)

    def wait_until(self, job: Job, ends_ms: int) -> None:
        """Let a waiting `job` be due at `ends_ms`, or when it may be too late: then it is looked at again and again."""
        late_ms = self.intake.too_late_ms(job)
        if late_ms:
            ends_ms = min(ends_ms, max(late_ms, self._clock.now_ms() + LATE_LOOK_MS))
        self._set_deadline(job, ends_ms)

    # ---- sending

    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        job.move(DISPATCHED)
        job.node_id = node.node_id
        job.dispatched_ms = now_ms
        node.reservations[job.job_id] = job
        self.intake.started(job)
        self._set_deadline(job, now_ms + self._dispatch_ms)
        if job.affinity:
            self.affinity.took(job.session_key, node.node_id)
        self._observer.job_dispatched(job, node)
        self._send(job, node)

    def _send(self, job: Job, node: Node) -> None:
        assert job.audio is not None, job
        session, trace = job.session_key or None, job.trace or None
        assign = Assign(job.job_id, job.attempt, job.pair, job.audio, self._dispatch_ms, session, trace)
        assign.partials = self.wants_partials(job)
        node.link.send(assign)

    def wants_partials(self, job: Job) -> bool:
        """Return whether a client wants partial results of `job`."""
        return self._sink.wants_partials(job)

    def partial(self, job: Job, partial: NodePartial) -> None:
        """Pass on what the node of `job` knows so far of its output; nothing of it is kept."""
        self._sink.partial(job, partial)

    # ---- the small steps

    def _new_id(self, pair: str, owner: str, request_id: str) -> str:
        return self._job_id(self._submits)

    def _job_id(self, sequence: int) -> str:
        return f"{self.instance}-{sequence}"

    def _wait(self, job: Job) -> None:
        self.wait_until(job, job.waits_from_ms + self._waiting_ms)
        self.waiting.add(job)
        self.queue.nudge()

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        """Give up the present attempt of `job` on `node` and let it wait for another one.

        A `counted` attempt takes one of those that the job has (job.py); `detail` describes an error. The node
        receives a cancel unless the attempt ended with its own answer: otherwise an assign that is only slow would run
        beside the job that got its slot.
        """
        attempt = job.attempt
        if reason not in ANSWERS:
            node.link.send(CancelAttempt(job.job_id, attempt))
        self._take_back(job, node)
        job.avoid = (*job.avoid, node.node_id)[-AVOID_MAX:]
        if counted:
            self._retries.count(job, reason, detail, self._clock.now_ms())
        job.move(REDISPATCHED)
        self.intake.came_back(job)
        self._observer.job_redispatched(job, node.node_id, attempt, reason)
        if not job.attempts_left:
            detail = f"the last of {job.redispatches} attempts, on {node.node_id}: {job.detail}"
            self.end(job, FAILED, reason=ATTEMPTS_MAX, detail=cleaned(detail))
        elif job.backoff_until_ms:
            self._set_deadline(job, job.backoff_until_ms)
        else:
            self._wait(job)
        if reason == ERROR and not job.ended:
            self.waiting.charge(job)

    def _take_back(self, job: Job, node: Node) -> None:
        del node.reservations[job.job_id]
        node.missing.pop(job.job_id, None)
        job.node_id = ""
        self._release(job, node)

    def _release(self, job: Job, node: Node) -> None:
        self.queue.release(job.reservation)
        if node.presence != GONE:
            self.waiting.room(node.pairs, 1)

    def end(self, job: Job, state: str, reason: str = "", output: Any = None, detail: str = "") -> None:
        """Bring `job`, which has not ended, to its final `state`; free its slot and audio, and notify its client.

        A job that fails without a `detail` of its own keeps that of the last attempt which failed.
        """
        was = job.state
        job.move(state)
        self._ended(job, was, reason, output, detail)

    def _ended(self, job: Job, was: str, reason: str, output: Any, detail: str) -> None:
        job.reason = reason
        job.detail = detail or (job.detail if job.state == FAILED else "")
        job.output = output
        job.ended_ms = self._clock.now_ms()
        self._deadlines.clear(job)
        job.backoff_until_ms = 0
        job.avoid = ()
        if was == DISPATCHED:
            node = self.node_registry.nodes[job.node_id]
            if job.state != COMPLETED:
                node.link.send(CancelAttempt(job.job_id, job.attempt))
            node_id = job.node_id
            self._take_back(job, node)
            job.node_id = node_id  # where it ended
        else:
            self.waiting.discard(job)
        self._conclude(job, was == DISPATCHED)

    def _conclude(self, job: Job, was_running: bool) -> None:
        """Report the end of `job`, of which nothing waits or runs here any more."""
        self.intake.ended(job, was_running)
        for evicted in self.table.finish(job):
            self._observer.job_removed(evicted)
        self._observer.job_ended(job)
        self._sink.job_ended(job)
        job.share = None
        job.trace = ""  # it is not needed any more, and a finished job is kept

    def _set_deadline(self, job: Job, when_ms: int) -> None:
        self._deadlines.set(job, min(when_ms, job.expires_ms) if job.expires_ms else when_ms)
