"""Jobs that have no node yet: a queue for each language pair, and how many slots may be free for it. Pure.

A queue exists only as long as jobs of its pair wait.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import msgspec

from voxpool.scheduler.core.clock import push, take_least
from voxpool.scheduler.core.jobs.job import Job, Share
from voxpool.scheduler.errors import Rejected


class WaitQueue:
    """The waiting jobs of one pair in the order of their submits.

    `credit` is the upper bound of the slots that may be free for this pair: those that have appeared since the store
    last found no node (infinite: not known). A job is put to the store only while there is credit, so that ten thousand
    waiting jobs cost nothing until a slot gets free.
    """

    __slots__ = ("allocated", "asked", "credit", "in_flight", "jobs", "pair", "said_nobody", "sequences", "unsure")

    def __init__(self, pair: str) -> None:
        self.pair = pair
        self.credit = math.inf
        self.jobs: dict[int, Job] = {}
        """The jobs that wait, by their sequence numbers."""
        self.sequences: list[int] = []
        """The heap of the keys of `jobs` (clock.py)."""
        self.in_flight = False
        self.asked = 0.0
        self.allocated = 0
        self.said_nobody = False
        self.unsure = False

    def put(self, job: Job) -> None:
        """Queue `job` in the order of submits."""
        self.jobs[job.sequence] = job
        push(self.sequences, job.sequence, self.jobs)

    def remove(self, job: Job) -> None:
        """Forget a queued `job`."""
        del self.jobs[job.sequence]

    def take(self) -> Job:
        """Remove and return the next job; one must wait."""
        return take_least(self.sequences, self.jobs)

    def started(self, job: Job) -> None:
        """The store allocated a slot for `job`, which was taken."""
        self.allocated += 1

    def settled(self) -> None:
        """The store has answered for all jobs that were taken."""


class Place(msgspec.Struct):
    """Where a job waits in the order `fair`, at one moment."""

    priority: int
    higher_waiting: int
    """Waiting jobs of its pair with a higher priority, which come first."""
    keys_ahead: int
    """Keys of its pair and priority whose turn is before the next one of its key."""
    key_waiting: int
    """Waiting jobs of its key, itself included; they start in the order of their submits."""


class Standing(msgspec.Struct):
    """What Redis, which has the jobs of several schedulers, has of a job at one moment."""

    state: str
    """waits, pauses (after a failed attempt), runs or ended; unknown while Redis does not answer."""
    scheduler: str = ""
    """The instance (log event scheduler_started) that runs it, or ran its last attempt; empty while none does."""
    ahead: int | None = None
    """Jobs that come before it: of its pair, or of its key where the order is fair. Null unless it waits."""
    waits_until_ms: int = 0
    """When it fails as waiting_timeout unless a node takes it before; 0 unless it waits."""


class SelectBatch:
    """Jobs that are put to select_node together; their queues are in flight until `WaitingJobs.settle`."""

    __slots__ = ("jobs", "queues")

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.queues: dict[str, WaitQueue] = {}

    def allocated(self, job: Job) -> None:
        """The store allocated a slot for `job`."""
        self.queues[job.pair].started(job)

    def nobody(self, job: Job) -> None:
        """The store found no node with room for `job`."""
        self.queues[job.pair].said_nobody = True

    def unsure(self, job: Job) -> None:
        """Whether there is room for the pair of `job` is unknown: a stale allocation, or removals_max was reached."""
        self.queues[job.pair].unsure = True


class WaitingJobs:
    """All waiting jobs, in the order of their submits.

    One that comes back keeps its sequence number, so no newer one of its pair overtakes it.

    Past `waiting_max` jobs of a pair `check_room` refuses a new one; those that come back from a node are never
    refused, and the batch in flight to the store is not counted.
    """

    is_fair = False
    """Whether the order goes by the shares of the jobs (fair.py)."""

    def __init__(self, waiting_max: float = math.inf, retry_after_ms: int = 1000) -> None:
        self.waiting_max = waiting_max
        self.retry_after_ms = retry_after_ms
        self._queues: dict[str, WaitQueue] = {}
        self._ready: dict[str, WaitQueue] = {}
        """Queues with waiting jobs and credit that aren't in flight, in the order in which they get their turn."""
        self.total = 0

    def __len__(self) -> int:
        return self.total

    def __repr__(self) -> str:
        return f"<waiting {self.total} jobs in {len(self._queues)} queues>"

    @property
    def ready(self) -> bool:
        """Whether `next_batch` would return jobs."""
        return bool(self._ready)

    def check_room(self, pair: str, share: Share | None) -> None:
        """Raise Rejected if no further job of `pair` may wait: `waiting_max` do already."""
        queue = self._queues.get(pair)
        if queue is not None and len(queue.jobs) >= self.waiting_max:
            detail = f"{self.waiting_max} jobs of {pair} wait for a node, the most allowed"
            raise Rejected("waiting_max", detail, self.retry_after_ms)

    def counts(self) -> Iterator[tuple[str, int]]:
        """Yield (pair, waiting jobs); jobs in flight to the store do not count."""
        for queue in self._queues.values():
            yield queue.pair, len(queue.jobs)

    def jobs(self) -> Iterator[list[Job]]:
        """Yield the waiting jobs of each of the present pairs; its list is made when it is reached.

        A caller that lets other work run in between must leave out jobs that are not `queued` any more.
        """
        for queue in list(self._queues.values()):
            yield list(queue.jobs.values())

    def credits(self) -> Iterator[tuple[str, float]]:
        """Yield (pair, slots that may be free) of each queue with waiting jobs."""
        for queue in self._queues.values():
            yield queue.pair, queue.credit

    def may_start(self, job: Job) -> bool:
        """Return whether a slot may be free for the waiting `job`, or the store is looking for one."""
        queue = self._queues.get(job.pair)
        return queue is None or not job.queued or queue.in_flight or queue.credit >= 1

    def add(self, job: Job) -> None:
        """Queue `job`."""
        queue = self._queues.get(job.pair)
        if queue is None:
            queue = self._queues[job.pair] = self._new_queue(job.pair)
        queue.put(job)
        job.queued = True
        self.total += 1
        self._update(queue)

    def discard(self, job: Job) -> None:
        """Note that `job` waits no longer; one that isn't queued is left alone."""
        if not job.queued:
            return
        job.queued = False
        queue = self._queues[job.pair]
        queue.remove(job)
        self.total -= 1
        self._update(queue)

    def room(self, pairs: Collection[str], slots: int) -> None:
        """Note that up to `slots` slots may have got free on a node that serves `pairs`."""
        queues = self._queues
        if not queues:
            return
        for pair in pairs:
            queue = queues.get(pair)
            if queue is not None:
                queue.credit += slots
                self._update(queue)

    def room_everywhere(self) -> None:
        """Note that nothing is known: any queue may have room."""
        for queue in list(self._queues.values()):
            queue.credit = math.inf
            self._update(queue)

    def next_batch(self, jobs_max: int) -> SelectBatch | None:
        """Take at most `jobs_max` jobs out of the ready queues, the oldest of each first; None if there are none."""
        if not self._ready:
            return None
        batch = SelectBatch()
        for pair in list(self._ready):
            room = jobs_max - len(batch.jobs)
            if room <= 0:
                break
            queue = self._ready.pop(pair)
            queue.in_flight = True
            batch.queues[pair] = queue
            for _ in range(int(min(room, len(queue.jobs), queue.credit))):
                job = queue.take()
                job.queued = False
                batch.jobs.append(job)
                self.total -= 1
            queue.asked = queue.credit
            queue.credit = 0.0
            queue.allocated = 0
            queue.said_nobody = queue.unsure = False
        if len(batch.queues) > 1:
            self._arrange(batch)
        return batch

    def settle(self, batch: SelectBatch) -> None:
        """Learn from the answer to `batch`; jobs without a node have been added again before.

        `credit` has the slots that appeared while the batch was on its way. An answer "nobody" invalidates only what
        was known before the batch: otherwise a job would wait beside a node whose release crossed the answer.
        """
        for queue in batch.queues.values():
            queue.in_flight = False
            queue.settled()
            if queue.unsure:
                queue.credit = math.inf
            elif not queue.said_nobody:
                queue.credit += queue.asked - queue.allocated
            self._update(queue)

    def before(self, pair: str, share: Share) -> float:
        """Return about how many waiting jobs of `pair` would start before a new one with this share."""
        queue = self._queues.get(pair)
        return 0 if queue is None else len(queue.jobs)

    def place(self, job: Job) -> Place | None:
        """Return where `job` waits; None unless it does, and the order is `fair`."""
        return None

    def charge(self, job: Job) -> None:
        """Note that `job` failed by itself, and waits for another attempt."""

    def _new_queue(self, pair: str) -> WaitQueue:
        return WaitQueue(pair)

    def _arrange(self, batch: SelectBatch) -> None:
        """Order the jobs of a batch of several pairs."""
        batch.jobs.sort(key=_sequence)

    def _update(self, queue: WaitQueue) -> None:
        if queue.in_flight:
            return
        if not queue.jobs:
            self._ready.pop(queue.pair, None)
            self._queues.pop(queue.pair, None)
        elif queue.credit >= 1:
            self._ready.setdefault(queue.pair, queue)
        else:
            self._ready.pop(queue.pair, None)


def _sequence(job: Job) -> int:
    return job.sequence
