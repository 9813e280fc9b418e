"""Pages through all jobs, newest first, without an index of its own: places count up with the submits.

Each call looks at a bounded number of places, so that a page can't hold the loop, however sparse the jobs are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, DISPATCHED, FAILED, WAITING, Job

LOOKS_MAX = 5_000
"""Places that one call looks at; a few ms."""
STATES = (WAITING, DISPATCHED, COMPLETED, FAILED, CANCELLED)


class Page(NamedTuple):
    """Some jobs, newest first; `cursor` is where the next page begins, None when there are no older jobs."""

    jobs: list[Job]
    cursor: int | None


class JobList:
    """`find` returns the job of a sequence number (1 = the first submit), or None; `newest` returns the last number."""

    def __init__(self, find: Callable[[int], Job | None], newest: Callable[[], int]) -> None:
        self._find = find
        self._newest = newest
        self._oldest = 1
        """No job is left below this sequence number."""

    def page(self, limit: int, state: str = "", cursor: int | None = None, owner: str | None = None) -> Page:
        """Return at most `limit` jobs from `cursor` (a sequence number) down, of `state` and `owner` if given.

        A page may hold fewer jobs than `limit`, even none, and still have a cursor: then its looks ran out.
        """
        self._skip_forgotten()
        jobs: list[Job] = []
        sequence = self._newest() if cursor is None else min(cursor, self._newest())
        last = max(self._oldest, sequence - LOOKS_MAX + 1)
        while sequence >= last and len(jobs) < limit:
            job = self._find(sequence)
            if job is not None and (not state or job.state == state) and (owner is None or job.owner == owner):
                jobs.append(job)
            sequence -= 1
        return Page(jobs, sequence if sequence >= self._oldest else None)

    def _skip_forgotten(self) -> None:
        newest = self._newest()
        for _ in range(LOOKS_MAX):
            if self._oldest > newest or self._find(self._oldest) is not None:
                return
            self._oldest += 1
