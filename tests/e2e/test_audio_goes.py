"""The audio of a job is released when the job ends, also by the connection that it came from."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.conftest import running
from tests.e2e.processes import Scheduler, connected, until
from tests.load.steady_jobs import wav_of
from voxpool.scheduler.sdk import Work, Worker

AUDIO = wav_of(bytes(4_000_000))
SOON_S = 5.0
"""Less than the ping interval: a ping would release it."""


def allocated_bytes(scheduler: Scheduler) -> int:
    allocated: int = scheduler.get("/v1/debug/memory?gc=1&types=0")["memory"]["allocated_bytes"]
    return allocated


async def answer(work: Work) -> int:
    return len(work.audio)


async def test_an_idle_session_holds_no_audio_of_a_job_that_has_ended(tmp_path: Path) -> None:
    """The parser of frames keeps its last frame until another one arrives."""
    scheduler = Scheduler(tmp_path, "memory")
    try:
        worker = Worker(scheduler.url, node_id="n", pairs=["a:b"], slots=1, work=answer)
        async with running(worker), connected(scheduler.session_url) as socket:
            await socket.send(json.dumps({"type": "hello", "protocol": 1}))
            await ask(socket, wav_of(bytes(100)))
            before = await asyncio.to_thread(allocated_bytes, scheduler)
            await ask(socket, AUDIO)
            await until(lambda: allocated_bytes(scheduler) < before + len(AUDIO) // 10, SOON_S)
    finally:
        scheduler.stop()


async def ask(socket: Any, audio: bytes) -> None:
    """Submit `audio` and wait for the result."""
    body = {"type": "submit", "pair": "a:b", "request_id": f"r{len(audio)}", "audio": base64.b64encode(audio).decode()}
    await socket.send(json.dumps(body))
    while (message := json.loads(await socket.recv()))["type"] != "result":
        assert message["type"] in ("welcome", "accepted"), message
    assert message["output"] == len(audio)


async def test_a_keep_alive_http_connection_holds_no_audio_either(tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path, "memory")
    try:
        worker = Worker(scheduler.url, node_id="n", pairs=["a:b"], slots=1, work=answer)
        async with running(worker), httpx.AsyncClient(base_url=scheduler.url, trust_env=False, timeout=30) as http:
            for audio in (wav_of(bytes(100)), AUDIO):
                before = await asyncio.to_thread(allocated_bytes, scheduler)
                done = await http.post("/v1/jobs?pair=a:b&wait_s=20", content=audio)
                assert done.status_code == 200 and done.json()["output"] == len(audio)
            await until(lambda: allocated_bytes(scheduler) < before + len(AUDIO) // 10, SOON_S)
    finally:
        scheduler.stop()
