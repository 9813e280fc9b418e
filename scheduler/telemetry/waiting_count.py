"""Counts the waiting jobs by pair, priority and key, when it is asked to. Nothing is kept between two counts.

In the order of submits all jobs have the default priority, and the key of a job is the token that submitted it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator

import msgspec

from voxpool.scheduler.config import PRIORITY, PRIORITY_MAX
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import Job

JOBS_A_TURN = 500
"""Jobs that are looked at before other work gets its turn; about a millisecond."""


class WaitingCount(msgspec.Struct):
    """The waiting jobs of one moment; jobs that the store looks for a node for at that moment are not among them."""

    jobs: Counter[tuple[str, int]]
    """By (pair, priority)."""
    keys: Counter[str]
    """By key; a key of a gateway is token/key."""
    since_ms: dict[int, int]
    """Priority -> when the oldest of its jobs began to wait."""

    @property
    def total(self) -> int:
        """Number of waiting jobs."""
        return self.jobs.total()

    @property
    def largest_part(self) -> float:
        """The part of the waiting jobs that are of the key with most of them, 0 to 1."""
        return max(self.keys.values(), default=0) / max(1, self.total)

    def by_priority(self) -> Counter[int]:
        """Return the number of jobs of each priority that has some."""
        found: Counter[int] = Counter()
        for (_, priority), jobs in self.jobs.items():
            found[priority] += jobs
        return found


def priorities(core: Core) -> tuple[int, ...]:
    """Return the priorities that waiting jobs of `core` can have."""
    return tuple(range(1, PRIORITY_MAX + 1)) if core.waiting.is_fair else (PRIORITY,)


async def count_waiting(core: Core) -> WaitingCount:
    """Count the waiting jobs of `core`, in turns with other work."""
    found = WaitingCount(Counter(), Counter(), {})
    by_pair, by_key, since_ms = found.jobs, found.keys, found.since_ms
    for some in _turns(core):
        for job in some:
            if not job.queued:
                continue
            priority, key = _priority_and_key(job)
            place = (job.pair, priority)
            by_pair[place] = by_pair.get(place, 0) + 1
            by_key[key] = by_key.get(key, 0) + 1
            since_ms[priority] = min(since_ms.get(priority, job.waits_from_ms), job.waits_from_ms)
        await asyncio.sleep(0)
    return found


async def count_priorities(core: Core, keys: Collection[str]) -> dict[str, Counter[int]]:
    """Count the waiting jobs of each of `keys` by priority, in turns with other work."""
    found: dict[str, Counter[int]] = {key: Counter() for key in keys}
    for some in _turns(core):
        for job in some:
            if job.queued:
                priority, key = _priority_and_key(job)
                if key in found:
                    found[key][priority] += 1
        await asyncio.sleep(0)
    return found


def _turns(core: Core) -> Iterator[list[Job]]:
    """Yield the waiting jobs, some at a time; the lists of a pair are made when it is reached."""
    some: list[Job] = []
    for jobs in core.waiting.jobs():
        for first in range(0, len(jobs), JOBS_A_TURN):
            some += jobs[first : first + JOBS_A_TURN]
            if len(some) >= JOBS_A_TURN:
                yield some
                some = []
    yield some


def _priority_and_key(job: Job) -> tuple[int, str]:
    share = job.share
    return (PRIORITY, job.owner) if share is None else (share.priority, share.key)
