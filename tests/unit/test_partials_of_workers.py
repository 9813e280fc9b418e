"""Partial results of a worker and of a client: the newest replaces the others, and none follows the result."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.unit.played_client import PAIR, client_of, result_of
from tests.unit.played_scheduler import PlayedScheduler, registered, settle, welcome
from tests.unit.played_worker import FIRST, SECOND, Engine, working
from tests.unit.virtual import virtual
from voxpool.scheduler.protocol.messages import (
    Accepted,
    Assign,
    CancelAttempt,
    NodePartial,
    NodeResult,
    Partial,
    Submit,
)
from voxpool.scheduler.sdk import Client, Started, Work
from voxpool.scheduler.sdk.work.partials import Partials


def assign(attempt: tuple[str, int], partials: bool = True) -> Assign:
    return Assign(*attempt, PAIR, b"audio", 60_000, partials=partials)


@virtual
async def test_a_work_sends_what_it_knows_if_a_client_wants_it(scheduler: PlayedScheduler) -> None:
    engine = Engine()
    async with working(engine):
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST), assign(SECOND, partials=False))
        await settle()
        assert [work.wants_partials for work in engine.works.values()] == [True, False]
        for output in ("good", "good morning"):
            for work in engine.works.values():
                work.partial(output)
            await settle()
        await engine.end("j1")
        engine.works["j1"].partial("late")
        await settle()
        assert first.of_kind(NodePartial) == [NodePartial(*FIRST, 0, "good"), NodePartial(*FIRST, 1, "good morning")]
        assert isinstance(first.sent[-1], NodeResult)


@virtual
async def test_the_newest_waits_while_the_connection_is_busy(scheduler: PlayedScheduler) -> None:
    """Each work has its turn; what waits when a work ends or is cancelled is dropped, as it is without a connection."""
    engine = Engine()
    async with working(engine, slots=3):
        third = ("j3", 1)
        first = await scheduler.connected(1)
        first.say(registered(), assign(FIRST), assign(SECOND), assign(third))
        await settle()
        first.takes.clear()
        for number in range(100):
            for work in engine.works.values():
                work.partial(number)
            await asyncio.sleep(0)
        await engine.end("j2")
        first.say(CancelAttempt(*third))
        await settle()
        first.takes.set()
        await settle()
        numbers = [(partial.job_id, partial.n, partial.output) for partial in first.of_kind(NodePartial)]
        assert numbers == [("j1", 0, 0), ("j1", 99, 99)]
        scheduler.is_away = True
        first.cut()
        await settle()
        engine.works["j1"].partial("nobody there")
        await settle()
        scheduler.is_away = False
        second = await scheduler.connected(2)
        second.say(registered())
        engine.works["j1"].partial("again")
        await settle()
        assert second.of_kind(NodePartial) == [NodePartial(*FIRST, 101, "again")]


@virtual
async def test_a_partial_that_cannot_be_sent_ends_the_partials_of_its_work_only(scheduler: PlayedScheduler) -> None:
    engine, events = Engine(), list[str]()
    async with working(engine, events=events):
        first = await scheduler.connected(1)
        first.say(registered(output_bytes_max=100), assign(FIRST), assign(SECOND))
        await settle()
        for output in ("x" * 99, "short"):
            for work in engine.works.values():
                work.partial(output if work.job_id == "j1" else "fine")
            await settle()
        assert [partial.job_id for partial in first.of_kind(NodePartial)] == ["j2", "j2"]
        assert [event for event in events if "partial" in event] == [
            "j1: no partial results: output_too_large: an output of 101 bytes of JSON is above output_bytes_max = 100"
        ]
        await engine.end("j1")
        assert first.of_kind(NodeResult)[0].output == "j1"


async def test_a_work_in_a_thread_may_send_as_often_as_it_likes() -> None:
    """What waits on the loop is one call a work, however many partials come."""
    sent: list[NodePartial] = []
    gate = asyncio.Event()

    async def send(partial: NodePartial) -> None:
        sent.append(partial)
        gate.set()

    partials = Partials(send, lambda text: None)
    partials.output_bytes_max = 1000
    handle = partials.of("j1", 1)
    work = Work(*FIRST, PAIR, b"", send_partial=handle)

    def speak() -> None:
        for number in range(10_000):
            work.partial(number)

    thread = threading.Thread(target=speak)
    thread.start()
    thread.join()  # the loop has not turned
    await asyncio.wait_for(gate.wait(), 10)
    assert sent == [NodePartial(*FIRST, 9999, 9999)]
    await partials.close()


async def started(client: Client, scheduler: PlayedScheduler) -> Started:
    starting = asyncio.create_task(client.start(b"audio", PAIR, request_id="r", partials=True))
    await settle()
    scheduler.last.say(welcome())
    await settle()
    scheduler.last.say(Accepted("r", "j-r"))
    return await starting


@virtual
async def test_a_client_gets_the_newest_partial_until_the_result(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        await scheduler.connected(1)
        job = await started(client, scheduler)
        assert scheduler.last.of_kind(Submit)[0].partials
        got: list[tuple[int, int]] = []
        first, *rest = [Partial("r", "j-r", attempt, n, "so far") for attempt, n in ((1, 0), (1, 1), (2, 0))]

        async def read() -> None:
            async for partial in job.partials():
                got.append((partial.attempt, partial.n))

        reading = asyncio.create_task(read())
        scheduler.last.say(first)
        await settle()
        assert got == [(1, 0)]
        scheduler.last.say(*rest, Partial("other", "j-o", 1, 0), Partial("r", "j-old", 1, 7))
        await settle()
        assert got[-1] == (2, 0)
        scheduler.last.say(result_of("r"))
        await asyncio.wait([reading])
        assert (await job.result()).output == "out of r"
        scheduler.last.say(Partial("r", "j-r", 2, 1))
        await settle()
        assert [one async for one in job.partials()] == [] and got[-1] == (2, 0)


@virtual
async def test_the_partials_end_when_the_client_gives_up(scheduler: PlayedScheduler) -> None:
    async with client_of(give_up_s=5) as client:
        await scheduler.connected(1)
        job = await started(client, scheduler)
        scheduler.is_away = True
        scheduler.last.cut()
        assert [one async for one in job.partials()] == []
        with pytest.raises(Exception, match="nobody there"):
            await job.result()
