"""The list of jobs: newest first, in pages, with forgotten jobs in between."""

import asyncio

import pytest

from tests.unit.fakes import complete, make_job
from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.jobs.job_list import LOOKS_MAX, JobList
from voxpool.scheduler.errors import BadInput


class Jobs:
    """Jobs by sequence, some of which are forgotten."""

    def __init__(self, count: int) -> None:
        self.by_sequence = {sequence: make_job(sequence) for sequence in range(1, count + 1)}
        self.newest = count
        self.looks = 0
        self.list = JobList(self.find, lambda: self.newest, lambda owner: len(self.by_sequence))

    def find(self, sequence: int) -> Job | None:
        self.looks += 1
        return self.by_sequence.get(sequence)

    def sequences(self, limit: int, state: str = "", cursor: int | None = None) -> tuple[list[int], int | None]:
        page = asyncio.run(self.list.page(limit, state, None if cursor is None else str(cursor)))
        assert page.total == len(self.by_sequence)
        return [job.sequence for job in page.jobs], None if page.cursor is None else int(page.cursor)

    def all_places(self, limit: int, state: str = "") -> list[int]:
        found, cursor = self.sequences(limit, state)
        while cursor is not None:
            more, cursor = self.sequences(limit, state, cursor)
            found += more
        return found


def test_pages_hold_all_jobs_newest_first() -> None:
    jobs = Jobs(10)
    assert jobs.sequences(4) == ([10, 9, 8, 7], 6)
    assert jobs.all_places(4) == list(range(10, 0, -1))


def test_without_jobs_there_is_one_empty_page() -> None:
    assert Jobs(0).sequences(5) == ([], None)


def test_forgotten_jobs_are_skipped_and_end_the_list() -> None:
    jobs = Jobs(10)
    for sequence in (1, 2, 3, 5, 8):
        del jobs.by_sequence[sequence]
    assert jobs.sequences(100) == ([10, 9, 7, 6, 4], None)


def test_a_state_filters_the_list() -> None:
    jobs = Jobs(6)
    complete(jobs.by_sequence[2], 1)
    complete(jobs.by_sequence[5], 1)
    assert jobs.all_places(1, COMPLETED) == [5, 2]


def test_a_page_checks_a_bounded_number_of_positions() -> None:
    jobs = Jobs(4 * LOOKS_MAX)
    complete(jobs.by_sequence[1], 1)
    found, cursor = jobs.sequences(5, COMPLETED)
    assert (found, cursor) == ([], 3 * LOOKS_MAX) and jobs.looks <= LOOKS_MAX + 1
    assert jobs.all_places(5, COMPLETED) == [1]


def test_jobs_forgotten_long_ago_are_checked_once() -> None:
    jobs = Jobs(3 * LOOKS_MAX)
    for sequence in range(1, 3 * LOOKS_MAX - 5):
        del jobs.by_sequence[sequence]
    for _ in range(5):
        jobs.sequences(100)
    jobs.looks = 0
    assert jobs.sequences(100)[1] is None and jobs.looks < 20


def test_a_cursor_from_the_future_is_the_newest_job() -> None:
    assert Jobs(3).sequences(2, cursor=99) == ([3, 2], 1)


@pytest.mark.parametrize("cursor", ["", "x", "1.2", "-1", "9" * 17, "\u0661"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadInput, match="next_cursor of the page before"):
        asyncio.run(Jobs(3).list.page(2, cursor=cursor))
