"""Invalid input from nodes: it is answered, the connection is closed if necessary, and no other job is affected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import GoodFlow, running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import MB, answer, binary, text
from voxpool.scheduler.sdk import Client, Refused, Worker

JOBS_IN_REDIS_TOO = True
MEMORY_ONLY = ("test_a_node_that_sends_100_mb_is_closed_with_1009",)  # the door closes it, before its jobs matter


def register(pair: str, **fields: Any) -> dict[str, Any]:
    """A valid register, except for `fields`."""
    node_id = f"odd-{pair.split(':')[0]}"
    good = {"type": "register", "node_id": node_id, "process_id": "p-odd", "pairs": [pair], "slots": 1, "running": []}
    return good | fields


@pytest.fixture
async def odd_pair(pair: str) -> str:
    """The pair of a misbehaving node."""
    return f"odd-{pair}"


@pytest.fixture
async def node(scheduler: Scheduler, odd_pair: str) -> AsyncIterator[ClientConnection]:
    """A registered node."""
    async with connected(scheduler.node_url) as connection:
        await connection.send(text(**register(odd_pair)))
        assert (await answer(connection))["type"] == "registered"
        yield connection


async def closed_with(connection: ClientConnection, code: int) -> None:
    """Return the code with which the other end closes the connection."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await connection.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == code


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"slots": 0}, "bad_slots"),
        ({"slots": 1001}, "bad_slots"),
        ({"pairs": []}, "bad_pairs"),
        ({"pairs": ["zh-en"]}, "bad_pairs"),
        ({"node_id": "no spaces"}, "bad_node_id"),
        ({"running": [["job", 0]]}, "bad_running"),
        ({"protocol": 99}, "bad_protocol"),
        ({"type": "heartbeat"}, "register_first"),
        ({"type": "assign"}, "unknown_type"),
    ],
)
async def test_a_node_with_an_invalid_register_gets_an_error_and_is_closed(
    scheduler: Scheduler, good_flow: GoodFlow, odd_pair: str, fields: dict[str, Any], reason: str
) -> None:
    async with connected(scheduler.node_url) as connection:
        await connection.send(text(**register(odd_pair, **fields)))
        message = await answer(connection)
        assert (message["type"], message["reason"]) == ("error", reason)
        await closed_with(connection, 1008)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (text(type="sing"), "unknown_type"),
        ("{", "broken_json"),
        (b"\xc1", "broken_messagepack"),
        (text(type="result", job_id="a", attempt="one"), "bad_attempt"),
        (text(type="heartbeat"), "bad_running"),
    ],
)
async def test_a_node_that_sends_invalid_messages_is_closed_and_its_job_is_redispatched(
    scheduler: Scheduler, good_flow: GoodFlow, node: ClientConnection, odd_pair: str, frame: str | bytes, reason: str
) -> None:
    async with Client(scheduler.url) as client:
        job = asyncio.create_task(client.submit(TONE, odd_pair))
        assert (await answer(node))["type"] == "assign"
        await node.send(frame)
        assert (await answer(node))["reason"] == reason
        await closed_with(node, 1008)
        other = Worker(scheduler.url, node_id="other", pairs=[odd_pair], work=lambda work: "done")
        async with running(other):
            result = await job
        assert (result.state, result.attempts, result.output) == ("completed", 2, "done")


async def test_a_node_that_sends_100_mb_is_closed_with_1009(good_flow: GoodFlow, node: ClientConnection) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        await node.send(b"\x00" * (100 * MB))
        await node.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


async def test_a_result_for_a_job_that_the_node_does_not_hold_changes_nothing(
    scheduler: Scheduler, good_flow: GoodFlow, node: ClientConnection, odd_pair: str
) -> None:
    """The job belongs to another node or to another attempt, or never existed."""
    nodes = scheduler.get("/v1/nodes")["nodes"]
    assert [entry["running"] for entry in nodes if entry["node_id"] == good_flow.worker.node_id] == [1]
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
        job_id = (await http.post("/v1/jobs", params={"pair": good_flow.pair}, content=TONE)).json()["job_id"]
        await until(lambda: scheduler.get(f"/v1/jobs/{job_id}")["state"] == "dispatched")
        for foreign in (job_id, "nobody-knows-it"):
            await node.send(text(type="result", job_id=foreign, attempt=1, output="stolen"))
            message = await answer(node)
            assert (message["type"], message["reason"]) == ("error", "not_held")
        own = (await http.post("/v1/jobs", params={"pair": odd_pair}, content=TONE)).json()["job_id"]
        assign = await answer(node)
        assert (assign["type"], assign["job_id"], assign["attempt"]) == ("assign", own, 1)
        await node.send(text(type="result", job_id=own, attempt=2, output="too early"))
        assert (await answer(node))["reason"] == "not_held"
        await node.send(text(type="result", job_id=own, attempt=1, output="right"))
        ended = (await http.get(f"/v1/jobs/{own}", params={"wait_s": 10})).json()
        assert (ended["state"], ended["output"], ended["attempts"]) == ("completed", "right", 1)
        good_flow.gate.set()
        ended = (await http.get(f"/v1/jobs/{job_id}", params={"wait_s": 10})).json()
        assert (ended["state"], ended["output"], ended["attempts"]) == ("completed", len(TONE), 1)


@pytest.mark.parametrize(
    ("encode", "output", "reason"),
    [
        (text, "x" * 1_100_000, "output_too_large"),
        (binary, {(1, 2): 3}, "bad_output"),
        (text, 2**70, "bad_output"),
    ],
)
async def test_an_output_that_cannot_be_sent_to_a_client_fails_the_job_with_a_reason(
    scheduler: Scheduler, good_flow: GoodFlow, odd_pair: str, encode: Any, output: Any, reason: str
) -> None:
    async with connected(scheduler.node_url) as node, Client(scheduler.url) as client:
        await node.send(text(**register(odd_pair)))
        assert (await answer(node))["type"] == "registered"
        job = asyncio.create_task(client.submit(TONE, odd_pair))
        assign = await answer(node)
        await node.send(encode(type="result", job_id=assign["job_id"], attempt=1, output=output))
        assert (await answer(node))["reason"] == reason
        result = await job
        assert (result.state, result.error) == ("failed", reason)


async def test_a_worker_keeps_an_output_that_is_too_large_and_its_connection(scheduler: Scheduler, pair: str) -> None:
    """If it were sent, the connection would be closed with 1009, and the job would go to the next node."""
    came: list[str] = []
    name = pair.split(":")[0]
    worker = Worker(
        scheduler.url, node_id=f"wordy-{name}", pairs=[pair], work=lambda work: "x" * 4_000_000, on_event=came.append
    )
    async with running(worker), Client(scheduler.url) as client:
        result = await client.submit(TONE, pair)
        assert (result.state, result.error, result.attempts) == ("failed", "output_too_large", 1)
        assert len([event for event in came if event.startswith("registered")]) == 1


async def test_a_long_reason_in_chinese_is_cut_between_characters(
    scheduler: Scheduler, good_flow: GoodFlow, node: ClientConnection, odd_pair: str
) -> None:
    """The earlier scheduler cut an error text in the middle of a character, and its handler failed (R20)."""
    async with Client(scheduler.url) as client:
        job = asyncio.create_task(client.submit(TONE, odd_pair))
        assign = await answer(node)
        await node.send(
            text(type="result", job_id=assign["job_id"], attempt=1, error={"reason": "音" * 5000, "retryable": False})
        )
        result = await job
        assert (result.state, result.error, result.detail) == ("failed", "engine_error", "音" * 499 + "…")


async def test_the_second_of_two_nodes_with_one_name_is_refused(scheduler: Scheduler, good_flow: GoodFlow) -> None:
    second = Worker(scheduler.url, node_id=good_flow.worker.node_id, pairs=[good_flow.pair], work=lambda work: None)
    with pytest.raises(Refused, match="name_taken"):
        await second.run()


async def test_a_node_that_reads_nothing_is_closed_and_its_jobs_are_redispatched(
    scheduler: Scheduler, good_flow: GoodFlow, odd_pair: str
) -> None:
    """It registers, then never reads: its jobs go to another node within a few seconds."""
    async with connected(scheduler.node_url, max_queue=1, close_timeout=0.1) as stuck, Client(scheduler.url) as client:
        await stuck.send(text(**register(odd_pair, slots=40)))
        assert json.loads(await stuck.recv())["type"] == "registered"
        stuck.transport.pause_reading()
        audio = TONE + b"\x00" * 900_000
        jobs = [asyncio.create_task(client.submit(audio, odd_pair)) for _ in range(20)]
        await until(lambda: [e for e in scheduler.events("peer_aborted") if e["reason"] == "takes_nothing"])
        other = Worker(scheduler.url, node_id="swift", pairs=[odd_pair], slots=4, work=lambda work: len(work.audio))
        async with running(other):
            results = await asyncio.gather(*jobs)
        assert {(result.state, result.output) for result in results} == {("completed", len(audio))}
