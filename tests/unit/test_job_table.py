"""The job table: it is bounded, and nothing of a removed job is left."""

import gc

import pytest

from tests.unit.fakes import complete, make_job
from voxpool.scheduler.core.jobs.job_table import BLOCK, JobTable
from voxpool.scheduler.errors import Rejected


def table_of(jobs_max: int = 10_000, audio_total_bytes_max: int = 10**9, finished_max: int = 0) -> JobTable:
    return JobTable(jobs_max, audio_total_bytes_max, finished_max, retry_after_ms=1000)


def finished_table(jobs: int, **bounds: int) -> JobTable:
    table = table_of(**bounds)
    for sequence in range(jobs):
        job = make_job(sequence)
        table.add(job)
        table.finish(complete(job, now_ms=sequence))
    return table


def test_a_job_is_found_by_its_id_and_by_its_request() -> None:
    table = table_of()
    job = make_job(1)
    table.add(job)
    assert table.find("j-1") is job and table.find_request("r-1") is job
    assert table.find("r-1") is None


def test_the_jobs_of_a_token_are_counted_until_they_are_removed() -> None:
    table = table_of()
    jobs = [make_job(sequence) for sequence in range(3)]
    for job, owner in zip(jobs, ("ann", "ann", ""), strict=True):
        job.owner = owner
        table.add(job)
    assert (table.count_of("ann"), table.count_of("bob")) == (2, 0)
    for left, job in zip((1, 0, 0), jobs, strict=True):
        table.finish(complete(job, now_ms=1))
        assert table.remove_ended_before(2) is job and table.count_of("ann") == left


def test_unfinished_jobs_beyond_the_limit_are_rejected_with_a_time_to_retry() -> None:
    table = table_of(jobs_max=1)
    job = make_job(1)
    table.add(job)
    with pytest.raises(Rejected) as refused:
        table.check_room(5)
    assert (refused.value.reason, refused.value.retry_after_ms) == ("jobs_max", 1000)
    table.finish(complete(job, 10))
    table.check_room(5)


def test_audio_beyond_the_limit_is_rejected_and_freed_audio_makes_room() -> None:
    table = table_of(audio_total_bytes_max=8)
    job = make_job(1, audio=b"12345")
    table.add(job)
    with pytest.raises(Rejected) as refused:
        table.check_room(4)
    assert refused.value.reason == "audio_total_bytes_max"
    table.finish(complete(job, 10))
    assert job.audio is None and job.audio_bytes == 5 and table.audio_bytes == 0
    table.check_room(8)


def test_finished_jobs_are_removed_in_the_order_of_their_end() -> None:
    jobs = 2 * BLOCK + 7
    table = finished_table(jobs)
    removed = []
    while (job := table.remove_ended_before(jobs + 1)) is not None:
        removed.append(job.sequence)
    assert removed == list(range(jobs))
    assert len(table) == 0 and table.find("j-3") is None and table.find_request("r-3") is None


def test_a_job_that_ended_exactly_at_the_bound_stays() -> None:
    table = finished_table(3)
    assert table.remove_ended_before(0) is None
    first = table.remove_ended_before(1)
    assert first is not None and first.sequence == 0
    assert table.remove_ended_before(1) is None


def test_past_finished_max_the_oldest_is_removed_and_counted() -> None:
    table = finished_table(10, finished_max=4)
    assert (table.finished, table.evicted) == (4, 6)
    assert table.find("j-5") is None and table.find("j-6") is not None


def test_removals_and_new_ends_may_alternate() -> None:
    table = table_of()
    removed = []
    for sequence in range(3 * BLOCK):
        job = make_job(sequence)
        table.add(job)
        table.finish(complete(job, now_ms=sequence))
        if sequence % 3:
            gone = table.remove_ended_before(sequence + 1)
            assert gone is not None
            removed.append(gone.sequence)
    assert removed == list(range(2 * BLOCK)) and table.finished == BLOCK


def test_the_collector_does_not_visit_finished_jobs() -> None:
    table = finished_table(2 * BLOCK)
    job = table.find("j-1")
    assert job is not None and not gc.is_tracked(job)
    assert not any(gc.is_tracked(block) for block in table._sealed)
