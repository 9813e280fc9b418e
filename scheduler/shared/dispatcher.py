"""The dispatcher of one of several schedulers: the jobs of its clients, which are in Redis, and the roles around them.

What becomes of a job is decided by the scripts of its partition. Requests go to the feed of that partition, and the
answers come back as calls of the Desk (seams.py); held.py is the half of it that is about nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, NamedTuple

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.jobs.affinity import Affinity
from voxpool.scheduler.core.jobs.job import COMPLETED, DISPATCHED, FAILED, WAITING, Job
from voxpool.scheduler.core.jobs.reasons import EXPIRED, SESSION_GONE, SHARE, STOPPING, SUBMIT_REFUSALS
from voxpool.scheduler.core.jobs.waiting import Place, Standing
from voxpool.scheduler.core.script_queue import Outages
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.shared.asking import answer_of
from voxpool.scheduler.shared.details import (
    STATES,
    Details,
    Outcome,
    content_of,
    job_id_of,
    outcome_of,
    partition_in,
    partition_of,
)
from voxpool.scheduler.shared.held import HeldJobs
from voxpool.scheduler.shared.job_list import SharedJobList
from voxpool.scheduler.shared.local import SharedIntake, SharedJob, SharedWaiting
from voxpool.scheduler.shared.local_queue import LocalQueue
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.asked import Asked
from voxpool.scheduler.shared.partition.calls import Bounds, Record, record_of, turn_of
from voxpool.scheduler.shared.partition.feed import Feed
from voxpool.scheduler.shared.partition.members import Members
from voxpool.scheduler.shared.partition.names import home_of
from voxpool.scheduler.shared.partition.totals import Totals
from voxpool.scheduler.shared.registry import TEST_S, SharedRegistry
from voxpool.scheduler.shared.slots import Slots
from voxpool.scheduler.shared.standing import shown, standing_of
from voxpool.scheduler.shared.store_watch import PartitionObserver, StoreWatch
from voxpool.scheduler.stores.cluster.job_stores import JobStores

REFUSED = "r"
"""The state that a feed reports of a job which the store has not taken."""
UNBOUNDED = 10**12
"""The number of finished jobs that may stay, when the settings have no bound."""


class Waiter(NamedTuple):
    """Who wants to be called when the store has a job, or has refused it."""

    accepted: Callable[[Job], None]
    refused: Callable[[Rejected], None]


class SharedDispatcher(HeldJobs):
    """Implements Desk. `around` wraps what runs the scripts of a partition, to measure it."""

    def __init__(self, *, stores: JobStores, around: Callable[[ScriptRunner], ScriptRunner], **parts: Any) -> None:
        super().__init__(**parts)
        settings: Settings = parts["settings"]
        queue, waiting, intake = self.queue, self.waiting, self.intake
        assert isinstance(queue, LocalQueue)
        assert isinstance(waiting, SharedWaiting)
        assert isinstance(intake, SharedIntake)
        self._retry_after_ms = ms(settings.retry_after_s)
        self._stores = stores
        self.slots = Slots(settings, self._clock, queue, self.node_registry, self._random)
        watch = StoreWatch(self._observer)
        totals = Totals(Bounds(settings.jobs_max, settings.audio_total_bytes_max, settings.waiting_max))
        self.feeds = [
            Feed(
                number,
                self.instance,
                self,
                runner=around(store),
                clock=self._clock,
                settings=settings,
                observer=PartitionObserver(number, watch),
                lease_ms=ms(settings.scheduler_lease_s),
                waiting_ms=self._waiting_ms,
                totals=totals,
            )
            for number, store in enumerate(stores.partitions)
        ]
        ended_max = settings.finished_max or UNBOUNDED
        tidying = self._clock, ms(settings.retention_s), ended_max
        self.members = [Members(feed, *tidying, None if feed.partition else self.spread) for feed in self.feeds]
        self.jobs = SharedJobList(self.feeds, settings, self._shown)
        self._asked: dict[str, Asked] = {}
        self._jobs: dict[str, SharedJob] = {}
        """Both by job id: the jobs of clients here that have not ended."""
        self._homes = Affinity(settings.sessions_max)
        """The scheduler that ran the last job of a session; which node that was, it knows itself."""
        self._waiters: dict[str, list[Waiter]] = {}
        waiting.on_room = self._room
        registry = self.node_registry
        assert isinstance(registry, SharedRegistry)
        registry.home_of = lambda node_id: self.feeds[home_of(node_id, len(self.feeds))]
        registry.on_pairs_left = self._pairs_left
        registry.retry_s = settings.probe_s + TEST_S
        self._registry = registry
        intake.outages_of = self._outages_of

    def roles(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """Return the roles of the names of nodes, and of each partition."""
        roles: list[tuple[str, Coroutine[Any, Any, None]]] = [("names", self._registry.test_forever())]
        for feed, members in zip(self.feeds, self.members, strict=True):
            listener = self._stores.hints(feed.partition, self.instance, feed.subscribed, feed.hinted)
            roles += [
                (f"feed {feed.partition}", feed.run_forever(feed)),
                (f"member {feed.partition}", members.run_forever()),
                (f"hints {feed.partition}", listener.run_forever()),
            ]
        return roles

    def _partition_of(self, pair: str) -> int:
        return partition_of(pair, len(self.feeds))

    def _outages_of(self, pair: str) -> Outages:
        return self.feeds[self._partition_of(pair)].outages

    def _room(self, pairs: Collection[str]) -> None:
        """Slots of a node may be free: its pairs are asked for."""
        for pair in pairs:
            self.slots.room(pair)
            feed = self.feeds[self._partition_of(pair)]
            feed.hunger.served(pair)
            feed.nudge()

    def _pairs_left(self, pairs: list[str]) -> None:
        for pair in pairs:
            self.slots.left(pair)
            feed = self.feeds[self._partition_of(pair)]
            feed.hunger.left(pair)
            feed.nudge()

    # ---- submits

    def _new_id(self, pair: str, owner: str, request_id: str) -> str:
        return job_id_of(self._partition_of(pair), owner, request_id)

    def _wait(self, job: Job) -> None:
        """A new job: the store gets it."""
        assert isinstance(job, SharedJob)
        assert job.audio is not None, job
        partition = self._partition_of(job.pair)
        trace, backoff_ms = job.trace, job.limits.backoff_ms
        home = self._homes.node_of(job.session_key) if job.affinity else ""
        prefer = home or self.spread.target(len(self._held))
        job.sent_to = self.spread.sent(prefer)
        details = Details(job.owner, job.request_id, job.session_id, trace, job.submitted_ms, backoff_ms, job.affinity)
        asked = Asked(
            job.job_id,
            job.pair,
            job.audio,
            f"{self.instance}-{job.sequence}",
            details=str(details),
            content=content_of(job.audio),
            prefer=prefer,
            expires_ms=job.expires_ms,
            attempts_max=job.limits.attempts_max,
            turn="" if job.share is None else turn_of(*job.share),
        )
        self._asked[job.job_id], self._jobs[job.job_id] = asked, job
        if job.expires_ms:
            self._set_deadline(job, job.expires_ms)
        self.waiting.add(job)
        self.feeds[partition].submit(asked)

    def when_accepted(self, job: Job, accepted: Callable[[Job], None], refused: Callable[[Rejected], None]) -> None:
        """Call `accepted` when the store has `job`, or has had it; else `refused`."""
        asked = self.find_asked(job.job_id)
        if asked is None or asked.is_accepted:
            accepted(job)
        else:
            self._waiters.setdefault(job.job_id, []).append(Waiter(accepted, refused))

    # ---- Desk: what clients here wait for

    def asked(self, partition: int) -> list[Asked]:
        """Return what clients here wait for."""
        prefix = f"{partition}."
        return [asked for job_id, asked in self._asked.items() if job_id.startswith(prefix)]

    def find_asked(self, job_id: str) -> Asked | None:
        """Return one of them."""
        return self._asked.get(job_id)

    def accepted(self, job_id: str) -> None:
        """The store has the job."""
        asked = self.find_asked(job_id)
        if asked is not None:
            asked.is_accepted = True
            for waiter in self._waiters.pop(job_id, ()):
                waiter.accepted(self._jobs[job_id])

    def ended(self, job_id: str, state: str, outcome: str) -> None:
        """The job has ended, or was refused."""
        job = self._own(job_id)
        if job is None:
            return
        if state == REFUSED:
            reason, detail = _refusal(outcome)
            is_retryable = reason in SUBMIT_REFUSALS and SUBMIT_REFUSALS[reason].retryable
            rejected = Rejected(reason, detail, self._retry_after_ms if is_retryable else None)
            self._observer.job_rejected(job.pair, reason)
            self._end_here(job, FAILED, Outcome(reason, detail=detail))
            for waiter in self._waiters.pop(job_id, ()):
                waiter.refused(rejected)
            return
        self.accepted(job_id)  # this may have overtaken the answer to its submit
        by = self._asked[job_id].by
        if job.affinity and by:
            self._homes.took(job.session_key, by)
        found = outcome_of(outcome)
        reason = SESSION_GONE if state == "g" else found.reason
        self._end_here(job, STATES[state], found._replace(reason=reason))

    def _own(self, job_id: str) -> SharedJob | None:
        return self._jobs.get(job_id)

    def _end_here(self, job: SharedJob, state: str, outcome: Outcome) -> None:
        """Bring the job of a client here to its final state; an attempt that a node here still makes is void."""
        self.give_up(job.job_id, job.attempt)
        self.table.failed.forget(job.job_id)
        self.spread.ended(job.sent_to)
        del self._jobs[job.job_id]
        self.feed_of(job.job_id).withdraw(self._asked.pop(job.job_id))
        self.waiting.discard(job)
        if state == COMPLETED and job.state == WAITING:
            job.move(DISPATCHED)
        job.move(state)
        job.made = outcome.attempts or job.redispatches
        if outcome.attempts:
            job.node_id, job.dispatched_ms = outcome.node_id, outcome.dispatched_ms
        self._ended(job, WAITING, outcome.reason, outcome.output, outcome.detail)

    def session_closed(self, session_key: str, job_ids: Iterable[str] = ()) -> None:
        """Cancel `job_ids`, and forget where the session was."""
        job_ids = list(job_ids)
        for job_id in job_ids:
            job = self._own(job_id)
            if job is not None:
                job.affinity = False  # where it ends is of no use any more
        super().session_closed(session_key, job_ids)
        self._homes.forget(session_key)

    # ---- the ends that clients and clocks want

    def cancel(self, job_id: str, reason: str = "cancelled") -> Job | None:
        """Let the store end the job as cancelled, whoever runs it; the end comes later."""
        job = self.find(job_id)
        if (job is not None and job.ended) or partition_in(job_id, len(self.feeds)) is None:
            return job
        self.feed_of(job_id).cancel(job_id, "g" if reason == SESSION_GONE else "x", str(Outcome(reason)))
        return job

    def job_due(self, job: Job) -> None:
        """The deadline of `job` has come: that of its attempt here, or of its client."""
        if self._own(job.job_id) is not job or job.job_id in self._held:
            super().job_due(job)
        else:
            self.feed_of(job.job_id).cancel(job.job_id, "f", str(Outcome(EXPIRED)))

    def find(self, job_id: str) -> Job | None:
        """Return the job, if it is one of a client or of a node here."""
        job = self.table.find(job_id)
        if job is not None and job.reason == SESSION_GONE:
            return None  # it goes on if clients of other schedulers wait for it: the store knows
        return job or self._held.get(job_id)

    def is_reported(self, job: Job) -> bool:
        """Whether the end of `job` is reported to the result sink: it is one of a client here."""
        return self._own(job.job_id) is job

    async def look_up(self, job_id: str) -> Job | None:
        """Return a job as the store has it, or None when the store does not know it. Raises Rejected: it is away."""
        if partition_in(job_id, len(self.feeds)) is None:
            return None
        feed = self.feed_of(job_id)
        text = await answer_of(feed, partial(feed.look_up, job_id), self._settings)
        return self._shown(job_id, record_of(text)) if text else None

    async def standing(self, job: Job) -> tuple[Job, Standing | None, Place | None]:
        """Ask the store where `job` is, unless it has ended; while the store does not answer, nobody knows."""
        partition = partition_in(job.job_id, len(self.feeds))
        if job.ended or partition is None:
            return job, None, None
        feed = self.feeds[partition]
        try:
            text, *numbers = await answer_of(feed, partial(feed.call, calls.place(job.job_id)), self._settings)
        except Rejected:
            text = ""
        if not text:
            return job, Standing("unknown"), None
        return self._shown(job.job_id, record_of(text)), *standing_of(record_of(text), numbers)

    def _shown(self, job_id: str, record: Record) -> Job:
        return shown(self._guest(job_id, record), record, self._held.get(job_id))

    # ---- the end of this scheduler

    def stop_taking(self) -> None:
        """Take no more jobs, and give back what was invited."""
        self.is_leaving = True
        for feed in self.feeds:
            feed.hunger.look_everywhere()
            feed.nudge()

    def hand_back(self, job: Job) -> None:
        """Let the client of `job` ask the next scheduler for it: it goes on."""
        assert isinstance(job, SharedJob)
        self.accepted(job.job_id)
        held = self._held.get(job.job_id)
        if held is not None:
            self.redispatch(held, self.node_registry.nodes[held.node_id], STOPPING, counted=False)
        self._end_here(job, FAILED, Outcome(STOPPING))

    def leave(self) -> None:
        """Give back all that nodes here run, and cease to be a member of any partition."""
        for job in list(self._held.values()):
            self.redispatch(job, self.node_registry.nodes[job.node_id], STOPPING, counted=False)
        for members in self.members:
            members.leave()

    @property
    def store_knows(self) -> bool:
        """Whether the store has answered all calls."""
        return all(feed.idle and not feed.has_work for feed in self.feeds)


def _refusal(outcome: str) -> tuple[str, str]:
    """Return reason and detail of a refusal by the store."""
    reason = "audio_total_bytes_max" if outcome == "bytes_max" else outcome
    return reason, {
        "jobs_max": "as many jobs are unfinished at all schedulers as may be",
        "audio_total_bytes_max": "the audio of the unfinished jobs of all schedulers would take too much memory",
        "waiting_max": "as many jobs of this pair wait at all schedulers as may be",
        SHARE: "this key has its part of jobs_max, audio_total_bytes_max or waiting_max at all schedulers",
        "request_id_conflict": "the request id was used for another job",
    }.get(reason, reason)
