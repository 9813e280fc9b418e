"""A session survives broken connections: each result comes once, on request in the order of the submits."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.e2e.processes import TONE, Scheduler, until
from tests.fundamentals.serving import Nodes
from voxpool import Client, JobResult, Work
from voxpool.loadtest.processes._line import Line


async def test_each_result_comes_once_although_the_connection_breaks(
    scheduler: Scheduler, nodes: Nodes, pair: str
) -> None:
    """The client reconnects and repeats the submits without a result; no job runs twice."""
    ran: Counter[str] = Counter()

    async def work(work: Work) -> int:
        ran[work.job_id] += 1
        await asyncio.sleep(0.02)
        return len(work.audio)

    node = await nodes.start(pair, work, slots=2)
    async with Line(scheduler.port).open() as line, Client(line.url) as client:
        calls = [asyncio.create_task(client.submit(TONE, pair)) for _ in range(20)]
        await until(lambda: node.done >= 5)
        line.cut()
        line.mend()
        results = await asyncio.gather(*calls)
        assert client.connects == 2
    assert {(result.state, result.output, result.attempts) for result in results} == {("completed", len(TONE), 1)}
    assert len(ran) == 20 and set(ran.values()) == {1}


async def test_results_come_in_the_order_of_the_submits_on_request(
    scheduler: Scheduler, nodes: Nodes, pair: str
) -> None:
    """With `in_order` a result waits for those of earlier submits, for `in_order_grace_s` at most."""
    ended: list[int] = []
    first_may_end = asyncio.Event()

    async def work(work: Work) -> None:
        if len(work.audio) == len(TONE):
            await first_may_end.wait()

    async def one(client: Client, number: int) -> None:
        await client.submit(TONE + bytes(2 * number), pair)
        ended.append(number)

    node = await nodes.start(pair, work, slots=3)
    async with Client(scheduler.url, in_order=True) as client:
        calls = [asyncio.create_task(one(client, number)) for number in range(3)]
        await until(lambda: node.done == 2)
        assert ended == []
        first_may_end.set()
        await asyncio.gather(*calls)
    assert ended == [0, 1, 2]


async def test_the_next_process_of_a_client_gets_the_missed_results(
    scheduler: Scheduler, nodes: Nodes, pair: str
) -> None:
    """It gives the session id of the dead process, and `resume`."""
    may_end = asyncio.Event()
    missed: list[JobResult] = []
    session_id = f"phone-{pair[:-3]}"

    async def work(work: Work) -> str:
        await may_end.wait()
        return "late"

    await nodes.start(pair, work)
    async with Line(scheduler.port).open() as line, Client(line.url, session_id=session_id) as first:
        job = await first.start(TONE, pair)
        line.cut()  # nothing from the first client arrives any more, not even its goodbye
        await until(
            lambda: [event for event in scheduler.events("session_closed") if event["session_id"] == session_id]
        )
    async with Client(scheduler.url, session_id=session_id, resume=True, on_result=missed.append):
        may_end.set()
        await until(lambda: missed)
    assert [(result.job_id, result.output) for result in missed] == [(job.job_id, "late")]
