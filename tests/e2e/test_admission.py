"""Each bound on submits, over HTTP and WebSocket: a reason, a time to retry; accepted jobs are undisturbed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import answer, text
from tests.e2e.test_processes import started
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk import Client, Worker

FLOOD = 100


@pytest.fixture
def tight(folder: Path) -> Iterator[Scheduler]:
    """Three jobs of a pair may wait; the rate allows a burst of two submits, then one in a hundred seconds."""
    flags = ("--waiting-max", "3", "--waiting-timeout-s", "60", "--retry-after-s", "2.5")
    with started(Scheduler(folder, "memory", *flags)) as scheduler:
        yield scheduler


async def greeted(socket: Any, **fields: Any) -> None:
    """Send hello."""
    await socket.send(text(type="hello", **fields))
    assert (await answer(socket))["type"] == "welcome"


async def test_only_a_pair_with_too_many_waiting_jobs_is_rejected(tight: Scheduler) -> None:
    async with httpx.AsyncClient(base_url=tight.url, trust_env=False) as http, connected(tight.session_url) as socket:
        for _ in range(3):
            assert (await http.post("/v1/jobs", params={"pair": "a:b"}, content=TONE)).status_code == 202
        refused = await http.post("/v1/jobs", params={"pair": "a:b"}, content=TONE)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "3")
        assert (refused.json()["reason"], refused.json()["retry_after_ms"]) == ("waiting_max", 2500)
        await greeted(socket)
        await socket.send(text(type="submit", request_id="one", pair="a:b", audio=TONE))
        rejected = await answer(socket)
        assert (rejected["type"], rejected["reason"], rejected["retry_after_ms"]) == ("rejected", "waiting_max", 2500)
        await socket.send(text(type="submit", request_id="two", pair="b:a", audio=TONE))
        assert (await answer(socket))["type"] == "accepted"


async def test_a_flood_of_one_pair_does_not_disturb_the_jobs_of_another(tight: Scheduler) -> None:
    """A steady flow continues beside hundreds of submits without a node, each of which is rejected or waits."""
    worker = Worker(tight.url, node_id="good", pairs=["good:en"], work=lambda work: len(work.audio))
    async with running(worker), Client(tight.url) as client, httpx.AsyncClient(base_url=tight.url) as http:
        await until(lambda: tight.node_ids() == ["good"])
        flooding = asyncio.create_task(flood(tight, http))
        results: list[JobResult] = []
        while not flooding.done() or len(results) < 20:
            results.append(await client.submit(TONE, "good:en"))
        refused = await flooding
        assert {(result.state, result.attempts, result.output) for result in results} == {("completed", 1, len(TONE))}
        assert client.connects == 1
    assert refused == Counter({"accepted": 3, "waiting_max": 2 * FLOOD - 3})


async def flood(scheduler: Scheduler, http: httpx.AsyncClient) -> Counter[str]:
    """Submit jobs of a pair without a node over both endpoints; return the number of each answer."""
    answers: Counter[str] = Counter()

    async def post() -> None:
        response = await http.post("/v1/jobs", params={"pair": "bad:en"}, content=TONE)
        if response.status_code == 503:
            assert response.headers["retry-after"] == "3"
        answers["accepted" if response.status_code == 202 else response.json()["reason"]] += 1

    async with connected(scheduler.session_url) as socket:
        await greeted(socket)
        for number in range(FLOOD):
            await socket.send(text(type="submit", request_id=f"r{number}", pair="bad:en", audio=TONE))
        for _ in range(FLOOD):
            message = await answer(socket)
            if message["type"] == "rejected":
                assert message["retry_after_ms"] == 2500
            answers[message.get("reason", "accepted")] += 1
        for first in range(0, FLOOD, 50):
            await asyncio.gather(*(post() for _ in range(first, first + 50)))
    return answers


async def test_past_its_rate_a_submit_is_rejected_and_a_repeated_accepted_one_is_free(folder: Path) -> None:
    with started(Scheduler(folder, "memory", "--rate-per-s", "0.01", "--rate-burst", "2")) as scheduler:
        async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:

            async def post(request_id: str, **body: Any) -> httpx.Response:
                headers = {"idempotency-key": request_id}
                return await http.post("/v1/jobs", params={"pair": "a:b"}, headers=headers, **body)

            assert [(await post(f"r{n}", content=TONE)).status_code for n in (1, 2)] == [202, 202]
            for body in ({"content": TONE}, {"files": {"audio": TONE}}):
                refused = await post("r3", **body)
                assert (refused.status_code, refused.json()["reason"]) == (429, "rate")
                assert 90 <= int(refused.headers["retry-after"]) <= 100
            assert (await post("r2", content=TONE)).status_code == 202
            async with connected(scheduler.session_url) as socket:
                await greeted(socket)
                await socket.send(text(type="submit", request_id="r4", pair="a:b", audio=TONE))
                rejected = await answer(socket)
                assert (rejected["reason"], 90_000 <= rejected["retry_after_ms"] <= 100_000) == ("rate", True)
                await socket.send(text(type="submit", request_id="r1", pair="a:b", audio=TONE))
                assert (await answer(socket))["type"] == "accepted"


async def test_connections_past_the_limit_are_answered_and_closed(folder: Path) -> None:
    """Handshakes of WebSockets count, too; health and metrics still answer, and a closed connection makes room."""
    with started(Scheduler(folder, "memory", "--connections-max", "3")) as scheduler:
        async with connected(scheduler.session_url) as first, connected(scheduler.session_url) as second:
            async with connected(scheduler.session_url) as third:
                for socket in (first, second, third):
                    await greeted(socket)  # a peer without a hello would be closed to make room
                with pytest.raises(InvalidStatus) as refused:
                    await first_frame(scheduler)
                response = refused.value.response
                assert (response.status_code, response.headers["retry-after"]) == (503, "1")
                assert b'"reason":"connections_max"' in (response.body or b"")
                async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
                    over = await http.get("/v1/jobs")
                    assert (over.status_code, over.json()["reason"]) == (503, "connections_max")
                    assert over.headers["connection"] == "close"
                    assert {(await http.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics")} == {200}
                await first.send(text(type="submit", request_id="one", pair="a:b", audio=TONE))
                assert (await answer(first))["type"] == "accepted", "who is in is not touched"
            async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
                await until_async(http)
        refusals = await until(lambda: scheduler.events("connection_refused"))
        assert {event["reason"] for event in refusals} == {"connections_max"}


async def first_frame(scheduler: Scheduler) -> None:
    """Try to open a WebSocket."""
    async with connected(scheduler.session_url, proxy=None):
        raise AssertionError("it was let in")


async def until_async(http: httpx.AsyncClient) -> None:
    """Wait until there is room again."""
    async with asyncio.timeout(15):
        while (await http.get("/v1/jobs")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
