"""Finished jobs are forgotten after their time: at each interval, in slices, none too early."""

from __future__ import annotations

import asyncio

import msgspec

from tests.unit.fakes import HandClock, complete, make_job
from tests.unit.virtual import virtual
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.retention import Retention
from voxpool.scheduler.core.seams import Observer


class Seen(Observer):
    """Records the reports of the role."""

    def __init__(self) -> None:
        self.removed: list[str] = []
        self.sweeps: list[tuple[float, int]] = []
        """Times, in seconds of the loop, and numbers of jobs."""
        self.lasted_ms: list[float] = []

    def job_removed(self, job: Job) -> None:
        self.removed.append(job.job_id)

    def swept(self, removed: int, lasts_ms: float) -> None:
        self.sweeps.append((asyncio.get_running_loop().time(), removed))
        self.lasted_ms.append(lasts_ms)


class Kept:
    """A table with jobs that ended at the given times, and its role."""

    def __init__(self, *ended_ms: int, **settings: float) -> None:
        self.settings = msgspec.convert({"retention_s": 60.0, "cleanup_interval_s": 10.0, **settings}, Settings)
        self.clock, self.seen = HandClock(), Seen()
        self.table = JobTable(1000, 10**9, 0, retry_after_ms=1000)
        for number, when_ms in enumerate(ended_ms, 1):
            job = make_job(number)
            self.table.add(job)
            self.table.finish(complete(job, when_ms))
        self.role = Retention(self.settings, self.clock, self.table, self.seen)


def test_a_job_is_kept_for_its_retention_and_no_longer() -> None:
    kept = Kept(1000, 1001)
    kept.clock.ms = 61_000
    assert kept.role.run_once() == 0
    kept.clock.ms = 61_001
    assert kept.role.run_once() == 1 and kept.seen.removed == ["j-1"]
    kept.clock.ms = 61_002
    assert kept.role.run_once() == 1 and kept.seen.removed == ["j-1", "j-2"]
    assert kept.role.removed == 2


def test_one_call_removes_a_slice_at_most() -> None:
    kept = Kept(*range(1, 8), sweep_slice=3)
    kept.clock.ms = 1_000_000
    assert [kept.role.run_once() for _ in range(4)] == [3, 3, 1, 0]
    assert kept.role.removed == 7


@virtual
async def test_each_interval_removes_all_due_jobs() -> None:
    kept = Kept(*range(1, 8), sweep_slice=3)
    kept.clock.ms = 1_000_000
    role = asyncio.create_task(kept.role.run_forever())
    await asyncio.sleep(9.9)
    assert kept.seen.sweeps == []
    await asyncio.sleep(20)
    assert kept.seen.sweeps == [(10.0, 3), (10.0, 3), (10.0, 1), (20.0, 0)]
    assert kept.seen.lasted_ms == [0.0] * 4
    assert not role.done()


@virtual
async def test_without_an_interval_nothing_is_removed() -> None:
    kept = Kept(1, cleanup_interval_s=0.0)
    kept.clock.ms = 1_000_000
    await kept.role.run_forever()
    assert kept.seen.removed == []
