"""Waiters for results: each is notified once, and no entry outlives the job or the waiter."""

from __future__ import annotations

import asyncio

import pytest

from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.web.sessions.results import Results, Watcher


class Client(Watcher):
    """Records its notifications."""

    def __init__(self) -> None:
        self.reported: list[str] = []

    def job_ended(self, job: Job) -> None:
        self.reported.append(job.job_id)


def job(job_id: str = "j-1") -> Job:
    """A job that waits."""
    return Job(job_id, f"r-{job_id}", "", "a:b", 1, 0, b"", 0)


def ended(one: Job, results: Results) -> None:
    """End `one` as the dispatcher does."""
    one.state = COMPLETED
    results.job_ended(one)


def test_all_watchers_of_a_job_are_notified_once() -> None:
    results, first, second, one = Results(10, 1000), Client(), Client(), job()
    for client in (first, second, second):
        results.watch(one, client)
    assert len(results) == 2
    ended(one, results)
    assert (first.reported, second.reported, len(results)) == (["j-1"], ["j-1"], 0)


def test_a_watcher_after_the_end_is_notified_at_once() -> None:
    results, client, one = Results(10, 1000), Client(), job()
    ended(one, results)
    results.watch(one, client)
    assert (client.reported, len(results)) == (["j-1"], 0)


def test_a_removed_watcher_is_not_notified() -> None:
    results, gone, stays, one = Results(10, 1000), Client(), Client(), job()
    results.watch(one, gone)
    results.watch(one, stays)
    results.unwatch("j-1", gone)
    results.unwatch("j-1", gone)
    results.unwatch("never-heard-of", gone)
    ended(one, results)
    assert (gone.reported, stays.reported, len(results)) == ([], ["j-1"], 0)


async def test_a_wait_ends_with_the_job() -> None:
    results, one = Results(10, 1000), job()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(results.wait(one, 60, never))
    await asyncio.sleep(0)
    assert len(results) == 1
    ended(one, results)
    await waiting
    assert len(results) == 0


@pytest.mark.parametrize("how", ["time", "gone", "release", "cancelled"])
async def test_an_aborted_wait_leaves_nothing_behind(how: str) -> None:
    results, one = Results(10, 1000), job()
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(results.wait(one, 0.01 if how == "time" else 60, gone))
    await asyncio.sleep(0)
    if how == "gone":
        gone.set_result(None)
    elif how == "release":
        results.release()
    elif how == "cancelled":
        waiting.cancel()
    await asyncio.wait([waiting])
    assert len(results) == 0 and not one.ended


async def test_the_number_of_waiters_has_a_bound() -> None:
    results, client = Results(2, 1500), Client()
    results.watch(job("a"), client)
    results.watch(job("b"), client)
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(Rejected) as rejected:
        await results.wait(job("c"), 60, never)
    assert (rejected.value.reason, rejected.value.retry_after_ms) == ("result_waiters_max", 1500)


async def test_who_need_not_wait_needs_no_room() -> None:
    """A job that has ended, and a client that asks without waiting."""
    results, one = Results(0, 1500), job()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    await results.wait(one, 0, never)
    ended(one, results)
    await results.wait(one, 60, never)
    assert len(results) == 0
