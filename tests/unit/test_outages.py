"""The effect of an outage of the store: waiting jobs lose no time, new ones are rejected."""

from __future__ import annotations

import pytest

from tests.unit.rig import AUDIO, Rig
from tests.unit.test_store_away import Away
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core import script_queue
from voxpool.scheduler.core.jobs.job import COMPLETED, FAILED, WAITING, Job
from voxpool.scheduler.core.script_queue import NOTED_MS, OUTAGES_MAX, SETTLE_MS, Outages
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.stores.memory import MemoryStore


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_queue, "BACKOFF_MS", (0, 0))


class Absence:
    """A rig whose store is down for `seconds` while `job` waits; `each_second` is called in each of them."""

    def __init__(self, **settings: float) -> None:
        self.store = MemoryStore()
        self.away = Away(self.store)
        self.rig = Rig(runner=self.away, settings=Settings(no_node_grace_s=10**6, **settings))  # type: ignore[arg-type]
        self.rig.store = self.store
        self.refused: list[Rejected] = []

    async def last(self, seconds: int) -> None:
        tries = iter(range(seconds))

        def a_second_passes() -> bool:
            self.rig.clock.ms += 1000
            while self.rig.core.timeouts.run_once():
                pass
            self._submit()
            return next(tries, None) is None

        self.away.meanwhile = a_second_passes
        self.rig.core.leases.sweep_store()
        await self.rig.core.queue.run_once(self.rig.core.dispatcher)
        self.away.meanwhile = lambda: True
        await self.rig.settle()

    def _submit(self) -> None:
        try:
            self.rig.dispatcher.submit(pair="zh:en", audio=AUDIO, request_id=f"late-{self.rig.clock.ms}")
        except Rejected as rejected:
            self.refused.append(rejected)


async def waiting_job(absence: Absence, timeout_ms: int = 0) -> Job:
    job = await absence.rig.submit(timeout_ms=timeout_ms)
    await absence.rig.pass_time(8)
    assert job.state == WAITING
    return job


async def test_the_waiting_timeout_stops_during_an_outage() -> None:
    """Eight of ten seconds had passed; after a minute two are left, and one in which the nodes return."""
    absence = Absence()
    job = await waiting_job(absence)
    await absence.last(60)
    assert job.state == WAITING
    await absence.rig.pass_time(2)
    assert job.state == WAITING
    await absence.rig.pass_time(2)
    assert (job.state, job.reason) == (FAILED, "no_node")


async def test_a_job_that_waited_through_an_outage_is_done_afterwards() -> None:
    absence = Absence()
    job = await waiting_job(absence)
    await absence.last(60)
    node, _ = await absence.rig.node("n1")
    await absence.rig.answer(node, job)
    assert job.state == COMPLETED


async def test_the_patience_of_the_scheduler_has_an_end() -> None:
    absence = Absence(store_patience_s=20)
    job = await waiting_job(absence)
    await absence.last(20)
    assert job.state == WAITING
    await absence.last(4)
    assert (job.state, job.reason) == (FAILED, "store_unavailable")


async def test_the_clients_own_timeout_continues() -> None:
    absence = Absence()
    job = await waiting_job(absence, timeout_ms=9000)
    await absence.last(3)
    assert (job.state, job.reason) == (FAILED, "expired")


async def test_submits_during_an_outage_are_rejected_with_a_time_to_retry() -> None:
    """The time is as long as the outage so far, thirty seconds at most."""
    absence = Absence()
    await absence.last(60)
    assert {rejected.reason for rejected in absence.refused} == {"store_unavailable"}
    retries = [rejected.retry_after_ms for rejected in absence.refused]
    assert retries[:3] == [2000, 3000, 4000] and retries[-1] == max(filter(None, retries)) == 30_000
    assert (await absence.rig.submit()).state == WAITING


async def test_accepted_jobs_can_be_looked_up_during_an_outage() -> None:
    absence = Absence()
    job = await waiting_job(absence)
    asked: list[Job] = []

    def ask() -> bool:
        absence.rig.clock.ms += 5000
        asked.append(absence.rig.dispatcher.submit(pair="zh:en", audio=AUDIO, request_id=job.request_id))
        return len(asked) == 2

    absence.away.meanwhile = ask
    absence.rig.core.leases.sweep_store()
    await absence.rig.core.queue.run_once(absence.rig.core.dispatcher)
    assert asked == [job, job]


def test_a_hanging_store_gets_twice_the_time_of_a_failing_one() -> None:
    """An apparently hanging store may be a stall of this process."""
    outages = Outages(Settings(store_refuse_s=2))
    outages.asked(1)
    outages.check(4000)
    with pytest.raises(Rejected):
        outages.check(4001)
    outages.failed()
    outages.check(2000)
    with pytest.raises(Rejected):
        outages.check(2001)
    outages.answered(9000)
    outages.check(99_000)


def test_a_slow_answer_is_no_outage() -> None:
    outages = Outages(Settings())
    outages.asked(1)
    outages.answered(NOTED_MS)
    assert outages.between(0, 10**6) == 0
    outages.asked(1000)
    outages.answered(1000 + NOTED_MS)
    assert outages.between(0, 10**6) == NOTED_MS + SETTLE_MS


def test_only_outages_within_a_wait_count_and_the_oldest_are_forgotten() -> None:
    outages = Outages(Settings())
    for start in range(0, 10_000 * (OUTAGES_MAX + 50), 10_000):
        outages.asked(start + 1)
        outages.failed()
        outages.answered(start + 2001)
    end = 10_000 * (OUTAGES_MAX + 50)
    assert outages.between(0, end) == OUTAGES_MAX * (2000 + SETTLE_MS)
    assert outages.between(end - 9000, end) == 1001 + SETTLE_MS
    outages.asked(end)
    assert not outages.lasts(end + 999)
    outages.failed()
    assert outages.lasts(end + 1) and outages.between(end - 5000, end + 700) == 700
