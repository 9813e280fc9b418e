"""The dashboard's stream on a real scheduler: its events, the limit of viewers, and that it does not delay a stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from voxpool.scheduler.sdk import Client, Worker


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Yield (event, data) as a browser does."""
    kind = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


@contextlib.asynccontextmanager
async def watching(scheduler: Scheduler, query: str = "") -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """One viewer."""
    async with (
        httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http,
        http.stream("GET", f"/v1/dashboard{query}") as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield events(response)


async def test_the_past_comes_first_then_the_current_state(scheduler: Scheduler, pair: str) -> None:
    worker = Worker(scheduler.url, node_id=f"seen-{pair[:2]}", pairs=[pair], slots=3, work=lambda work: "done")
    async with running(worker), Client(scheduler.url) as client, watching(scheduler) as stream:
        await until(lambda: worker.node_id in scheduler.node_ids())
        result = await client.submit(TONE, pair)
        kind, past = await anext(stream)
        assert kind == "past" and past["limits"]["retention_s"] == 300 and len(past["points"]) <= past["seconds"]
        completed = 0
        async for kind, now in stream:
            assert kind == "now" and now["viewers"] >= 1, "one of the test before may be leaving"
            completed += now["point"]["completed"]
            is_listed = [worker.node_id, "ready", 0, 3] in [row[:4] for row in now["fleet"]["nodes"]]
            is_free = is_listed and [pair, 1, 1, 3, 0, 3, 0, 0] in now["fleet"]["pools"]
            if completed and is_free and any(job["job_id"] == result.job_id for job in now["ended"]):
                break
        assert now["minute"]["completed"] >= 1 and now["service"]["jobs"] >= 1


async def test_viewers_are_bounded_and_a_stop_waits_for_none(folder: Path) -> None:
    scheduler = Scheduler(folder, "memory", "--viewers-max", "2", "--stop-s", "60")
    async with watching(scheduler) as first, watching(scheduler) as second:
        await anext(first)
        await anext(second)
        async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
            refused = await http.get("/v1/dashboard")
            assert (refused.status_code, refused.json()["reason"]) == (503, "viewers_max")
            assert refused.headers["retry-after"]
            assert (await http.head("/v1/dashboard")).status_code == 200
    async with asyncio.timeout(10):
        while True:  # closed viewers no longer count
            with contextlib.suppress(AssertionError):
                async with watching(scheduler) as third:
                    await anext(third)
                    await anext(third)
                    scheduler.popen.terminate()
                    rest = [kind async for kind, _ in third]
                    assert set(rest) <= {"now"}
                    break
    assert await asyncio.to_thread(scheduler.end) == 0  # much less than stop_s
    assert scheduler.events("http_server") == []


async def test_a_viewer_that_disconnects_is_forgotten(scheduler: Scheduler) -> None:
    for _ in range(20):
        async with watching(scheduler) as stream:
            await anext(stream)
    async with watching(scheduler) as stream:
        await anext(stream)
        async for _, now in stream:
            if now["viewers"] == 1:
                return


async def test_a_stream_can_be_asked_to_end(scheduler: Scheduler) -> None:
    async with watching(scheduler, "?snapshots=2") as stream:
        assert [kind async for kind, _ in stream] == ["past", "now", "now"]
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
        refused = await http.get("/v1/dashboard?snapshots=0")
        assert (refused.status_code, refused.json()["reason"]) == (422, "bad_snapshots")
