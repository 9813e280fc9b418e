"""The half of a shared dispatcher that faces the nodes: the attempts of its partitions that nodes here make.

A slot is reserved before a job is asked for. An attempt is sent once; a later one takes its place. A node that comes
with running work brings attempts that are claimed; until the answer a stand-in holds each slot.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from voxpool.scheduler.config import ms
from voxpool.scheduler.core.admission.intake import CUT_SHORT
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.error_text import cleaned
from voxpool.scheduler.core.jobs.job import (
    ANSWERS,
    COMPLETED,
    DISPATCHED,
    ERROR,
    FAILED,
    REDISPATCHED,
    TIMEOUT,
    Job,
    RetryLimits,
)
from voxpool.scheduler.core.jobs.reasons import EXPIRED, STOPPING
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import CancelAttempt
from voxpool.scheduler.shared.details import Outcome, details_of, partition_in
from voxpool.scheduler.shared.local import SharedIntake, SharedJob, SharedTable
from voxpool.scheduler.shared.partition.audio_calls import audio_name_of
from voxpool.scheduler.shared.partition.calls import Record, Taken
from voxpool.scheduler.shared.partition.feed import Feed
from voxpool.scheduler.shared.slots import Slot, Slots
from voxpool.scheduler.shared.spread import Spread


class Claim:
    """An attempt whose claim is on its way. `then` is what its node has answered, or become, since."""

    __slots__ = ("job", "then")

    def __init__(self, job: SharedJob) -> None:
        self.job = job
        self.then: Callable[[SharedJob, str], None] | None = None


class HeldJobs(Dispatcher):
    """Implements the half of the Desk (seams.py) that is about nodes."""

    _job_class = SharedJob
    table: SharedTable
    feeds: list[Feed]
    slots: Slots

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._held: dict[str, SharedJob] = {}
        """Attempts that nodes here make, by job."""
        self._audio_names: dict[str, str] = {}
        """Those of the held jobs."""
        self._claims: dict[tuple[str, int], Claim] = {}
        self._guests = 0
        self.is_leaving = False
        lease_ms = ms(self._settings.scheduler_lease_s)
        self.spread = Spread(self.instance, self._clock, lease_ms, self._count_load)

    @abstractmethod
    def _own(self, job_id: str) -> SharedJob | None:
        """Return the unfinished job of a client here."""

    def feed_of(self, job_id: str) -> Feed:
        """Return the feed of the partition that a job id names."""
        return self.feeds[int(job_id.partition(".")[0])]

    # ---- slots

    def has_room(self, pair: str) -> bool:
        """Whether a node here may have a free slot for `pair`."""
        return self.slots.has_room(pair) and not self.is_leaving

    def reserve(self, pair: str) -> Slot | None:
        """Reserve such a slot."""
        return None if self.is_leaving else self.slots.reserve(pair)

    def free(self, slot: object) -> None:
        """A reserved slot is not needed."""
        assert isinstance(slot, Slot)
        self.queue.release(slot.name)
        if not slot.is_void:
            self.waiting.room(slot.node.pairs, 1)

    def _count_load(self) -> tuple[int, int]:
        """Return the jobs at nodes that take any, without those that others have sent here, and their slots."""
        nodes = [node for node in self.node_registry.nodes.values() if node.registered and not node.flags]
        jobs = (job for node in nodes for job in node.reservations.values())
        count = sum(not (isinstance(job, SharedJob) and job.sent_to) for job in jobs)
        return (0, 0) if self.is_leaving else (count, sum(node.slots for node in nodes))

    # ---- attempts

    @property
    def unfinished(self) -> int:
        """Attempts of nodes here that the store does not know as ended.

        The other jobs of clients here go on elsewhere when this scheduler stops.
        """
        return len(self._held) + len(self._claims) + sum(feed.ending for feed in self.feeds)

    def has(self, job_id: str, attempt: int) -> bool:
        """Whether this attempt, or a later one, is with a node here."""
        held = self._held.get(job_id)
        return held is not None and held.attempt >= attempt

    def held(self, partition: int) -> list[tuple[str, int]]:
        """Return all (job, attempt) of a partition that are with nodes here."""
        prefix = f"{partition}."
        return [(job_id, job.attempt) for job_id, job in self._held.items() if job_id.startswith(prefix)]

    def start(self, taken: Taken, slot: object, audio: bytes) -> None:
        """Send a job to the node of a reserved slot."""
        assert isinstance(slot, Slot)
        job_id, attempt = taken.job_id, taken.attempt
        if self.has(job_id, attempt):
            self.free(slot)
            return
        self._drop(job_id)  # it was taken from us, and came back under a later attempt
        if slot.is_void or self.is_leaving:
            self.free(slot)
            self.feed_of(job_id).give_back(job_id, attempt, STOPPING if self.is_leaving else "closed", counted=False)
            return
        job = self._own(job_id) or self._guest(job_id, taken)
        slot = self._better(job, slot)
        self._fill(job, taken)
        job.slot = slot.name
        if job.audio is None:
            job.audio, job.audio_bytes = audio, len(audio)
        self._dispatch(job, slot.node, self._clock.now_ms())
        if self._own(job_id) is None:
            job.audio = None

    def _better(self, job: SharedJob, slot: Slot) -> Slot:
        """Return a slot for `job` in place of `slot`, which was reserved before it was known.

        It is at the node of its session if that has room, and not at one that has failed it if another has room.
        """
        prefer = self.affinity.node_of(job.session_key) if job.affinity else ""
        here, avoid = slot.node.node_id, self.table.failed.of(job.job_id)
        if here == prefer or (prefer not in self.node_registry.nodes and here not in avoid):
            return slot
        other = self.slots.reserve(job.pair, prefer, avoid)
        if other is None:
            return slot
        is_better = other.node.node_id == prefer or (here in avoid and other.node.node_id not in avoid)
        self.free(slot if is_better else other)
        return other if is_better else slot

    def give_up(self, job_id: str, attempt: int) -> None:
        """This attempt, and those before it, do not count any more."""
        held = self._held.get(job_id)
        if held is not None and held.attempt <= attempt:
            self._drop(job_id)

    def _guest(self, job_id: str, row: Taken | Record) -> SharedJob:
        """Return a job of another scheduler's client, or of one that has left."""
        details = details_of(row.meta)
        self._guests += 1
        return SharedJob(
            job_id=job_id,
            request_id=details.request_id,
            session_id=details.session_id,
            pair=row.pair,
            sequence=-self._guests,
            submitted_ms=details.submitted_ms,
            audio=None,
            audio_bytes=row.bytes,
            owner=details.owner,
            trace=details.trace,
            limits=RetryLimits(row.attempts_max, details.backoff_ms),
            affinity=details.affinity,
            expires_ms=row.expires_ms,
        )

    def _fill(self, job: SharedJob, row: Taken | Record) -> None:
        """Begin an attempt of `job` here."""
        self.waiting.discard(job)
        if self._own(job.job_id) is job:
            self.spread.ended(job.sent_to)
            job.sent_to = ""
        elif row.prefer not in row.client.split(","):
            job.sent_to = row.prefer
        if job.state == DISPATCHED:  # it was answered here, and the store has not accepted that
            job.move(REDISPATCHED)
        job.attempt, job.redispatches, job.backoff_until_ms = row.attempt, row.lost, 0
        job.made = row.lost + 1
        self._held[job.job_id] = job
        self._audio_names[job.job_id] = audio_name_of(row.meta)

    def _drop(self, job_id: str) -> None:
        job = self._held.get(job_id)
        if job is not None:
            node = self.node_registry.nodes[job.node_id]
            node.link.send(CancelAttempt(job_id, job.attempt))
            self.intake.came_back(job)
            self._leave_node(job, node)
            self._wait_elsewhere(job)

    def _leave_node(self, job: SharedJob, node: Node) -> str:
        """No node here has `job` any more; return the name of its audio."""
        self._take_back(job, node)
        self._deadlines.clear(job)
        del self._held[job.job_id]
        return self._audio_names.pop(job.job_id)

    def _wait_elsewhere(self, job: SharedJob) -> None:
        """The job of a client here waits in the store, or runs elsewhere."""
        if self._own(job.job_id) is job:
            job.move(REDISPATCHED)
            self._set_deadline(job, job.expires_ms)
            self.waiting.add(job)

    # ---- what nodes answer

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        """Give up the present attempt of `job` on `node`; the store lets it wait, or fail when it was the last."""
        assert isinstance(job, SharedJob)
        attempt = job.attempt
        if reason not in ANSWERS:
            node.link.send(CancelAttempt(job.job_id, attempt))
        claim = self._claims.get((job.job_id, attempt))
        if claim is not None and claim.job is job:
            self._take_back(job, node)
            self._deadlines.clear(job)
            claim.then = lambda known, _: self._give_back(known, node.node_id, reason, counted, detail)
            return
        self.intake.came_back(job)
        self._leave_node(job, node)
        self._give_back(job, node.node_id, reason, counted, detail)
        self._observer.job_redispatched(job, node.node_id, attempt, reason)
        self._wait_elsewhere(job)

    def _give_back(self, job: SharedJob, node_id: str, reason: str, counted: bool, detail: str) -> None:
        now_ms, pause_ms, text = self._clock.now_ms(), 0, reason
        if counted:
            self._retries.count(job, reason, detail, now_ms)
            pause_ms = max(0, job.backoff_until_ms - now_ms)
            text = cleaned(f"the last of {job.redispatches} attempts, on {node_id}: {job.detail}")
        self.table.failed.note(job.job_id, node_id, now_ms + pause_ms)
        self.feed_of(job.job_id).give_back(job.job_id, job.attempt, text, counted, pause_ms, pays=reason == ERROR)

    def end(self, job: Job, state: str, reason: str = "", output: Any = None, detail: str = "") -> None:
        """The node of `job` has answered its attempt; the store decides whether that counts."""
        assert isinstance(job, SharedJob)
        node = self.node_registry.nodes[job.node_id]
        outcome = Outcome(reason, node.node_id, job.dispatched_ms, job.redispatches + 1, detail, output)
        letter = "c" if state == COMPLETED else "f"
        claim = self._claims.get((job.job_id, job.attempt))
        if claim is not None and claim.job is job:
            self._take_back(job, node)
            self._deadlines.clear(job)
            claim.then = lambda known, audio_name: self._finish(known, audio_name, letter, outcome)
            return
        intake = self.intake
        assert isinstance(intake, SharedIntake)
        intake.answered(job, reason not in CUT_SHORT)
        self._finish(job, self._leave_node(job, node), letter, outcome)
        job.node_id = node.node_id

    def _finish(self, job: SharedJob, audio_name: str, letter: str, outcome: Outcome) -> None:
        self.table.failed.forget(job.job_id)
        self.feed_of(job.job_id).finish(audio_name, job.job_id, job.attempt, letter, str(outcome))

    def job_due(self, job: Job) -> None:
        """The deadline of `job`, which a node here has, has come."""
        assert isinstance(job, SharedJob)
        node = self.node_registry.nodes[job.node_id]
        if job.expires_ms and job.expires_ms <= self._clock.now_ms():
            node.link.send(CancelAttempt(job.job_id, job.attempt))
            self.end(job, FAILED, EXPIRED)
        else:
            self.redispatch(job, node, TIMEOUT)
            self.node_registry.count_failure(node)

    # ---- nodes that come with running work

    def claim(self, node: Node, job_id: str, attempt: int) -> Job | None:
        """Ask the store for a job that `node` runs; until it answers, a job stands for it that knows its node only."""
        partition = partition_in(job_id, len(self.feeds))
        if partition is None or self._is_of_another(node, job_id, attempt):
            return None
        now_ms = self._clock.now_ms()
        job = SharedJob(job_id, "", "", "", 0, now_ms, None, 0, state=DISPATCHED, attempt=attempt)
        job.node_id, job.dispatched_ms, job.slot = node.node_id, now_ms, self.slots.new_name()
        self._set_deadline(job, now_ms + self._dispatch_ms)
        claim = self._claims[job_id, attempt] = Claim(job)
        self.feeds[partition].claim(job_id, attempt, claim)
        return job

    def _is_of_another(self, node: Node, job_id: str, attempt: int) -> bool:
        """Whether another node here has this attempt, or a claim for it. A node keeps its name, so it can't be its."""
        held, claim = self._held.get(job_id), self._claims.get((job_id, attempt))
        has_it = held is not None and held.attempt == attempt and held.node_id != node.node_id
        return has_it or (claim is not None and claim.job.node_id != node.node_id)

    def claimed(self, job_id: str, attempt: int, node: object, record: Record | None) -> None:
        """A claim was answered; without a record the attempt does not count any more."""
        claim = node
        assert isinstance(claim, Claim)
        if self._claims.get((job_id, attempt)) is not claim:
            return  # the node has come again since, and that claim decides
        del self._claims[job_id, attempt]
        stand_in = claim.job
        self._deadlines.clear(stand_in)
        there = None if claim.then is not None else self.node_registry.nodes[stand_in.node_id]
        if record is None or self.has(job_id, attempt + 1):
            if there is not None:
                there.link.send(CancelAttempt(job_id, attempt))
                self._take_back(stand_in, there)
            return
        self._drop(job_id)  # after lost writes another node here may make an earlier attempt
        job = self._own(job_id) or self._guest(job_id, record)
        if there is None:
            job.attempt, job.redispatches = attempt, record.lost
            assert claim.then is not None
            claim.then(job, audio_name_of(record.meta))
            return
        self._fill(job, record)
        job.slot = stand_in.slot
        job.move(DISPATCHED)
        job.node_id, job.dispatched_ms = there.node_id, stand_in.dispatched_ms
        there.reservations[job_id] = job
        self._set_deadline(job, stand_in.dispatched_ms + self._dispatch_ms)
        self.intake.started(job)
        if job.affinity:
            self.affinity.took(job.session_key, there.node_id)
