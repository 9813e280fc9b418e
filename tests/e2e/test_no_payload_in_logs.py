"""No log line of a real scheduler, at any level, contains audio or output, whatever error they cause (row O1)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.unit.log_rules import strange_lines, traces_of
from voxpool.scheduler.protocol.codec import encode
from voxpool.scheduler.protocol.messages import Hello, NodeResult, Register, Submit, WorkError
from voxpool.scheduler.sdk import Client, Work, Worker, WorkFailed

HEARD = b"the patient said: call me back tomorrow"
AUDIO = TONE + HEARD
PAIR = "zh:en"


@pytest.fixture
def chatty(folder: Path) -> Iterator[Scheduler]:
    flags = ("--output-bytes-max", "1000", "--retention-s", "0.5", "--cleanup-interval-s", "0.5")
    scheduler = Scheduler(folder, "memory", "--log-level", "debug", *flags)
    yield scheduler
    assert scheduler.stop() == 0


async def test_no_payload_is_logged(chatty: Scheduler) -> None:
    spoken = HEARD.decode()
    answers: list[Any] = [
        {"text": spoken},
        {"text": spoken * 100},  # too large
        {1: spoken},  # can't be encoded in JSON
        WorkFailed(spoken, retryable=False),
        WorkFailed(spoken[:20], retryable=True),
        RuntimeError(spoken),
    ]

    async def work(work: Work) -> Any:
        answer = answers.pop(0) if answers else spoken
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with running(Worker(chatty.url, node_id="n", pairs=[PAIR], work=work)), Client(chatty.url) as client:
        for _ in range(6):
            assert (await client.submit(AUDIO, PAIR)).state in ("completed", "failed")
        async with httpx.AsyncClient(base_url=chatty.url, trust_env=False) as http:
            for content in (AUDIO, HEARD, b"", AUDIO * 200):
                await http.post("/v1/jobs", content=content, params={"pair": PAIR, "wait_s": "5"})
                await http.post("/v1/jobs", content=content, params={"pair": spoken, "session": spoken})
            await http.get(f"/v1/jobs/{spoken}")
    await _broken_frames(chatty)
    await until(lambda: len(chatty.events("job_removed")) >= 7)
    assert chatty.stop() == 0
    log = chatty.log.read_bytes()
    assert traces_of(HEARD, log) == [] and traces_of(TONE[:64], log) == []
    assert strange_lines(chatty.events()) == []
    events = {line["event"] for line in chatty.events()}
    assert {"bad_message", "late_result", "job_rejected", "job_redispatched", "job_ended"} <= events
    assert "engine_error" in {line.get("reason") for line in chatty.events("job_ended")}


async def _broken_frames(scheduler: Scheduler) -> None:
    """Send frames to both endpoints that have the payload in a wrong place, or are cut in the middle of it."""
    spoken = HEARD.decode()
    submit = encode(Submit("r", PAIR, AUDIO), binary=True)
    text = encode(Submit("r", PAIR, AUDIO), binary=False).decode()
    frames: list[Any] = [
        submit[:-10],
        text[: len(text) - 40],
        HEARD,
        spoken,
        text.replace(PAIR, spoken),
        text.replace('"r"', f'"{spoken}"'),
        text.replace("submit", spoken),
        msgspec.json.encode({"type": "cancel", "job_id": spoken}).decode(),
        base64.b64encode(AUDIO),
    ]
    for frame in frames:
        async with connected(scheduler.session_url) as client:
            await client.send(encode(Hello(), binary=True))
            await client.recv()
            await client.send(frame)
            await client.recv()
    for message in (
        NodeResult("nobody", 1, output=spoken),
        NodeResult("nobody", 1, error=WorkError(spoken)),
        HEARD,
        text,
    ):
        async with connected(scheduler.node_url) as node:
            await node.send(encode(Register("m", "p", ["a:b"], 1, []), binary=True))
            await node.recv()
            await node.send(message if isinstance(message, str | bytes) else encode(message, binary=True))
            with contextlib.suppress(ConnectionClosed):
                async with asyncio.timeout(5):
                    await node.recv()
