"""A worker that is asked to stop: it takes no more jobs, over any connection, and delivers its results."""

from __future__ import annotations

import asyncio

from tests.unit.played_scheduler import PlayedScheduler, registered, settle
from tests.unit.played_worker import FIRST, SECOND, Engine, assign, results, working
from tests.unit.virtual import virtual
from voxpool.scheduler.protocol.messages import (
    Drain,
    NodeResult,
)


@virtual
async def test_a_node_that_drains_drains_over_the_next_connection_too(scheduler: PlayedScheduler) -> None:
    """It takes no job, delivers the running one, and ends."""
    engine = Engine()
    async with working(engine) as (worker, task):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST))
        await settle()
        worker.stop()
        await settle()
        assert first.of_kind(Drain) == [Drain(True)]
        first.say(assign(SECOND))
        await settle()
        assert first.of_kind(NodeResult) == [NodeResult(*SECOND, busy=True)]
        first.cut()
        second = await scheduler.connected(2)
        assert second.of_kind(Drain) == []
        second.say(registered(), assign(SECOND))
        await settle()
        assert second.of_kind(Drain) == [Drain(True)]
        assert second.of_kind(NodeResult) == [NodeResult(*SECOND, busy=True)] and engine.ran == [FIRST]
        assert not task.done()
        await engine.end("j1")
        assert results(second)[-1] == ("j1", 1, "j1")
        await asyncio.wait([task])
        assert task.result() is None and second.round_trips == 1 and second.is_closed


@virtual
async def test_a_node_that_drains_delivers_its_last_result_before_it_ends(scheduler: PlayedScheduler) -> None:
    engine = Engine()
    async with working(engine) as (worker, task):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST))
        await settle()
        worker.stop()
        scheduler.is_away = True
        first.cut()
        await settle()
        await engine.end("j1")
        await asyncio.sleep(10)
        assert not task.done()
        scheduler.is_away = False
        second = await scheduler.connected(2)
        second.say(registered())
        await asyncio.wait([task])
        assert results(second) == [("j1", 1, "j1")]


@virtual
async def test_a_drain_ends_after_its_time(scheduler: PlayedScheduler) -> None:
    engine = Engine()
    async with working(engine, drain_s=7.0) as (worker, task):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST))
        await settle()
        began = asyncio.get_running_loop().time()
        worker.stop()
        await asyncio.wait([task])
        assert asyncio.get_running_loop().time() - began == 7.0
        assert engine.works["j1"].cancelled.is_set() and results(first) == []
