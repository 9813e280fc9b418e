"""Bounds of the scheduler's endpoints: each rejection has its reason and a time to retry."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

from tests.e2e.conftest import running
from tests.e2e.counted import cut_off
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.raw_http import Raw, raw, request
from tests.e2e.secured import Keys, Secured
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_bad_input_http import is_problem
from tests.e2e.test_bad_input_nodes import closed_with, register
from tests.e2e.test_processes import started
from tests.servers import BOTH, place_of
from voxpool.scheduler.sdk import Client, Work, Worker, WorkFailed
from voxpool.scheduler.web.wire.allowance import STRANGERS_MESSAGE_BYTES_MAX

FLAGS = (
    *("--sessions-max", "2", "--nodes-max", "2", "--result-waiters-max", "2", "--retry-after-s", "1.5"),
    *("--audio-bytes-max", "100000", "--audio-total-bytes-max", "150000"),
    *("--incoming-bytes-max", "250000", "--session-grace-s", "1"),
    *("--retention-s", "0.3", "--cleanup-interval-s", "0.05", "--rest-s", "3", "--waiting-timeout-s", "60"),
)


@pytest.fixture(scope="module", params=BOTH)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler with room for two of everything and a short memory."""
    with (
        place_of(request.param) as place,
        started(Scheduler(tmp_path_factory.mktemp("small"), *place, *FLAGS, patience_s=60)) as scheduler,
    ):
        yield scheduler


@pytest.fixture
async def http(small: Scheduler) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=small.url, trust_env=False) as client:
        yield client


@contextlib.asynccontextmanager
async def session(small: Scheduler, **hello: Any) -> AsyncIterator[ClientConnection]:
    """A client whose hello was accepted."""
    async with connected(small.session_url) as socket:
        await socket.send(text(type="hello", **hello))
        assert json.loads(await socket.recv())["type"] == "welcome"
        yield socket


async def test_the_audio_of_all_jobs_is_bounded_and_its_budget_returns(
    small: Scheduler, http: httpx.AsyncClient
) -> None:
    audio = TONE[:44] + b"\x00" * 80_000
    job = (await http.post("/v1/jobs", params={"pair": "a:b"}, content=audio)).json()
    refused = await http.post("/v1/jobs", params={"pair": "a:b"}, content=audio)
    is_problem(refused, 503, "audio_total_bytes_max")
    assert (refused.headers["retry-after"], refused.json()["retry_after_ms"]) == ("2", 1500)
    async with session(small) as socket:
        await socket.send(text(type="submit", request_id="more", pair="a:b", audio=audio))
        rejected = json.loads(await socket.recv())
        assert (rejected["reason"], rejected["retry_after_ms"]) == ("audio_total_bytes_max", 1500)
    await http.delete(f"/v1/jobs/{job['job_id']}")
    again = await http.post("/v1/jobs", params={"pair": "a:b"}, content=audio)
    assert again.status_code == 202, "a job that ended keeps no audio"
    await http.delete(f"/v1/jobs/{again.json()['job_id']}")


async def test_partly_received_messages_are_bounded_over_all_peers(small: Scheduler) -> None:
    """Two bodies without their last byte fill it; a third body, or a message, has to wait for them."""
    part = request("POST", "/v1/jobs?pair=a:b", "Content-Length: 100000") + b"y" * 99_999
    async with raw(small.port) as first, raw(small.port) as second:
        for wire in (first, second):
            await wire.send(part)
        await all_taken(small, first, second)
        async with raw(small.port) as third:
            await third.send(part)
            refused = await third.answer()
            assert b"503 " in refused and b"retry-after: 2" in refused and b'"reason":"incoming_bytes_max"' in refused
        async with cut_off(small, incoming_full=1), session(small, session_id="part") as socket:
            socket.transport.write(Frame(Opcode.BINARY, b"y" * 100_000).serialize(mask=True)[:-1])
            await socket.wait_closed()
        for wire in (first, second):
            await wire.send(b"y")
            assert await wire.status() == 415, "these are read to their end"
    async with raw(small.port) as fourth:
        await fourth.send(part + b"y")
        assert await fourth.status() == 415, "there is room again"


async def all_taken(small: Scheduler, *wires: Raw) -> None:
    """Return when everything sent was read: it has left this process, and the other end had several turns."""
    await until(lambda: not any(wire.writer.transport.get_write_buffer_size() for wire in wires))
    async with httpx.AsyncClient(base_url=small.url, trust_env=False) as http:
        for _ in range(10):
            await http.get("/healthz")


async def test_waiting_requests_are_counted_and_bounded(http: httpx.AsyncClient) -> None:
    job = (await http.post("/v1/jobs", params={"pair": "a:b"}, content=TONE)).json()["job_id"]
    waits = [asyncio.create_task(http.get(f"/v1/jobs/{job}", params={"wait_s": 60}, timeout=60)) for _ in range(2)]
    try:
        await requests_that_wait(http, 2)
        refused = await http.get(f"/v1/jobs/{job}", params={"wait_s": 1})
        is_problem(refused, 503, "result_waiters_max")
        assert refused.headers["retry-after"] == "2"
        assert (await http.get(f"/v1/jobs/{job}")).status_code == 200, "who does not wait is answered"
    finally:
        await http.delete(f"/v1/jobs/{job}")
    assert [(await wait).json()["state"] for wait in waits] == ["cancelled"] * 2
    await requests_that_wait(http, 0)


async def requests_that_wait(http: httpx.AsyncClient, count: int) -> None:
    """Return when `count` requests wait for the end of a job."""
    async with asyncio.timeout(15):
        while (await http.get("/v1/debug/memory")).json()["tasks"]["functions"].get("_gone", 0) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_sessions_are_bounded_and_a_known_one_can_reconnect(small: Scheduler) -> None:
    await nobody_is_connected(small)
    async with session(small, session_id="one"), session(small, session_id="two"):
        async with connected(small.session_url) as third:
            await third.send(text(type="hello", session_id="three"))
            refused = json.loads(await third.recv())
            assert (refused["reason"], refused["retry_after_ms"]) == ("sessions_max", 1500)
            await closed_with(third, 1008)
        async with session(small, session_id="one"):
            pass
    await nobody_is_connected(small)
    async with session(small, session_id="three"):
        pass


async def nobody_is_connected(scheduler: Scheduler) -> None:
    """Wait until the ends of all sessions are processed and no request waits."""

    def sessions() -> int:
        tables = scheduler.get("/v1/debug/memory")["tables"]
        return int(tables["sessions._sessions"])

    await until(lambda: sessions() == 0)


async def test_nodes_are_bounded(small: Scheduler) -> None:
    await until(lambda: small.get("/v1/nodes")["nodes"] == [])  # the nodes of the test before
    async with contextlib.AsyncExitStack() as stack:
        for number in range(3):
            node = await stack.enter_async_context(connected(small.node_url))
            await node.send(text(**register("x:y", node_id=f"n{number}")))
            answer = json.loads(await node.recv())
            assert answer.get("reason", answer["type"]) == ("registered" if number < 2 else "nodes_max")
        await closed_with(node, 1008)
    await until(lambda: small.node_ids() == [])


async def test_a_missed_result_is_sent_within_its_retention_only(small: Scheduler, http: httpx.AsyncClient) -> None:
    gate, begun = asyncio.Event(), list[str]()

    async def work(work: Work) -> str:
        begun.append(work.job_id)
        await gate.wait()
        return "done"

    async with running(Worker(small.url, node_id="slow", pairs=["m:m"], work=work)):
        async with session(small, session_id="missed") as socket:
            await socket.send(text(type="submit", request_id="missed", pair="m:m", audio=TONE))
            job_id = json.loads(await socket.recv())["job_id"]
            socket.transport.abort()
        gate.set()
        async with asyncio.timeout(15):
            while (await http.get(f"/v1/jobs/{job_id}")).status_code != 404:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with session(small, session_id="missed", resume=True) as socket:
            await socket.send(text(type="cancel", job_id=job_id))
            assert json.loads(await socket.recv())["reason"] == "unknown_job", "nothing came before it"
            await socket.send(text(type="submit", request_id="missed", pair="m:m", audio=TONE))
            accepted = json.loads(await socket.recv())
            assert accepted["type"] == "accepted"
            assert json.loads(await socket.recv())["output"] == "done"
            assert begun == [job_id, accepted["job_id"]], "it is forgotten, and done anew"


async def test_a_session_moves_when_its_node_leaves_and_stays_there(small: Scheduler) -> None:
    ran: list[str] = []

    def worker(name: str) -> Worker:
        def work(work: Work) -> str:
            ran.append(name)
            return name

        return Worker(small.url, node_id=name, pairs=["l:l"], slots=2, work=work)

    async with running(worker("other")), Client(small.url, session_id="loyal") as client:
        await until(lambda: small.node_ids() == ["other"])
        async with running(worker("first")):
            await until(lambda: small.node_ids() == ["first", "other"])
            while ran[-1:] != ["first"]:  # its node is chosen at random; each try is a new session
                async with Client(small.url) as stranger:
                    await stranger.submit(TONE, "l:l", session_affinity=True)
            await client.submit(TONE, "l:l", session_affinity=True)
            home = ran[-1]
            for _ in range(3):
                await client.submit(TONE, "l:l", session_affinity=True)
            assert ran[-4:] == [home] * 4
        await until(lambda: small.node_ids() == ["other"])
        for _ in range(3):
            assert (await client.submit(TONE, "l:l", session_affinity=True)).output == "other"


async def test_a_node_that_fails_five_jobs_in_a_row_rests_and_works_again(small: Scheduler) -> None:
    """Retryable failures go to the other node; final ones are counted and end their jobs."""
    ran: Counter[str] = Counter()
    ill = True

    def bad(work: Work) -> str:
        ran["bad"] += 1
        if ill:
            raise WorkFailed("out_of_memory", retryable=True)
        return "well"

    def good(work: Work) -> str:
        ran["good"] += 1
        return "well"

    bad_one = Worker(small.url, node_id="bad", pairs=["f:f"], slots=1, work=bad)
    good_one = Worker(small.url, node_id="good", pairs=["f:f"], slots=1, work=good)
    async with running(bad_one), running(good_one), Client(small.url) as client:
        await until(lambda: small.node_ids() == ["bad", "good"])
        while not small.events("node_rests"):
            assert (await client.submit(TONE, "f:f")).state == "completed"
        failed = ran["bad"]
        assert failed == 5
        states = {node["node_id"]: node["state"] for node in small.get("/v1/nodes")["nodes"]}
        assert states == {"bad": "resting", "good": "ready"}
        ill = False
        await until(lambda: small.node_ids() == ["bad", "good"])
        while ran["bad"] == failed:
            assert (await client.submit(TONE, "f:f")).output == "well"


@pytest.mark.parametrize("door", ["/ws/session", "/ws/node"])
async def test_an_unknown_peer_cannot_send_a_large_message(folder: Path, door: str) -> None:
    """The small limit holds until hello or register is accepted, also with a token in the header."""
    keys = Keys(folder)
    name, greeting = ("ann", {"type": "hello"}) if door == "/ws/session" else ("gpu", register("a:b"))
    with started(Secured(folder, keys)) as scheduler:
        url = scheduler.url.replace("http", "ws") + door
        long = text(**greeting, token=keys.secrets[name], filling="y" * STRANGERS_MESSAGE_BYTES_MAX)
        for headers in ({}, keys.header(name)):
            async with connected(url, additional_headers=headers) as stranger:
                await stranger.send(long)
                await closed_with(stranger, 1009)
        async with connected(url) as stranger:
            await stranger.send(text(**greeting, token=keys.secrets[name]))
            assert json.loads(await stranger.recv())["type"] in ("welcome", "registered")
            await stranger.send(long)
            assert json.loads(await stranger.recv())["type"] in ("error", "registered"), "it is read, and is no message"
