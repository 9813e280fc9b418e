"""Each result is delivered once, in the promised order, however the connection breaks (R-4, R-5, R-14).

A ledger counts the results from submit() and from on_result; a proxy between client and scheduler breaks connections,
or drops what the scheduler sends.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_processes import started
from tests.e2e.test_results_in_order import gates_at, has_ended, message, submits
from tests.servers import BOTH, place_of
from voxpool.loadtest.processes._line import Line
from voxpool.scheduler.protocol.codec import encode, from_client
from voxpool.scheduler.protocol.messages import JobResult, Submit, Welcome
from voxpool.scheduler.sdk import Client, Work, Worker

JOBS_IN_REDIS_TOO = True


@pytest.fixture(scope="module", params=BOTH)
def brief(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler with short timeouts."""
    flags = ("--session-grace-s", "2", "--in-order-grace-s", "0.3")
    with (
        place_of(request.param) as place,
        started(Scheduler(tmp_path_factory.mktemp("brief"), *place, *flags, patience_s=60)) as scheduler,
    ):
        yield scheduler


async def closed(scheduler: Scheduler, session_id: str) -> None:
    """Wait until the scheduler has noticed that the connection of the session is closed."""
    await until(lambda: any(event["session_id"] == session_id for event in scheduler.events("session_closed")))


async def rest(socket: Any) -> list[dict[str, Any]]:
    """Return the unread messages up to the answer to a request that is sent now."""
    await socket.send(text(type="cancel", job_id="nobody-1"))
    found = []
    while (next_one := await message(socket))["type"] != "error":
        found.append(next_one)
    return found


async def reconnected(socket: Any, session_id: str, **hello: Any) -> dict[str, Any]:
    """Send hello again and return the welcome."""
    await socket.send(text(type="hello", session_id=session_id, resume=True, **hello))
    welcome = await message(socket)
    assert welcome["type"] == "welcome", welcome
    return welcome


# ----


async def test_a_result_returned_by_submit_is_not_passed_to_on_result(scheduler: Scheduler, pair: str) -> None:
    """Five jobs end while the client is disconnected; it submits them again, as after every reconnect."""
    surplus: list[JobResult] = []
    async with (
        gates_at(scheduler, pair) as gates,
        Line(scheduler.port).open() as line,
        Client(line.url, on_result=surplus.append) as client,
    ):
        jobs = [await client.start(TONE, pair) for _ in range(5)]
        line.cut()
        await closed(scheduler, client.session_id)
        for job in jobs:
            gates.open(job.job_id)
            await has_ended(scheduler, job.job_id)
        line.mend()
        given = [(await job.result()).job_id for job in jobs]
        last = await client.start(TONE, pair)  # when its result has come, everything sent before has come, too
        gates.open(last.job_id)
        await last.result()
    assert given == [job.job_id for job in jobs]
    assert surplus == []


# ----


async def test_a_buffered_result_is_delivered_once_after_a_reconnect(scheduler: Scheduler, pair: str) -> None:
    """The client repeats its unanswered submits, as the SDK does."""
    session_id = f"once-{pair.split(':')[0]}"
    async with gates_at(scheduler, pair) as gates:
        async with connected(scheduler.session_url) as socket:
            first, second = await submits(socket, session_id, pair, 2)
            gates.open(second)
            await has_ended(scheduler, second)
            socket.transport.abort()
        await closed(scheduler, session_id)
        async with connected(scheduler.session_url) as socket:
            assert await submits(socket, session_id, pair, 2, resume=True) == [first, second]
            gates.open(first)
            assert [(await message(socket))["job_id"] for _ in range(2)] == [first, second]
            assert await rest(socket) == []


async def test_later_results_do_not_overtake_a_lost_one(scheduler: Scheduler, pair: str) -> None:
    """The first result was sent and did not arrive; the second job ends after the reconnect."""
    order: list[str] = []
    async with (
        gates_at(scheduler, pair) as gates,
        Line(scheduler.port).open() as line,
        Client(line.url, in_order=True) as client,
    ):
        first, second = [await client.start(TONE, pair) for _ in range(2)]
        for name, job in (("first", first), ("second", second)):
            job._request.result.add_done_callback(lambda _, name=name: order.append(name))  # type: ignore[misc]
        line.lose_answers()
        gates.open(first.job_id)
        await has_ended(scheduler, first.job_id)
        line.cut()
        await closed(scheduler, client.session_id)
        gates.open(second.job_id)
        await has_ended(scheduler, second.job_id)
        line.mend()
        async with asyncio.timeout(30):
            await asyncio.gather(first.result(), second.result())
    assert order == ["first", "second"]


async def test_new_submits_follow_those_that_are_submitted_again() -> None:
    """A client with large open submits reconnects, and submits another one while they are in flight."""
    names = [f"r{number}" for number in range(4)]
    got: list[list[str]] = []
    reads_on = asyncio.Event()
    greeted_again = asyncio.Event()

    async def door(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(encode(Welcome("s", {}), binary=True))
        seen: list[str] = []
        got.append(seen)
        if len(got) == 2:
            greeted_again.set()
            await reads_on.wait()
        async for frame in connection:
            submit = from_client.decode(frame, binary=True)  # type: ignore[arg-type]
            assert isinstance(submit, Submit)
            seen.append(submit.request_id)
            if len(got) == 1 and len(seen) == 3:
                connection.transport.abort()

    async with serve(door, "127.0.0.1", 0, max_size=None) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with Client(url) as client:
            jobs = [asyncio.create_task(client.submit(bytes(4_000_000), "a:b", request_id=name)) for name in names[:3]]
            await greeted_again.wait()
            await until(lambda: client.connects == 2)
            jobs.append(asyncio.create_task(client.submit(b"small", "a:b", request_id=names[3])))
            await until(lambda: names[3] in client._session._requests)
            reads_on.set()
            await until(lambda: len(got[1]) == 4)
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
    assert got[1] == names


async def test_the_next_process_gets_results_sent_to_a_dead_one(scheduler: Scheduler, pair: str) -> None:
    """The scheduler sent the result before it noticed the close; once acknowledged it is not sent again."""
    session_id = f"next-{pair.split(':')[0]}"
    missed: list[JobResult] = []
    async with gates_at(scheduler, pair) as gates, Line(scheduler.port).open() as line:
        async with Client(line.url, session_id=session_id) as first:
            job = await first.start(TONE, pair)
            line.lose_answers()
            gates.open(job.job_id)
            await has_ended(scheduler, job.job_id)
            assert first._runner is not None
            first._runner.cancel()  # the process dies without a goodbye
            line.cut()
            await closed(scheduler, session_id)
        for _ in range(2):
            async with Client(scheduler.url, session_id=session_id, resume=True, on_result=missed.append) as following:
                other = await following.start(TONE, pair)
                gates.open(other.job_id)
                await other.result()
                following._runner.cancel() if following._runner else None
    assert [result.job_id for result in missed] == [job.job_id]


async def test_the_gap_timer_runs_while_the_client_is_disconnected(brief: Scheduler, pair: str) -> None:
    async with gates_at(brief, pair) as gates:
        async with connected(brief.session_url) as socket:
            first, second = await submits(socket, "away", pair, 2)
            gates.open(second)
            await has_ended(brief, second)
            socket.transport.abort()
        await closed(brief, "away")
        async with connected(brief.session_url) as socket:
            await reconnected(socket, "away", in_order=True)
            assert (await message(socket))["job_id"] == second
            gates.open(first)
            assert (await message(socket))["job_id"] == first


# ----


async def test_a_job_given_up_while_its_client_was_disconnected_is_done_after_the_reconnect(
    brief: Scheduler, pair: str
) -> None:
    """The break is longer than the grace. The client did not cancel the job, so it runs anew and stays completed."""
    async with (
        gates_at(brief, pair) as gates,
        Line(brief.port).open() as line,
        Client(line.url) as client,
    ):
        job = await client.start(TONE, pair, request_id="again")
        line.cut()
        await until(lambda: brief.get(f"/v1/jobs/{job.job_id}").get("error") == "session_gone")
        line.mend()
        result = asyncio.create_task(job.result())
        await until(lambda: result.done() or brief.get(f"/v1/jobs/{job.job_id}")["state"] == "dispatched")
        gates.open(job.job_id)
        async with asyncio.timeout(30):
            assert (await result).state == "completed"
            assert (await client.submit(TONE, pair, request_id="again")).state == "completed"


async def test_the_default_lifetime_of_a_session_is_the_patience_of_a_client(scheduler: Scheduler) -> None:
    """By default a client tries for 60 s to reconnect."""
    async with Client(scheduler.url) as client:
        await until(lambda: client.connects)
        assert client.limits["session_grace_ms"] >= 60_000
        assert client.limits["session_grace_ms"] == 1000 * client._session.patience_s, "all that it asked for"


async def test_a_client_gets_the_lifetime_that_it_requests_within_the_bound(brief: Scheduler) -> None:
    for asked_ms, granted_ms in ((700, 700), (3_600_000, 2000), (None, 2000)):
        async with connected(brief.session_url) as socket:
            hello = {} if asked_ms is None else {"patience_ms": asked_ms}
            welcome = await reconnected(socket, f"asks-{asked_ms}", **hello)
            assert welcome["limits"]["session_grace_ms"] == granted_ms


async def test_a_job_that_another_session_waits_for_is_not_given_up(scheduler: Scheduler, pair: str) -> None:
    name = pair.split(":")[0]
    async with gates_at(scheduler, pair) as gates, connected(scheduler.session_url) as other:
        async with connected(scheduler.session_url) as socket:
            (job_id,) = await submits(socket, f"leaves-{name}", pair, 1)
            await other.send(text(type="hello", session_id=f"stays-{name}"))
            assert (await message(other))["type"] == "welcome"
            await other.send(text(type="submit", request_id=f"leaves-{name}-0", pair=pair, audio=TONE))
            assert (await message(other))["job_id"] == job_id
        await closed(scheduler, f"leaves-{name}")  # with a goodbye
        gates.open(job_id)
        result = await message(other)
        assert (result["job_id"], result["state"]) == (job_id, "completed")


# ---- all together


@pytest.mark.parametrize("in_order", [False, True])
async def test_each_result_is_delivered_once_under_twenty_breaks(
    scheduler: Scheduler, pair: str, in_order: bool
) -> None:
    """Two hundred jobs; in every other break what the scheduler sends is lost for a while before anybody notices."""
    chance = random.Random(7)
    ledger: Counter[str] = Counter()
    order: list[int] = []

    async def work(work: Work) -> str:
        await asyncio.sleep(chance.random() / 20)
        return work.job_id

    async def one(client: Client, number: int) -> None:
        result = await client.submit(TONE, pair, request_id=f"ledger-{pair.split(':')[0]}-{number}")
        assert (result.state, result.output) == ("completed", result.job_id)
        ledger[result.request_id] += 1
        order.append(number)

    async def breaks(line: Line) -> None:
        for number in range(20):
            await asyncio.sleep(chance.random() / 10)
            if number % 2:
                line.lose_answers()
                await asyncio.sleep(chance.random() / 20)
            line.cut()
            line.mend()

    worker = Worker(scheduler.url, node_id=f"ledger-{pair.split(':')[0]}", pairs=[pair], slots=4, work=work)
    async with (
        running(worker),
        Line(scheduler.port).open() as line,
        Client(line.url, in_order=in_order, on_result=lambda result: ledger.update([result.request_id])) as client,
        asyncio.timeout(60),
    ):
        await until(lambda: worker.node_id in scheduler.node_ids())
        breaking = asyncio.create_task(breaks(line))
        await asyncio.gather(*(one(client, number) for number in range(200)))
        await breaking
        await one(client, 200)
    assert len(ledger) == 201 and set(ledger.values()) == {1}
    if in_order:
        assert order == list(range(201))
