"""The waiting jobs in the order `fair`: for each pair a band for each priority (fair_band.py), and turns between pairs.

It has the credits and batches of WaitingJobs unchanged; only which job is next differs, and who may still wait. Pure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import count

from voxpool.scheduler.core.jobs.fair_band import Band, Taken
from voxpool.scheduler.core.jobs.job import Job, Share
from voxpool.scheduler.core.jobs.reasons import SHARE
from voxpool.scheduler.core.jobs.waiting import Place, SelectBatch, WaitingJobs, WaitQueue
from voxpool.scheduler.errors import Rejected


class FairQueue(WaitQueue):
    """The waiting jobs of one pair in bands, of which the one with the least priority number comes first.

    When nobody waits in a band all its keys are equal again, and nothing of it is kept.
    """

    __slots__ = ("_bands", "_numbers", "_starts", "_taken", "last_start")

    def __init__(self, pair: str, numbers: Iterator[int]) -> None:
        super().__init__(pair)
        self._bands: dict[int, Band] = {}
        self._taken: dict[int, Taken] = {}
        """The jobs that are with the store, by their sequence numbers."""
        self._starts = 0
        """Number of its jobs that started."""
        self._numbers = numbers
        self.last_start = 0
        """The number of the last start of its jobs, among those of all pairs."""

    @property
    def keys(self) -> int:
        """Number of keys that its bands know."""
        return sum(band.keys for band in self._bands.values())

    def own_and_taken(self, share: Share) -> tuple[int, int]:
        """Return how many jobs of the key wait, and how many of its and of higher priorities."""
        band = self._bands.get(share.priority)
        own = 0 if band is None else band.own(share.key)
        return own, sum(band.waiting for priority, band in self._bands.items() if priority <= share.priority)

    def before(self, share: Share) -> float:
        """Return about how many jobs would start before a new one with this share."""
        band = self._bands.get(share.priority)
        return self._higher(share) + (0 if band is None else band.before(share))

    def place(self, job: Job) -> Place:
        """Return where the queued `job` is."""
        share = share_of(job)
        keys_ahead, key_waiting = self._bands[share.priority].place(job, share)
        return Place(share.priority, self._higher(share), keys_ahead, key_waiting)

    def put(self, job: Job) -> None:
        """Queue `job`."""
        share = share_of(job)
        self.jobs[job.sequence] = job
        self._charge_back(job.sequence)
        band = self._bands.get(share.priority)
        if band is None:
            band = self._bands[share.priority] = Band()
        band.add(job, share, self._starts, self.in_flight)

    def remove(self, job: Job) -> None:
        """Forget a queued `job`."""
        share = share_of(job)
        del self.jobs[job.sequence]
        self._bands[share.priority].discard(job, share)
        self._drop_empty_bands()

    def take(self) -> Job:
        """Remove and return the next job; one must wait."""
        first = min(priority for priority, band in self._bands.items() if band.waiting)
        job, taken = self._bands[first].take()
        if taken is not None:
            self._taken[job.sequence] = taken
        del self.jobs[job.sequence]
        return job

    def started(self, job: Job) -> None:
        """The store allocated a slot for `job`."""
        super().started(job)
        if job.ended:
            return  # while the store looked; it never runs, and `settled` charges its key back
        self._starts += 1
        self.last_start = next(self._numbers)
        taken = self._taken.pop(job.sequence, None)
        if taken is not None:
            taken.band.started(taken, self._starts)

    def settled(self) -> None:
        """The store has answered for all jobs that were taken; those that are left have ended meanwhile."""
        for sequence in list(self._taken):
            self._charge_back(sequence)
        for band in self._bands.values():
            band.settle()
        self._drop_empty_bands()

    def charge(self, job: Job) -> None:
        """Let the key of `job`, which failed by itself, pay for the next attempt, if jobs of its band wait."""
        share = share_of(job)
        band = self._bands.get(share.priority)
        if band is not None:
            band.charge(share)

    def _higher(self, share: Share) -> int:
        return sum(band.waiting for priority, band in self._bands.items() if priority < share.priority)

    def _charge_back(self, sequence: int) -> None:
        taken = self._taken.pop(sequence, None)
        if taken is not None:
            taken.band.charge_back(taken)

    def _drop_empty_bands(self) -> None:
        if self.in_flight:
            return
        for priority in [priority for priority, band in self._bands.items() if not band.waiting]:
            del self._bands[priority]


class FairWaitingJobs(WaitingJobs):
    """All waiting jobs, fair between keys: the order `fair`."""

    is_fair = True

    def __init__(self, waiting_max: float = math.inf, retry_after_ms: int = 1000) -> None:
        super().__init__(waiting_max, retry_after_ms)
        self._numbers = count(1)

    def check_room(self, pair: str, share: Share | None) -> None:
        """Raise Rejected if the key has its part of the room already.

        That is its weight times the room that is left, a dynamic threshold (A. K. Choudhury and E. L. Hahne, 1998):
        keys that wait much leave room for others. What waits with a lower priority takes none of it.
        """
        queue = self._queues.get(pair)
        if not isinstance(queue, FairQueue) or share is None or not share.key:
            return super().check_room(pair, share)
        own, taken = queue.own_and_taken(share)
        if own >= share.weight * (self.waiting_max - taken):
            detail = f"{own} jobs of this key wait for {pair}, its part of waiting_max = {self.waiting_max}"
            raise Rejected(SHARE, detail, self.retry_after_ms)

    def before(self, pair: str, share: Share) -> float:
        """Return about how many waiting jobs of `pair` would start before a new one with this share."""
        queue = self._queues.get(pair)
        return queue.before(share) if isinstance(queue, FairQueue) else 0

    def place(self, job: Job) -> Place | None:
        """Return where `job` waits; None unless it does."""
        queue = self._queues.get(job.pair)
        return queue.place(job) if job.queued and isinstance(queue, FairQueue) else None

    def charge(self, job: Job) -> None:
        """Charge the key of `job`, which failed by itself and waits again, for its next attempt."""
        queue = self._queues.get(job.pair)
        if isinstance(queue, FairQueue):
            queue.charge(job)

    def _new_queue(self, pair: str) -> WaitQueue:
        return FairQueue(pair, self._numbers)

    def _arrange(self, batch: SelectBatch) -> None:
        """Let the pairs of a batch take turns inside a priority, as they may share nodes.

        When all jobs are of one key they stay in the order of their submits.
        """
        if len({share_of(job)[:2] for job in batch.jobs}) == 1:
            super()._arrange(batch)
            return
        turns: Counter[tuple[str, int]] = Counter()
        ranks: dict[int, tuple[int, int, int, int]] = {}
        for job in batch.jobs:
            priority = share_of(job).priority
            turn = turns[job.pair, priority] = turns[job.pair, priority] + 1
            queue = batch.queues[job.pair]
            assert isinstance(queue, FairQueue)
            ranks[job.sequence] = (priority, turn, queue.last_start, job.sequence)
        batch.jobs.sort(key=lambda job: ranks[job.sequence])


def share_of(job: Job) -> Share:
    """Return the share of a job that was submitted under the order `fair`."""
    assert job.share is not None, job
    return job.share


__all__ = ["FairQueue", "FairWaitingJobs"]
