"""What the scripts that only read must answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.contract.jobs.job import OUTCOME_MAX, WAITS

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


def list_jobs(partition: Partition, args: list[str]) -> list[str]:
    """Return the answer of `list`."""
    newest, oldest = partition.counts["place"], partition.oldest_place
    last = min(int(args[0]) or newest, newest)
    first = max(oldest, last - int(args[1]) + 1)
    answer = [str(first - 1 if first > oldest else 0), str(partition.counts["open"] + len(partition.ended))]
    for place in range(last, first - 1, -1):
        job_id = partition.listed[place - oldest]
        job = partition.jobs.get(job_id)
        if job is None or job.place != place:
            continue
        if len(job.outcome) > OUTCOME_MAX:
            words = job.outcome.split("|", 4)
            is_whole = len(words) == 5 and words[2].isdecimal() and words[3].isdecimal()
            job = replace(job, outcome="|".join(words[:4]) + "|" if is_whole else "")
        answer += [job_id, job.text]
    return answer
