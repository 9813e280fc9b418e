"""SIGTERM: no new jobs, time for running ones, the rest is given back; a second signal ends at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import answer, text
from tests.e2e.test_processes import started
from tests.servers import BOTH, RedisServer, place_of
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk import Client, Work, Worker

PAIR = "en:en"
STOPPING = "stopping"


@pytest.fixture(params=BOTH)
def patient(request: pytest.FixtureRequest, folder: Path) -> Iterator[Scheduler]:
    """A scheduler that gives its jobs a minute when it stops."""
    with (
        place_of(request.param) as place,
        started(Scheduler(folder, *place, "--drain-s", "60", name="patient", patience_s=60)) as scheduler,
    ):
        yield scheduler


@pytest.fixture
async def http(patient: Scheduler) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=patient.url, trust_env=False, timeout=30) as client:
        yield client


class Gate:
    """A worker whose jobs end when `open` is set."""

    def __init__(self, scheduler: Scheduler, slots: int = 1) -> None:
        self.open = asyncio.Event()
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.worker = Worker(scheduler.url, node_id="gate", pairs=[PAIR], slots=slots, work=self._work)

    async def _work(self, work: Work) -> str:
        self.started.append(work.job_id)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.append(work.job_id)
            raise
        return "done"


def stopped(scheduler: Scheduler) -> tuple[int, int]:
    """Return how many jobs ended and how many were given back since the stop began; its end was orderly."""
    assert scheduler.end() == 0, scheduler.log.read_text()
    (event,) = scheduler.events("scheduler_stopped")
    assert scheduler.events("scheduler_failed") == scheduler.events("http_server") == []
    return event["ended"], event["handed_back"]


async def stop(scheduler: Scheduler) -> None:
    """Send SIGTERM and wait until it is logged."""
    scheduler.signal(signal.SIGTERM)
    await until(lambda: scheduler.events("scheduler_stopping"))


def test_an_idle_scheduler_stops_at_once(patient: Scheduler) -> None:
    """The minute for jobs is not used up; other tests would have to wait for it."""
    patient.signal(signal.SIGTERM)
    assert stopped(patient) == (0, 0)
    assert patient.events("scheduler_stopping")[0]["unfinished"] == 0


async def test_a_stopping_scheduler_rejects_new_jobs_and_finishes_running_ones(
    patient: Scheduler, http: httpx.AsyncClient
) -> None:
    gate = Gate(patient)
    async with running(gate.worker), connected(patient.session_url) as old:
        await old.send(text(type="hello", session_id="old"))
        assert (await answer(old))["type"] == "welcome"
        await old.send(text(type="submit", request_id="one", pair=PAIR, audio=TONE))
        assert (await answer(old))["type"] == "accepted"
        await until(lambda: gate.started)
        await stop(patient)
        assert (await http.get("/healthz")).status_code == 200
        for refused in (
            await http.get("/readyz"),
            await http.post("/v1/jobs", params={"pair": PAIR}, content=TONE),
            await http.post("/v1/jobs", params={"pair": PAIR}, files={"audio": TONE}),
        ):
            assert (refused.status_code, refused.json()["reason"]) == (503, STOPPING)
            assert refused.headers["retry-after"] == "1"
        await old.send(text(type="submit", request_id="two", pair=PAIR, audio=TONE))
        rejected = await answer(old)
        assert (rejected["type"], rejected["reason"], rejected["retry_after_ms"]) == ("rejected", STOPPING, 1000)
        async with connected(patient.session_url) as new:
            await new.send(text(type="hello", session_id="new"))
            error = await answer(new)
            assert (error["type"], error["reason"], error["retry_after_ms"]) == ("error", STOPPING, 1000)
            with pytest.raises(ConnectionClosed) as closed:
                await new.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        old.transport.abort()  # a known session may reconnect for its result
        async with connected(patient.session_url) as back:
            await back.send(text(type="hello", session_id="old", resume=True))
            assert (await answer(back))["type"] == "welcome"
            await back.send(text(type="submit", request_id="one", pair=PAIR, audio=TONE))
            assert (await answer(back))["type"] == "accepted"
            gate.open.set()
            result = await answer(back)
            assert (result["type"], result["request_id"], result["state"]) == ("result", "one", "completed")
        assert await asyncio.to_thread(stopped, patient) == (1, 0)
    metric = [line["reason"] for line in patient.events("job_rejected")]
    assert metric == [STOPPING] * 3


async def test_a_second_signal_ends_at_once_and_still_gives_jobs_back(patient: Scheduler) -> None:
    gate = Gate(patient)
    async with running(gate.worker), connected(patient.session_url) as client:
        await client.send(text(type="hello"))
        await client.send(text(type="submit", request_id="long", pair=PAIR, audio=TONE))
        assert [(await answer(client))["type"] for _ in range(2)] == ["welcome", "accepted"]
        await until(lambda: gate.started)
        await stop(patient)
        patient.signal(signal.SIGTERM)
        rejected = await answer(client)
        assert (rejected["type"], rejected["request_id"], rejected["reason"]) == ("rejected", "long", STOPPING)
        assert await asyncio.to_thread(stopped, patient) == (0, 1)
        await until(lambda: gate.cancelled == gate.started)


async def test_unfinished_jobs_go_to_the_next_scheduler(folder: Path, server: RedisServer) -> None:
    """Nodes cancel them, clients are informed and submit them again, and the next scheduler finds a clean store."""
    flags = ("--drain-s", "0.3", "--log-level", "debug")
    with started(Scheduler(folder, server.url, *flags, name="first")) as first:
        gate = Gate(first, slots=2)
        async with running(gate.worker), Client(first.url) as client, connected(first.session_url) as plain:
            await plain.send(text(type="hello", in_order=True))
            assert (await answer(plain))["type"] == "welcome"
            jobs = [asyncio.create_task(client.submit(TONE, PAIR, request_id=f"request-{n}")) for n in range(3)]
            await until(lambda: len(gate.started) == 2)
            await plain.send(text(type="submit", request_id="plain", pair=PAIR, audio=TONE))
            assert (await answer(plain))["type"] == "accepted"
            late = httpx.AsyncClient(base_url=first.url, trust_env=False, timeout=30)
            asked = asyncio.create_task(late.post("/v1/jobs", params={"pair": PAIR, "wait_s": 30}, content=TONE))
            await until(lambda: len(first.events("job_submitted")) == 5)
            await stop(first)
            reported = await answer(plain)
            assert (reported["type"], reported["request_id"], reported["reason"]) == ("rejected", "plain", STOPPING)
            assert reported["retry_after_ms"] == 1000
            with pytest.raises(ConnectionClosed) as closed:
                await plain.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
            response = await asked
            assert (response.status_code, response.json()["reason"]) == (503, STOPPING)
            assert response.headers["retry-after"] == "1"
            await late.aclose()
            assert await asyncio.to_thread(stopped, first) == (0, 5)
            assert left_in(server) == {"vp:partitions"}
            await until(lambda: len(gate.cancelled) == 2)
            assert [event["reason"] for event in first.events("job_ended")] == [STOPPING] * 5
            second = Scheduler(folder, server.url, port=first.port, name="second")
            with started(second):
                gate.open.set()
                results: list[JobResult] = await asyncio.gather(*jobs)
                assert [result.request_id for result in results] == [f"request-{n}" for n in range(3)]
                assert {(result.state, result.output) for result in results} == {("completed", "done")}
                assert client.connects == 2
                assert second.events("stale_allocation") == second.events("late_result") == []


async def test_buffered_results_are_sent_before_the_end(folder: Path) -> None:
    """The first of two jobs does not end in time: a message reports that, and the second result follows."""
    with started(Scheduler(folder, "memory", "--drain-s", "0.3", "--in-order-grace-s", "60")) as scheduler:

        async def work(work: Work) -> str:
            if not seen:
                seen.append(work.job_id)
                await asyncio.Event().wait()
            return "done"

        seen: list[str] = []
        worker = Worker(scheduler.url, node_id="two", pairs=[PAIR], slots=2, work=work)
        async with running(worker), connected(scheduler.session_url) as client:
            await client.send(text(type="hello", in_order=True))
            for request_id in ("first", "second"):
                await client.send(text(type="submit", request_id=request_id, pair=PAIR, audio=TONE))
            assert [(await answer(client))["type"] for _ in range(3)] == ["welcome", "accepted", "accepted"]
            await until(lambda: scheduler.events("job_ended"))
            await stop(scheduler)
            reported: list[dict[str, Any]] = [await answer(client) for _ in range(2)]
            assert [(message["type"], message["request_id"]) for message in reported] == [
                ("rejected", "first"),
                ("result", "second"),
            ]
        assert await asyncio.to_thread(stopped, scheduler) == (0, 1)


def left_in(server: RedisServer) -> set[str]:
    """Return the keys in that Redis."""
    with redis.Redis.from_url(server.url) as client:
        return {key.decode() for key in client.scan_iter()}
