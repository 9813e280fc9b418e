"""What the scripts that only read must answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.jobs.job import WAITS

if TYPE_CHECKING:
    from tests.contract.jobs.partition import Partition


def find(partition: Partition, args: list[str]) -> list[str]:
    """Return the answer of `find`."""
    return [partition.jobs[job_id].text if job_id in partition.jobs else "" for job_id in args]


def place(partition: Partition, args: list[str]) -> list[str]:
    """Return the answer of `place`."""
    job = partition.jobs.get(args[0])
    if job is None or job.state != WAITS:
        return [job.text if job else ""]
    others = partition.waiting_jobs(job.pair)
    line = [other.place for other in others if other.line == job.line]
    before = sum(other < job.place for other in line)
    higher, keys = partition.turns.before(job, others) if job.turn else (0, 0)
    return [job.text, *map(str, (before, len(line), higher, keys))]
