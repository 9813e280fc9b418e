"""Pages through all jobs, newest first, without an index of its own: by the sequence numbers of the submits.

Each call looks at a bounded number of them, so that a page can't block the loop, however sparse the jobs are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, DISPATCHED, FAILED, WAITING, Job
from voxpool.scheduler.errors import BadInput

LOOKS_MAX = 5_000
"""Sequence numbers that one call looks at; a few ms."""
STATES = (WAITING, DISPATCHED, COMPLETED, FAILED, CANCELLED)
NUMBER = "[0-9]{1,16}"
"""A number in a cursor."""


class Page(NamedTuple):
    """Some jobs, newest first; `cursor` is where the next page begins, None when there are no older jobs.

    `total` is the number of all jobs (of the owner who asks), None when it is not known.
    """

    jobs: list[Job]
    cursor: str | None
    total: int | None


class Lists(Protocol):
    """All jobs that are kept."""

    async def page(self, limit: int, state: str = "", cursor: str | None = None, owner: str | None = None) -> Page:
        """Return at most `limit` jobs from `cursor` on (None = the newest), of `state` and `owner` if given.

        A page may hold fewer jobs than `limit`, even none, and still have a cursor: then its looks ran out.
        Raises BadInput (bad_cursor), and Rejected when the jobs are elsewhere and can't be read now.
        """
        ...


def number_of(cursor: str) -> int:
    """Return the number in a cursor. Raises BadInput: it is none."""
    if not re.fullmatch(NUMBER, cursor):
        raise BadInput("bad_cursor", f"cursor={cursor[:80]!r}: next_cursor of the page before")
    return int(cursor)


class JobList:
    """Implements Lists. `find` returns the job of a sequence number (1 = the first submit), or None.

    `newest` returns the last number, `count` the jobs of an owner, or all (None).
    """

    def __init__(
        self, find: Callable[[int], Job | None], newest: Callable[[], int], count: Callable[[str | None], int]
    ) -> None:
        self._find = find
        self._newest = newest
        self._count = count
        self._oldest = 1
        """No job is left below this sequence number."""

    async def page(self, limit: int, state: str = "", cursor: str | None = None, owner: str | None = None) -> Page:
        """Return a page; the cursor is a sequence number."""
        self._skip_forgotten()
        jobs: list[Job] = []
        sequence = self._newest() if cursor is None else min(number_of(cursor), self._newest())
        last = max(self._oldest, sequence - LOOKS_MAX + 1)
        while sequence >= last and len(jobs) < limit:
            job = self._find(sequence)
            if job is not None and (not state or job.state == state) and (owner is None or job.owner == owner):
                jobs.append(job)
            sequence -= 1
        return Page(jobs, str(sequence) if sequence >= self._oldest else None, self._count(owner))

    def _skip_forgotten(self) -> None:
        newest = self._newest()
        for _ in range(LOOKS_MAX):
            if self._oldest > newest or self._find(self._oldest) is not None:
                return
            self._oldest += 1
