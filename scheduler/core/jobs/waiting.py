"""Jobs that have no node yet: a queue for each pool, and what is known of the room in it. Pure.

A pool here is a language pair with waiting jobs; it exists only as long as it has some.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.key_heap import push, take_least
from voxpool.scheduler.errors import Rejected


class Pool:
    """The waiting jobs of one pair in the order of their submits.

    `credit` bounds from above the slots that may be free for this pair: the store said "nobody" and since then so many
    may have appeared (infinite: not known). A job is put to the store only while there is credit, so that ten thousand
    waiting jobs cost nothing until a slot gets free.
    """

    __slots__ = ("asked", "credit", "granted", "in_flight", "jobs", "pair", "places", "said_nobody", "unsure")

    def __init__(self, pair: str) -> None:
        self.pair = pair
        self.credit = math.inf
        self.jobs: dict[int, Job] = {}
        """The jobs that wait, by their places."""
        self.places: list[int] = []
        """The heap of the keys of `jobs` (key_heap.py)."""
        self.in_flight = False
        self.asked = 0.0
        self.granted = 0
        self.said_nobody = False
        self.unsure = False


class SelectBatch:
    """Jobs that are put to select_node together; all their pools are in flight until `WaitingJobs.settle`."""

    __slots__ = ("jobs", "pools")

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.pools: dict[str, Pool] = {}

    def granted(self, job: Job) -> None:
        """The store granted a slot for `job`."""
        self.pools[job.pair].granted += 1

    def nobody(self, job: Job) -> None:
        """The store found no node with room for `job`."""
        self.pools[job.pair].said_nobody = True

    def unsure(self, job: Job) -> None:
        """Whether there is room for the pair of `job` is unknown: a void grant, or the throws ran out."""
        self.pools[job.pair].unsure = True


class WaitingJobs:
    """All waiting jobs. One that comes back has the place of its submit, so no newer one of its pair overtakes it.

    Past `waiting_max` jobs of a pair `check_room` refuses a new one; those that come back from a node are not refused,
    and up to one batch is with the store and not counted.
    """

    def __init__(self, waiting_max: float = math.inf, retry_after_ms: int = 1000) -> None:
        self.waiting_max = waiting_max
        self.retry_after_ms = retry_after_ms
        self._pools: dict[str, Pool] = {}
        self._ready: dict[str, Pool] = {}
        """Pools with waiting jobs and credit that aren't in flight, in the order in which they get their turn."""
        self.total = 0

    def __len__(self) -> int:
        return self.total

    def __repr__(self) -> str:
        return f"<waiting {self.total} jobs in {len(self._pools)} pools>"

    @property
    def ready(self) -> bool:
        """Whether `next_batch` would return jobs."""
        return bool(self._ready)

    def check_room(self, pair: str) -> None:
        """Raise Rejected if so many jobs of `pair` wait that a new one would wait too long."""
        pool = self._pools.get(pair)
        if pool is not None and len(pool.jobs) >= self.waiting_max:
            detail = f"{self.waiting_max} jobs of {pair} wait for a node, the most allowed"
            raise Rejected("waiting_max", detail, self.retry_after_ms)

    def counts(self) -> Iterator[tuple[str, int]]:
        """Yield (pair, waiting jobs); jobs in flight to the store count as waiting no longer."""
        for pool in self._pools.values():
            yield pool.pair, len(pool.jobs)

    def credits(self) -> Iterator[tuple[str, float]]:
        """Yield (pair, slots that may be free) of each pool with waiting jobs."""
        for pool in self._pools.values():
            yield pool.pair, pool.credit

    def add(self, job: Job) -> None:
        """Queue `job` at its place."""
        pool = self._pools.get(job.pair)
        if pool is None:
            pool = self._pools[job.pair] = Pool(job.pair)
        pool.jobs[job.place] = job
        push(pool.places, job.place, pool.jobs)
        job.queued = True
        self.total += 1
        self._update(pool)

    def discard(self, job: Job) -> None:
        """Note that `job` waits no longer; one that isn't queued is left alone."""
        if not job.queued:
            return
        job.queued = False
        pool = self._pools[job.pair]
        del pool.jobs[job.place]
        self.total -= 1
        self._update(pool)

    def room(self, pairs: Collection[str], slots: int) -> None:
        """Note that up to `slots` slots may have got free on a node that serves `pairs`."""
        pools = self._pools
        if not pools:
            return
        for pair in pairs:
            pool = pools.get(pair)
            if pool is not None:
                pool.credit += slots
                self._update(pool)

    def room_everywhere(self) -> None:
        """Note that nothing is known: any pool may have room."""
        for pool in list(self._pools.values()):
            pool.credit = math.inf
            self._update(pool)

    def next_batch(self, jobs_max: int) -> SelectBatch | None:
        """Take at most `jobs_max` jobs out of the ready pools, the oldest of each first; None if there are none."""
        if not self._ready:
            return None
        batch = SelectBatch()
        for pair in list(self._ready):
            room = jobs_max - len(batch.jobs)
            if room <= 0:
                break
            pool = self._ready.pop(pair)
            pool.in_flight = True
            batch.pools[pair] = pool
            for _ in range(int(min(room, len(pool.jobs), pool.credit))):
                job = take_least(pool.places, pool.jobs)
                job.queued = False
                batch.jobs.append(job)
                self.total -= 1
            pool.asked = pool.credit
            pool.credit = 0.0
            pool.granted = 0
            pool.said_nobody = pool.unsure = False
        if len(batch.pools) > 1:
            batch.jobs.sort(key=_place)
        return batch

    def settle(self, batch: SelectBatch) -> None:
        """Learn from the answer to `batch`; jobs without a node have been added again before.

        `credit` holds what came up while the batch was away. "Nobody" spoils only what was known before it: else a job
        would wait beside a node whose release crossed the answer (defects.md R21).
        """
        for pool in batch.pools.values():
            pool.in_flight = False
            if pool.unsure:
                pool.credit = math.inf
            elif not pool.said_nobody:
                pool.credit += pool.asked - pool.granted
            self._update(pool)

    def _update(self, pool: Pool) -> None:
        if pool.in_flight:
            return
        if not pool.jobs:
            self._ready.pop(pool.pair, None)
            self._pools.pop(pool.pair, None)
        elif pool.credit >= 1:
            self._ready.setdefault(pool.pair, pool)
        else:
            self._ready.pop(pool.pair, None)


def _place(job: Job) -> int:
    return job.place
