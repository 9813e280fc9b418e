"""The audio of a job is released when the job ends, also by the connection that it came from."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import Scheduler, connected, until
from tests.load.steady_jobs import wav_of
from tests.servers import BOTH, place_of
from voxpool.scheduler.sdk import Work, Worker

AUDIO = wav_of(bytes(4_000_000))
SOON_S = 5.0
"""Less than the ping interval: a ping would release it."""


def allocated_bytes(scheduler: Scheduler) -> int:
    allocated: int = scheduler.get("/v1/debug/memory?gc=1&types=0")["memory"]["allocated_bytes"]
    return allocated


async def answer(work: Work) -> int:
    return len(work.audio)


@pytest.fixture(scope="module", params=BOTH)
def scheduler(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler for these tests alone; its jobs are in its memory, or in Redis."""
    with place_of(request.param) as place:
        started = Scheduler(tmp_path_factory.mktemp("audio"), *place, patience_s=60)
        yield started
        assert started.stop() == 0


async def test_an_idle_session_holds_no_audio_of_a_job_that_has_ended(scheduler: Scheduler) -> None:
    """The parser of frames keeps its last frame until another one arrives."""
    worker = Worker(scheduler.url, node_id="n", pairs=["a:b"], slots=1, work=answer)
    async with running(worker), connected(scheduler.session_url) as socket:
        await socket.send(json.dumps({"type": "hello", "protocol": 1}))
        await ask(socket, wav_of(bytes(100)))
        before = await asyncio.to_thread(allocated_bytes, scheduler)
        await ask(socket, AUDIO)
        await until(lambda: allocated_bytes(scheduler) < before + len(AUDIO) // 10, SOON_S)


async def ask(socket: Any, audio: bytes) -> None:
    """Submit `audio` and wait for the result."""
    body = {"type": "submit", "pair": "a:b", "request_id": f"r{len(audio)}", "audio": base64.b64encode(audio).decode()}
    await socket.send(json.dumps(body))
    while (message := json.loads(await socket.recv()))["type"] != "result":
        assert message["type"] in ("welcome", "accepted"), message
    assert message["output"] == len(audio)


async def test_a_keep_alive_http_connection_holds_no_audio_either(scheduler: Scheduler) -> None:
    worker = Worker(scheduler.url, node_id="n", pairs=["a:b"], slots=1, work=answer)
    async with running(worker), httpx.AsyncClient(base_url=scheduler.url, trust_env=False, timeout=30) as http:
        for audio in (wav_of(bytes(100)), AUDIO):
            before = await asyncio.to_thread(allocated_bytes, scheduler)
            done = await http.post("/v1/jobs?pair=a:b&wait_s=20", content=audio)
            assert done.status_code == 200 and done.json()["output"] == len(audio)
        await until(lambda: allocated_bytes(scheduler) < before + len(AUDIO) // 10, SOON_S)
