"""A worker over breaking connections: what it offers again, what it runs once, when it sends heartbeats."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.played_scheduler import PlayedScheduler, registered, settle
from tests.unit.played_worker import FIRST, SECOND, Engine, assign, results, working
from tests.unit.virtual import virtual
from voxpool.scheduler import __version__
from voxpool.scheduler.protocol.messages import (
    Assign,
    CancelAttempt,
    Error,
    Heartbeat,
    NodeResult,
    Register,
    Reregister,
)
from voxpool.scheduler.sdk import Refused, Work
from voxpool.scheduler.sdk.worker_node import HEARTBEAT_S


@virtual
async def test_an_unsent_result_is_sent_over_the_next_connection(scheduler: PlayedScheduler) -> None:
    """The connection breaks during the send; the node reconnects with the attempt, and offers its result once."""
    engine = Engine()
    async with working(engine) as (worker, _):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST))
        await settle()
        first.takes.clear()
        await engine.end("j1")
        first.cut()
        second = await scheduler.connected(2)
        assert results(first) == []
        assert second.of_kind(Register)[0].running == [FIRST]
        second.say(registered())
        await settle()
        assert results(second) == [("j1", 1, "j1")]
        second.cut()
        third = await scheduler.connected(3)
        assert third.of_kind(Register)[0].running == []
        third.say(registered())
        await settle()
        assert results(third) == [] and worker.done == 1


@virtual
async def test_the_work_has_all_of_its_assign_and_the_register_all_of_the_node(scheduler: PlayedScheduler) -> None:
    engine = Engine()
    async with working(engine, slots=3, token="t", ping_s=7.0) as (worker, _):
        first = await scheduler.connected(1)
        (register,) = first.of_kind(Register)
        assert (register.node_id, register.pairs, register.slots, register.token) == ("n", ["zh:en"], 3, "t")
        assert (register.process_id, register.version) == (worker.process_id, __version__)
        assert register.now_ms is not None and register.now_ms > 1_600_000_000_000
        assert (scheduler.doors[0].url, scheduler.doors[0].ping_s) == ("ws://127.0.0.1:1/ws/node", 7.0)
        first.say(registered(), Assign("j1", 4, "zh:en", b"audio", 60_000, "s", trace="00-a-b-01"))
        await settle()
        assert engine.works["j1"] == Work("j1", 4, "zh:en", b"audio", 60_000, "s", trace="00-a-b-01")
        await engine.end("j1")
        (result,) = first.of_kind(NodeResult)
        assert result == NodeResult("j1", 4, "j1", trace="00-a-b-01")


@virtual
async def test_a_result_without_a_connection_is_kept_until_there_is_one(scheduler: PlayedScheduler) -> None:
    engine = Engine()
    async with working(engine):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST), assign(SECOND))
        await settle()
        scheduler.is_away = True
        first.cut()
        await settle()
        await engine.end("j1")
        scheduler.is_away = False
        second = await scheduler.connected(2)
        assert second.of_kind(Register)[0].running == [SECOND, FIRST]
        assert results(second) == []
        second.say(registered())
        await settle()
        assert results(second) == [("j1", 1, "j1")]
        await engine.end("j2")
        assert results(second) == [("j1", 1, "j1"), ("j2", 1, "j2")]


@virtual
async def test_a_repeated_assign_runs_once(scheduler: PlayedScheduler) -> None:
    """Both while it runs, and while its result could not be sent."""
    engine = Engine()
    async with working(engine):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST), assign(FIRST))
        await settle()
        assert engine.ran == [FIRST]
        first.takes.clear()
        await engine.end("j1")
        first.say(assign(FIRST))
        await settle()
        assert engine.ran == [FIRST]
        first.takes.set()
        await settle()
        assert results(first) == [("j1", 1, "j1")]
        first.say(assign(("j1", 2)))
        await settle()
        assert engine.ran == [FIRST, ("j1", 2)], "another attempt is other work"


@virtual
async def test_a_full_node_answers_busy_and_a_cancelled_engine_still_takes_its_slot(scheduler: PlayedScheduler) -> None:
    engine = Engine()
    engine.ignores_cancel = True
    async with working(engine, slots=1) as (worker, _):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST), assign(SECOND))
        await settle()
        assert first.of_kind(NodeResult) == [NodeResult(*SECOND, busy=True)]
        first.say(CancelAttempt(*FIRST), assign(SECOND))
        await settle()
        assert engine.works["j1"].cancelled.is_set()
        assert first.of_kind(NodeResult) == [NodeResult(*SECOND, busy=True)] * 2
        await engine.end("j1")
        first.say(assign(SECOND))
        await settle()
        assert engine.ran == [FIRST, SECOND]
        await engine.end("j2")
        assert results(first)[2:] == [("j2", 1, "j2")] and worker.done == 1


@virtual
async def test_a_cancelled_attempt_is_not_answered_nor_offered(scheduler: PlayedScheduler) -> None:
    """Neither a running attempt nor one whose result was not sent."""
    engine = Engine()
    async with working(engine) as (worker, _):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST), assign(SECOND))
        await settle()
        first.takes.clear()
        await engine.end("j2")
        first.say(CancelAttempt(*FIRST), CancelAttempt(*SECOND), CancelAttempt("unknown", 1))
        await settle()
        first.cut()
        second = await scheduler.connected(2)
        assert second.of_kind(Register)[0].running == [] and worker.done == 1
        second.say(registered(), assign(("j1", 2)), assign(("j2", 2)))
        await settle()
        assert engine.ran[2:] == [("j1", 2), ("j2", 2)] and second.of_kind(NodeResult) == []


@virtual
async def test_heartbeats_follow_the_interval_of_the_scheduler_over_the_current_connection(
    scheduler: PlayedScheduler,
) -> None:
    """A lost answer to the register must not silence the node; from the answer on the scheduler's interval counts."""
    engine = Engine()
    async with working(engine) as (_, task):
        first = await scheduler.connected(1)
        await asyncio.sleep(HEARTBEAT_S - 1)
        assert first.of_kind(Heartbeat) == []
        await asyncio.sleep(HEARTBEAT_S)
        assert first.of_kind(Heartbeat) == [Heartbeat([], load=0.0)]
        first.say(registered(5000), assign(FIRST))
        await asyncio.sleep(5.5)
        assert first.of_kind(Heartbeat)[1:] == [Heartbeat([FIRST], load=0.5)]
        first.say(registered(5000))
        await asyncio.sleep(5)
        assert len(first.of_kind(Heartbeat)) == 3, "the same time again moves no beat"
        first.say(registered(1000))
        await asyncio.sleep(4.5)
        assert len(first.of_kind(Heartbeat)) == 7
        first.cut()
        second = await scheduler.connected(2)
        second.say(registered(2000))
        await asyncio.sleep(10.5)
        assert len(first.of_kind(Heartbeat)) == 7 and first.is_closed
        assert len(second.of_kind(Heartbeat)) == 5
        assert not task.done()


@virtual
async def test_each_connection_has_its_own_heartbeats(scheduler: PlayedScheduler) -> None:
    """Also when both have the same time."""
    async with working(Engine()):
        first = await scheduler.connected(1)
        first.say(registered(round(HEARTBEAT_S * 1000)))
        await asyncio.sleep(HEARTBEAT_S + 1)
        assert len(first.of_kind(Heartbeat)) == 1
        first.cut()
        second = await scheduler.connected(2)
        second.say(registered(round(HEARTBEAT_S * 1000)))
        await asyncio.sleep(HEARTBEAT_S + 1)
        assert len(second.of_kind(Heartbeat)) == 1 and len(first.of_kind(Heartbeat)) == 1


@virtual
async def test_a_scheduler_that_has_lost_the_node_gets_its_register_again(scheduler: PlayedScheduler) -> None:
    engine = Engine()
    async with working(engine) as (worker, _):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST))
        await settle()
        first.say(Reregister("lease_ended"))
        await settle()
        before, after = first.of_kind(Register)
        assert (before.running, after.running) == ([], [FIRST])
        assert (after.node_id, after.pairs, after.slots) == ("n", ["zh:en"], 2)
        assert before.process_id == after.process_id == worker.process_id


@virtual
async def test_temporary_errors_are_reported_and_others_end_the_node(scheduler: PlayedScheduler) -> None:
    events: list[str] = []
    async with working(Engine(), events=events) as (_, task):
        first = await scheduler.connected(1)
        first.say(registered(cut_off="send_stall"), Error("not_held", "who?"), Error("sessions_max", "full"))
        await settle()
        assert events == [
            "registered as n for zh:en, 2 slots",
            "the scheduler had cut off the last connection: send_stall",
            "the scheduler reports not_held: who?",
            "the scheduler reports sessions_max: full",
        ]
        assert not task.done()
        first.say(Error("no_idea", "go away"))
        await asyncio.wait([task])
        with pytest.raises(Refused, match="no_idea: go away"):
            task.result()
        assert first.is_closed


@virtual
async def test_the_bound_of_the_scheduler_on_outputs_counts(scheduler: PlayedScheduler) -> None:
    async def long(work: Work) -> str:
        return "x" * int(work.job_id)

    async with working(long):
        first = await scheduler.connected(1)
        first.say(registered(output_bytes_max=100), assign(("98", 1)), assign(("99", 1)))
        await settle()
        ninety_eight, ninety_nine = first.of_kind(NodeResult)
        assert ninety_eight.output == "x" * 98 and ninety_eight.error is None
        assert ninety_nine.error is not None and ninety_nine.error.reason == "output_too_large"
        assert not ninety_nine.error.retryable and ninety_nine.output is None


@virtual
async def test_the_pauses_between_attempts_double_and_start_again_after_a_connection(
    scheduler: PlayedScheduler,
) -> None:
    events: list[str] = []
    scheduler.is_away = True
    async with working(Engine(), events=events):
        await asyncio.sleep(60)
        pauses = [after - before for before, after in zip(scheduler.tries, scheduler.tries[1:], strict=False)]
        for pause_s, most_s in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0), strict=False):
            assert most_s / 2 <= pause_s <= most_s
        assert events[0].startswith("can't reach ws://127.0.0.1:1/ws/node: ")
        scheduler.is_away = False
        first = await scheduler.connected(1)
        first.say(registered())
        await settle()
        tried = len(scheduler.tries)
        cut_at = asyncio.get_running_loop().time()
        first.cut()
        await scheduler.connected(2)
        assert scheduler.tries[tried] - cut_at <= 0.1 and events[-1] == "connection lost: cut"
