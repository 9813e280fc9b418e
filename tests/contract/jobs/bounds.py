"""The bounds on a submit: what leaves no room for one more job of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.jobs.job import FINAL
from voxpool.scheduler.shared.partition.calls import COST

if TYPE_CHECKING:
    from tests.contract.jobs.partition import Partition


def waiting_bound(partition: Partition, pair: str, turn: str, waiting_max: int) -> str:
    """Return the bound on waiting jobs that leaves no room for one more; "" when there is room."""
    waiting = partition.waiting_jobs(pair)
    if not turn or turn.endswith(".*"):
        return "waiting_max" if len(waiting) >= waiting_max else ""
    priority, cost, key = turn.split(".", 2)
    left = waiting_max - sum(job.flow[1] <= priority for job in waiting)
    own = sum(job.flow == (pair, priority, key) for job in waiting)
    return "share" if own * int(cost) >= COST * left else ""


def owned(partition: Partition, key: str) -> tuple[int, int]:
    """Return the unfinished jobs of a key and their audio."""
    own = [job for job in partition.jobs.values() if job.state not in FINAL and job.key == key]
    return len(own), sum(job.bytes for job in own)


def has_its_part(partition: Partition, turn: str, size: int, room: tuple[int, int], elsewhere: str) -> bool:
    """Return whether the key of `turn` has its part of the unfinished jobs, or of their audio; `room` is for all."""
    _, cost, key = turn.split(".", 2) if turn else ("", "", "*")
    if key == "*":
        return False
    jobs, audio = owned(partition, key)
    for other, its_jobs, its_audio in (row.split("|") for row in elsewhere.split()):
        if other == key:
            jobs, audio = jobs + int(its_jobs), audio + int(its_audio)
    left = room[0] - partition.counts["open"], room[1] - partition.counts["bytes"]
    return jobs > 0 and (jobs * int(cost) >= COST * left[0] or (audio + size) * int(cost) > COST * left[1])
