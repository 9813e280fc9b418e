"""The SDK under failures: schedulers that restart, dead connections, rejected greetings, processes that end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, cut, until, wait_until
from tests.e2e.test_processes import started
from voxpool.loadtest.processes._line import Line
from voxpool.scheduler.protocol.codec import encode
from voxpool.scheduler.protocol.messages import Error, Registered, Welcome
from voxpool.scheduler.sdk import Client, NameTaken, ProtocolMismatch, Refused, TokenRefused, Work, Worker

PAIR = "en:en"
JOBS_IN_REDIS_TOO = True
NODE = """
import os, time
from voxpool.scheduler.sdk import Work, worker

@worker(pairs=["en:en"], slots=2, drain_s=10)
def work(work: Work) -> int:
    open(work.job_id, "w").close()
    while not os.path.exists("finish"):
        time.sleep(0.01)
    return work.attempt

work.main()
"""
PING_S = 1.0
"""Long enough for a slow end on a busy machine."""


async def test_a_dead_connection_is_noticed_by_pings(scheduler: Scheduler, pair: str) -> None:
    """Nobody closes the connection: client and node notice by themselves, reconnect, and the job ends once."""
    ran: list[int] = []
    gate = asyncio.Event()

    async def work(work: Work) -> str:
        ran.append(work.attempt)
        await gate.wait()
        return "done"

    async with Line(scheduler.port).open() as line:
        worker = Worker(line.url, node_id=f"wired-{pair[:3].strip(':')}", pairs=[pair], work=work, ping_s=PING_S)
        async with running(worker), Client(line.url, ping_s=PING_S) as client:
            job = asyncio.create_task(client.submit(TONE, pair))
            await until(lambda: ran)
            assert line.connections == 2
            line.go_dead()
            await until(lambda: line.connections >= 4)
            gate.set()
            result = await job
    assert (result.state, result.output) == ("completed", "done")
    assert len(ran) == 1, "its node came back with it: the same process, the same attempt"


@asynccontextmanager
async def server_that_sends(*messages: Error | Welcome | Registered) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers every greeting with `messages` and closes; the list gets an entry for each connection."""
    greeted: list[str] = []

    async def answer(connection: ServerConnection) -> None:
        await connection.recv()
        greeted.append("greeted")
        for message in messages:
            await connection.send(encode(message, binary=True))

    server: Server
    async with serve(answer, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", greeted


@pytest.mark.parametrize(
    ("reason", "raised"),
    [
        ("unauthorized", TokenRefused),
        ("forbidden", TokenRefused),
        ("bad_protocol", ProtocolMismatch),
        ("name_taken", NameTaken),
        ("no_idea", Refused),
    ],
)
async def test_a_rejected_peer_does_not_retry_for_ever(reason: str, raised: type[Refused]) -> None:
    async with server_that_sends(Error(reason, "go away")) as (url, greeted):
        async with Client(url) as client:
            with pytest.raises(raised, match="go away") as refused:
                await client.submit(TONE, PAIR)
            assert refused.value.reason == reason
            with pytest.raises(raised):
                await client.submit(TONE, PAIR)
        with pytest.raises(raised, match="go away"):
            await Worker(url, node_id="n", pairs=[PAIR], work=len).run()  # type: ignore[arg-type]
    assert len(greeted) == 2


async def test_a_temporarily_rejected_peer_retries() -> None:
    async with server_that_sends(Error("connections_max", "full")) as (url, greeted), Client(url, give_up_s=60):
        worker = asyncio.create_task(Worker(url, node_id="n", pairs=[PAIR], work=str).run())
        await until(lambda: len(greeted) >= 6)
        worker.cancel()


async def test_an_unknown_protocol_is_reported() -> None:
    async with server_that_sends(Welcome("s", {}, protocol=2)) as (url, greeted), Client(url) as client:
        with pytest.raises(ProtocolMismatch, match="update the older one"):
            await client.submit(TONE, PAIR)
    assert len(greeted) == 1


@pytest.fixture
def own(folder: Path) -> object:
    """A scheduler that a test may damage."""
    with started(Scheduler(folder, "memory", "--heartbeat-s", "0.5", "--lease-s", "2")) as scheduler:
        yield scheduler


def own_node(folder: Path, scheduler: Scheduler, node_id: str) -> subprocess.Popen[bytes]:
    """A node process with a function as engine.

    It runs in `folder`, creates a file there for each job that it begins, and ends jobs once there is a file `finish`.
    """
    (folder / "mywork.py").write_text(NODE)
    environment = {**os.environ, "VOXPOOL_URL": scheduler.url, "VOXPOOL_NODE_ID": node_id, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen([sys.executable, "-m", "mywork"], cwd=folder, env=environment, stderr=subprocess.PIPE)
    wait_until(lambda: process.poll() is not None or node_id in scheduler.node_ids())
    return process


async def test_sigterm_lets_a_node_finish_its_running_jobs_only(folder: Path, own: Scheduler) -> None:
    """Two jobs run, two wait.

    The running ones end at their first attempt, the others go to the next node, no job is lost.
    """
    process = own_node(folder, own, "leaving")
    try:
        async with Client(own.url) as client:
            jobs = [await client.start(TONE, PAIR) for _ in range(4)]
            await until(lambda: all((folder / job.job_id).exists() for job in jobs[:2]))
            process.send_signal(signal.SIGTERM)
            await until(lambda: [node["state"] for node in own.get("/v1/nodes")["nodes"]] == ["draining"])
            (folder / "finish").touch()
            first = [await job.result() for job in jobs[:2]]
            assert await asyncio.to_thread(process.wait, 15) == 0
            assert [(result.state, result.output) for result in first] == [("completed", 1)] * 2
            async with running(Worker(own.url, node_id="next", pairs=[PAIR], work=lambda work: work.attempt)):
                rest = [await job.result() for job in jobs[2:]]
            assert [result.state for result in rest] == ["completed"] * 2
            assert not any((folder / job.job_id).exists() for job in jobs[2:])
    finally:
        process.kill()
        _, error = process.communicate()
    assert b"draining, 2 running" in error


async def test_a_second_sigterm_ends_a_node_at_once(folder: Path, own: Scheduler) -> None:
    """Its job is given back and ends on another node; the process does not wait for its engine."""
    process = own_node(folder, own, "stuck")
    try:
        async with Client(own.url) as client:
            job = await client.start(TONE, PAIR)
            await until(lambda: (folder / job.job_id).exists())
            process.send_signal(signal.SIGTERM)
            await until(lambda: [node["state"] for node in own.get("/v1/nodes")["nodes"]] == ["draining"])
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 15) == 1
            async with running(Worker(own.url, node_id="next", pairs=[PAIR], work=lambda work: work.attempt)):
                result = await job.result()
            assert (result.state, result.output) == ("completed", 2)
    finally:
        process.kill()
        process.communicate()


async def test_a_draining_node_delivers_its_result_after_a_dead_connection(scheduler: Scheduler, pair: str) -> None:
    """Its goodbye is lost; it reconnects, announces the drain, gets no new job, delivers the result, and ends."""
    gate = asyncio.Event()
    ran: list[str] = []

    async def work(work: Work) -> str:
        ran.append(work.job_id)
        await gate.wait()
        return "home"

    node_id = f"drain-{pair[:3].strip(':')}"
    async with Line(scheduler.port).open() as line, Client(scheduler.url) as client:
        worker = Worker(line.url, node_id=node_id, pairs=[pair], slots=2, work=work, ping_s=PING_S)
        task = asyncio.create_task(worker.run())
        job = await client.start(TONE, pair)
        await until(lambda: ran)
        line.go_dead()
        worker.stop()
        await until(lambda: line.connections >= 2 and node_id not in scheduler.node_ids())
        waiting = await client.start(TONE, pair)
        gate.set()
        result = await job.result()
        assert (result.output, result.attempts) == ("home", 1)
        await task
        assert ran == [job.job_id]
        await waiting.cancel()
        assert (await waiting.result()).state == "cancelled"


async def test_a_draining_node_that_loses_its_connection_ends(scheduler: Scheduler, pair: str) -> None:
    """A closed socket gives its job back at once, so another node does it; the draining node no longer works on it."""
    began = asyncio.Event()

    async def work(work: Work) -> None:
        began.set()
        await asyncio.Event().wait()

    leaving = Worker(scheduler.url, node_id=f"leaving-{pair[:3].strip(':')}", pairs=[pair], work=work)
    async with Client(scheduler.url) as client:
        task = asyncio.create_task(leaving.run())
        job = await client.start(TONE, pair)
        await began.wait()
        leaving.stop()
        cut(leaving)
        await task
        async with running(
            Worker(scheduler.url, node_id=f"next-{pair[:3].strip(':')}", pairs=[pair], work=lambda work: "next")
        ):
            assert (await job.result()).output == "next"


async def test_one_name_is_one_node(scheduler: Scheduler, pair: str) -> None:
    name = f"one-{pair[:3].strip(':')}"
    async with running(Worker(scheduler.url, node_id=name, pairs=[pair], work=lambda work: 1)):
        await until(lambda: name in scheduler.node_ids())
        with pytest.raises(NameTaken, match="rename one"):
            await Worker(scheduler.url, node_id=name, pairs=[pair], work=lambda work: 2).run()
