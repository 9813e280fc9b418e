"""What is seen of the waiting jobs: by priority, by key as a number without a name, and the place of one job."""

from __future__ import annotations

import asyncio

from tests.unit.metrics_rig import MeteredRig
from voxpool.scheduler.config import FAIR, Settings
from voxpool.scheduler.core.jobs.job import Share
from voxpool.scheduler.core.jobs.waiting import Place
from voxpool.scheduler.telemetry import waiting_count
from voxpool.scheduler.telemetry.waiting_count import count_priorities, count_waiting


def fair_rig() -> MeteredRig:
    return MeteredRig(Settings(order=FAIR))


async def submit(rig: MeteredRig, key: str, priority: int = 3, jobs: int = 1) -> None:
    """Let `jobs` jobs of `key` wait: there is no node with room."""
    for _ in range(jobs):
        await rig.submit(share=Share(priority, key, 1.0))


async def test_the_metrics_show_each_priority_and_the_largest_part_without_a_name() -> None:
    rig = fair_rig()
    await submit(rig, "quiet", priority=1)
    rig.clock.ms += 2000
    await submit(rig, "loud", priority=5, jobs=3)
    rig.clock.ms += 500
    for priority, jobs, oldest_s in (("1", 1, 2.5), ("2", 0, 0), ("3", 0, 0), ("4", 0, 0), ("5", 3, 0.5)):
        assert await rig.value("jobs_waiting", pair="other", priority=priority) == jobs
        assert await rig.value("oldest_waiting_seconds", priority=priority) == oldest_s
    assert await rig.value("keys_waiting") == 2
    assert await rig.value("largest_key_part") == 0.75
    text = await rig.text()
    assert "loud" not in text and "quiet" not in text


async def test_starts_are_counted_by_priority() -> None:
    rig = fair_rig()
    await submit(rig, "loud", priority=5, jobs=2)
    await submit(rig, "quiet", priority=1)
    await rig.node("ann", slots=2)
    assert await rig.value("job_starts_total", priority="1") == 1
    assert await rig.value("job_starts_total", priority="5") == 1
    assert await rig.value("jobs_waiting", pair="zh:en", priority="5") == 1
    assert await rig.value("jobs_waiting", pair="zh:en", priority="1") == 0


async def test_in_the_order_of_submits_there_is_one_priority_and_tokens_are_the_keys() -> None:
    rig = MeteredRig()
    await rig.submit(owner="a")
    await rig.submit(owner="a")
    await rig.submit(owner="b")
    samples = await rig.scrape()
    waiting = {labels: value for (name, labels), value in samples.items() if name == "voxpool_jobs_waiting"}
    assert waiting == {(("pair", "other"), ("priority", "3")): 3}
    assert {labels for name, labels in samples if name == "voxpool_oldest_waiting_seconds"} == {(("priority", "3"),)}
    assert await rig.value("keys_waiting") == 2
    assert await rig.value("largest_key_part") == 2 / 3


async def test_nothing_waits() -> None:
    rig = fair_rig()
    assert await rig.value("keys_waiting") == await rig.value("largest_key_part") == 0
    assert await rig.value("oldest_waiting_seconds", priority="1") == 0


async def test_many_keys_make_no_more_series() -> None:
    rig = fair_rig()
    await submit(rig, "first")  # its pair has a series from now on
    before = len(await rig.scrape())
    for number in range(50):
        await submit(rig, f"gateway/user-{number}", priority=1 + number % 5)
    assert len(await rig.scrape()) == before
    assert await rig.value("keys_waiting") == 51


async def test_other_work_gets_its_turn_and_jobs_that_end_meanwhile_do_not_count() -> None:
    rig = fair_rig()
    await submit(rig, "a", jobs=3)
    await submit(rig, "b", jobs=3)
    waiting_count.JOBS_A_TURN, turn = 2, waiting_count.JOBS_A_TURN
    try:
        counting = asyncio.create_task(count_waiting(rig.core))
        await asyncio.sleep(0)
        for jobs in list(rig.core.waiting.jobs()):
            for job in jobs[2:]:
                rig.dispatcher.cancel(job.job_id)
        found = await counting
    finally:
        waiting_count.JOBS_A_TURN = turn
    assert found.keys == {"a": 2} and found.total == 2 and found.largest_part == 1


async def test_the_priorities_of_some_keys_are_counted() -> None:
    rig = fair_rig()
    await submit(rig, "a", priority=1, jobs=2)
    await submit(rig, "a", priority=5)
    await submit(rig, "b", priority=5)
    assert await count_priorities(rig.core, ["a", "gone"]) == {"a": {1: 2, 5: 1}, "gone": {}}


async def test_the_place_of_a_job_is_its_priority_and_the_keys_before_it() -> None:
    rig = fair_rig()
    await submit(rig, "live", priority=1, jobs=2)
    await submit(rig, "a")
    await submit(rig, "b")
    await submit(rig, "late", jobs=2)
    last = await rig.submit(share=Share(3, "late", 1.0))
    assert rig.core.waiting.place(last) == Place(priority=3, higher_waiting=2, keys_ahead=2, key_waiting=3)
    await rig.node("ann", slots=3)  # both live jobs and that of a start
    assert rig.core.waiting.place(last) == Place(3, higher_waiting=0, keys_ahead=1, key_waiting=3)
    rig.dispatcher.cancel(last.job_id)
    assert rig.core.waiting.place(last) is None


async def test_a_job_that_came_back_has_no_key_before_it() -> None:
    rig = fair_rig()
    node, _ = await rig.node("ann")
    first = await rig.submit(share=Share(3, "late", 1.0))
    await submit(rig, "a")
    await submit(rig, "late")
    assert rig.core.waiting.place(first) is None
    rig.desk.left(node)
    await rig.settle()
    assert rig.core.waiting.place(first) == Place(3, higher_waiting=0, keys_ahead=0, key_waiting=2)


async def test_in_the_order_of_submits_a_job_has_no_place() -> None:
    rig = MeteredRig()
    assert rig.core.waiting.place(await rig.submit()) is None
