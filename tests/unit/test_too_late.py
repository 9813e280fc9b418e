"""A waiting job whose timeout leaves too little time for its work: when it is given up (late_factor)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.unit.rig import Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import FAILED, WAITING, Job
from voxpool.scheduler.core.jobs.reasons import OVERLOADED, TOO_LATE
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.scheduler.stores.memory import MemoryStore

WORK_S = 4
STEP_S = 0.1


class SlowStore(MemoryStore):
    """A store that answers only while `answers` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        answers = await super().run(calls)
        await self.answers.wait()
        return answers


async def full(late_factor: float, store: SlowStore | None = None) -> tuple[Rig, Node, Job]:
    """A node of one slot that has done a job in WORK_S and runs the next one."""
    rig = Rig(settings=Settings(late_factor=late_factor, waiting_timeout_s=60.0), runner=store)
    node, _ = await rig.node("n1")
    first = await rig.submit()
    await rig.pass_time(WORK_S)
    await rig.answer(node, first)
    return rig, node, await rig.submit()


async def test_it_is_given_up_when_less_than_its_work_is_left() -> None:
    rig, node, running = await full(1.25)
    job = await rig.submit(timeout_ms=11_000)
    await rig.pass_time(5.9, STEP_S)
    assert job.state == WAITING
    await rig.pass_time(0.1, STEP_S)
    assert (job.state, job.reason) == (FAILED, TOO_LATE)
    assert rig.sink.ended[-1] is job and job.audio is None
    await rig.answer(node, running)
    again = await rig.submit(request_id=job.request_id, timeout_ms=11_000)
    assert again is not job and again.node_id == node.node_id, "it never ran, so its request id begins anew"


@pytest.mark.parametrize(("late_factor", "timeout_ms"), [(0.0, 11_000), (1.25, None)], ids=["off", "without timeout"])
async def test_without_the_setting_or_a_timeout_it_waits_on(late_factor: float, timeout_ms: int | None) -> None:
    rig, node, running = await full(late_factor)
    job = await (rig.submit() if timeout_ms is None else rig.submit(timeout_ms=timeout_ms))
    await rig.pass_time(10.9, STEP_S)
    assert job.state == WAITING
    await rig.answer(node, running)
    assert job.node_id == node.node_id


@pytest.mark.parametrize("is_asked", [False, True], ids=["a slot is free", "the store is asked"])
async def test_it_is_not_given_up_while_a_slot_may_be_found(is_asked: bool) -> None:
    """The answer of the store takes longer than the remaining time; the job still gets the slot."""
    store = SlowStore()
    rig, node, running = await full(1.25, store)
    job = await rig.submit(timeout_ms=11_000)
    await rig.pass_time(5.9, STEP_S)
    store.answers.clear()
    rig.desk.result(node, NodeResult(running.job_id, running.attempt, output="text"))
    settling = asyncio.create_task(rig.settle()) if is_asked else None
    await asyncio.sleep(0)
    assert rig.dispatcher.waiting.ready is not is_asked
    for _ in range(10):
        rig.clock.ms += 100
        rig.core.timeouts.run_once()
    assert job.state == WAITING
    store.answers.set()
    await (settling or rig.settle())
    assert job.node_id == node.node_id


async def test_the_admission_leaves_the_same_share_of_time_for_the_work() -> None:
    for late_factor, is_refused in ((0.0, False), (1.0, False), (2.5, True)):
        rig, _, _ = await full(late_factor)
        if is_refused:
            with pytest.raises(Rejected) as refused:
                await rig.submit(timeout_ms=9_000)
            assert refused.value.reason == OVERLOADED
        else:
            assert (await rig.submit(timeout_ms=9_000)).state == WAITING
