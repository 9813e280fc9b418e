"""The interface to clients: jobs over HTTP, sessions in both kinds of frames, bounds with a time to retry."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import binary, text
from voxpool.scheduler.sdk import Work, Worker

JOBS_IN_REDIS_TOO = True
MEMORY_ONLY = ("test_why_explains_the_choice_of_a_node",)  # a slot is reserved there before its job is known

OUTPUT = {"text": "你好", "words": [1, 2.5, None, True]}


@pytest.fixture
async def http(scheduler: Scheduler) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as client:
        yield client


class Gate:
    """A worker whose jobs end when `open` is set; it records the jobs that it got and those that were cancelled."""

    def __init__(self, scheduler: Scheduler, pair: str) -> None:
        self.open = asyncio.Event()
        self.works: list[Work] = []
        self.worker = Worker(
            scheduler.url, node_id=f"gate-{pair.split(':')[0]}", pairs=[pair], slots=4, work=self._work
        )

    async def _work(self, work: Work) -> Any:
        self.works.append(work)
        await self.open.wait()
        return OUTPUT


@pytest.fixture
async def gate(scheduler: Scheduler, pair: str) -> AsyncIterator[Gate]:
    gate = Gate(scheduler, pair)
    async with running(gate.worker):
        await until(lambda: gate.worker.node_id in scheduler.node_ids())
        yield gate
        gate.open.set()


async def state_of(http: httpx.AsyncClient, job_id: str, state: str) -> None:
    """Wait until the job is in that state."""
    async with asyncio.timeout(10):
        while (await http.get(f"/v1/jobs/{job_id}")).json()["state"] != state:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_job_over_http_from_its_submit_to_its_result(http: httpx.AsyncClient, gate: Gate, pair: str) -> None:
    accepted = await http.post(
        "/v1/jobs", params={"pair": pair}, content=TONE, headers={"idempotency-key": f"k-{pair[:2]}"}
    )
    assert accepted.status_code == 202
    assert accepted.headers["location"] == f"/v1/jobs/{accepted.json()['job_id']}"
    job_id = accepted.json()["job_id"]
    await state_of(http, job_id, "dispatched")
    waiting = asyncio.create_task(http.get(f"/v1/jobs/{job_id}", params={"wait_s": 10}))
    gate.open.set()
    job = (await waiting).json()
    assert (job["state"], job["output"], job["attempts"]) == ("completed", OUTPUT, 1)
    assert set(job["times_ms"]) == {"waiting", "dispatched", "total"}
    assert gate.works[0].audio == TONE


async def test_a_job_that_ends_while_its_submit_waits_is_answered_at_once(
    http: httpx.AsyncClient, gate: Gate, pair: str
) -> None:
    gate.open.set()
    answer = await http.post("/v1/jobs", params={"pair": pair, "wait_s": 10}, content=TONE)
    assert (answer.status_code, answer.json()["state"], answer.json()["output"]) == (200, "completed", OUTPUT)


async def test_a_cancelled_job_is_taken_from_its_node(http: httpx.AsyncClient, gate: Gate, pair: str) -> None:
    job_id = (await http.post("/v1/jobs", params={"pair": pair}, content=TONE)).json()["job_id"]
    await until(lambda: gate.works)
    assert (await http.delete(f"/v1/jobs/{job_id}")).json()["state"] == "cancelled"
    await until(gate.works[0].cancelled.is_set)
    assert (await http.delete(f"/v1/jobs/{job_id}")).json()["state"] == "cancelled"  # a repeated cancel changes nothing


async def test_jobs_are_listed_newest_first_in_pages_and_by_state(
    http: httpx.AsyncClient, gate: Gate, pair: str, scheduler: Scheduler
) -> None:
    posted = [(await http.post("/v1/jobs", params={"pair": pair}, content=TONE)).json()["job_id"] for _ in range(5)]
    await until(lambda: len(gate.works) == 4)
    first = (await http.get("/v1/jobs", params={"limit": 2})).json()
    second = (await http.get("/v1/jobs", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == posted[::-1]
    waiting = (await http.get("/v1/jobs?state=waiting&limit=1000")).json()["jobs"]
    assert [job["job_id"] for job in waiting if job["job_id"] in posted] == posted[4:], "others may wait, too"
    gate.open.set()
    for job_id in posted:
        await state_of(http, job_id, "completed")
    command = [sys.executable, "-m", "voxpool.scheduler", "jobs", "--url", scheduler.url, "--limit", "5", "--json"]
    listed = await asyncio.to_thread(subprocess.check_output, [*command, "--state", "completed"], text=True)
    assert [json.loads(line)["job_id"] for line in listed.splitlines()] == posted[::-1]
    assert "output" not in json.loads(listed.splitlines()[0])


async def test_nodes_and_pools_are_listed(http: httpx.AsyncClient, gate: Gate, pair: str) -> None:
    jobs = [await http.post("/v1/jobs", params={"pair": pair}, content=TONE) for _ in range(5)]
    await until(lambda: len(gate.works) == 4)
    nodes = {node["node_id"]: node for node in (await http.get("/v1/nodes")).json()["nodes"]}
    assert (nodes[gate.worker.node_id]["running"], nodes[gate.worker.node_id]["slots"]) == (4, 4)
    pools = {pool["pair"]: pool for pool in (await http.get("/v1/pools")).json()["pools"]}
    assert pools[pair] == {"pair": pair, "nodes": 1, "slots": 4, "running": 4, "waiting": 1}
    async with asyncio.timeout(10):  # the end of a node of another test may not be processed yet
        while True:
            first = (await http.get("/v1/nodes", params={"limit": 1})).json()
            if first["total"] == len((await http.get("/v1/nodes")).json()["nodes"]):
                break
    assert len(first["nodes"]) == 1
    gate.open.set()
    for job in jobs:
        await state_of(http, job.json()["job_id"], "completed")


async def test_why_explains_the_choice_of_a_node(
    http: httpx.AsyncClient, scheduler: Scheduler, gate: Gate, pair: str
) -> None:
    """A job submitted with why has its decisions; another job only has the current state of its pool.

    The command prints the same.
    """
    asked, plain = [
        (await http.post("/v1/jobs", params={"pair": pair, "why": why}, content=TONE)).json()["job_id"]
        for why in (1, 0)
    ]
    await until(lambda: len(gate.works) == 2)
    reported = (await http.get(f"/v1/jobs/{asked}/why")).json()
    node_id = gate.worker.node_id
    assert [decision["what"] for decision in reported["decisions"]] == ["submitted", "looked", "dispatched"]
    assert reported["decisions"][1]["looks"] == [[node_id, "free", 0, 4]]
    assert reported["pool"] == {"nodes": 1, "with_room": 1, "full": 0, "draining": 0, "resting": 0, "joining": 0}
    other = (await http.get(f"/v1/jobs/{plain}/why")).json()
    assert (other["followed"], other["decisions"]) == (False, [])
    assert (await http.get("/v1/jobs/nobody/why")).status_code == 404
    command = [sys.executable, "-m", "voxpool.scheduler", "why", "--url", scheduler.url]
    shown = (
        await asyncio.to_thread(subprocess.run, [*command, asked], capture_output=True, text=True, check=True)
    ).stdout
    assert f"for attempt 1 looked at {node_id} free 0/4: {node_id} is taken" in shown
    assert f"nodes of {pair} now: 1 nodes, 1 with room" in shown
    shown = (
        await asyncio.to_thread(subprocess.run, [*command, plain], capture_output=True, text=True, check=True)
    ).stdout
    assert "submit with --why, or set why_every" in shown


@pytest.mark.parametrize("encode", [text, binary])
async def test_a_session_answers_in_the_kind_of_frame_of_its_hello(
    scheduler: Scheduler, gate: Gate, pair: str, encode: Any
) -> None:
    gate.open.set()
    async with connected(scheduler.session_url) as socket:

        async def answer() -> dict[str, Any]:
            frame = await socket.recv()
            assert isinstance(frame, str) == (encode is text)
            message: dict[str, Any] = json.loads(frame) if isinstance(frame, str) else msgspec.msgpack.decode(frame)
            return message

        await socket.send(encode(type="hello", session_id=f"s-{pair.split(':')[0]}"))
        welcome = await answer()
        assert (welcome["type"], welcome["session_id"]) == ("welcome", f"s-{pair.split(':')[0]}")
        assert welcome["limits"]["audio_bytes_max"] == 1_000_000
        request_id = f"{encode.__name__}-{pair.split(':')[0]}"
        await socket.send(encode(type="submit", request_id=request_id, pair=pair, audio=TONE))
        accepted, result = await answer(), await answer()
        assert accepted == {"type": "accepted", "request_id": request_id, "job_id": result["job_id"]}
        assert set(result) == {"type", "job_id", "request_id", "state", "attempts", "times_ms", "output", "number"}
        assert (result["state"], result["output"]) == ("completed", OUTPUT)


async def greeted(socket: Any, session_id: str, resume: bool = False) -> None:
    """Send hello in JSON."""
    await socket.send(text(type="hello", session_id=session_id, resume=resume))
    assert json.loads(await socket.recv())["type"] == "welcome"


async def submitted(socket: Any, request_id: str, pair: str) -> str:
    """Submit a job and return its id."""
    await socket.send(text(type="submit", request_id=request_id, pair=pair, audio=TONE))
    message = json.loads(await socket.recv())
    assert message["type"] == "accepted", message
    return str(message["job_id"])


async def test_the_jobs_of_a_client_that_says_goodbye_are_cancelled(
    scheduler: Scheduler, http: httpx.AsyncClient, gate: Gate, pair: str
) -> None:
    """Nobody waits for them any more, so they would waste node time (R16)."""
    name = pair.split(":")[0]
    async with connected(scheduler.session_url) as socket:
        await greeted(socket, f"bye-{name}")
        job_id = await submitted(socket, f"bye-{name}", pair)
        await until(lambda: gate.works)
    await state_of(http, job_id, "cancelled")
    await until(gate.works[0].cancelled.is_set)


async def test_a_client_whose_connection_broke_reconnects_for_its_results(
    scheduler: Scheduler, http: httpx.AsyncClient, gate: Gate, pair: str
) -> None:
    name = pair.split(":")[0]
    async with connected(scheduler.session_url) as socket:
        await greeted(socket, f"broken-{name}")
        job_id = await submitted(socket, f"broken-{name}", pair)
        await until(lambda: gate.works)
        socket.transport.abort()
    await until(lambda: any(event["session_id"] == f"broken-{name}" for event in scheduler.events("session_closed")))
    gate.open.set()
    await state_of(http, job_id, "completed")
    async with connected(scheduler.session_url) as socket:
        await greeted(socket, f"broken-{name}", resume=True)
        result = json.loads(await socket.recv())
        assert (result["type"], result["job_id"], result["output"]) == ("result", job_id, OUTPUT)


async def test_a_second_connection_of_a_session_takes_over(scheduler: Scheduler, gate: Gate, pair: str) -> None:
    name = pair.split(":")[0]
    async with connected(scheduler.session_url) as older, connected(scheduler.session_url) as newer:
        await greeted(older, f"twice-{name}")
        job_id = await submitted(older, f"twice-{name}", pair)
        await until(lambda: gate.works)
        await greeted(newer, f"twice-{name}", resume=True)
        await older.wait_closed()
        assert older.close_code == 4000
        gate.open.set()
        result = json.loads(await newer.recv())
        assert (result["type"], result["job_id"], result["state"]) == ("result", job_id, "completed")


async def test_a_session_can_only_cancel_its_own_jobs(scheduler: Scheduler, gate: Gate, pair: str) -> None:
    name = pair.split(":")[0]
    async with connected(scheduler.session_url) as one, connected(scheduler.session_url) as other:
        await greeted(one, f"one-{name}")
        await greeted(other, f"other-{name}")
        job_id = await submitted(one, f"one-{name}", pair)
        await until(lambda: gate.works)
        await other.send(text(type="cancel", job_id=job_id))
        assert json.loads(await other.recv())["reason"] == "unknown_job"
        await one.send(text(type="cancel", job_id=job_id))
        result = json.loads(await one.recv())
        assert (result["type"], result["state"], result["error"]) == ("result", "cancelled", "cancelled")
