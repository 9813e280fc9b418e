"""Processes that crash or stop: nodes, the embedded store, the scheduler. No job is lost, no process stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Process, Scheduler, descendants_of, runs, until, wait_until
from voxpool.scheduler.sdk import Client, Work, Worker
from voxpool.scheduler.sdk.http import HttpClient

PAIR = "en:en"
P = TypeVar("P", bound=Process)


@contextlib.contextmanager
def started(process: P) -> Iterator[P]:
    """Stop `process` at the end, if it still runs."""
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            process.stop()


def node(folder: Path, scheduler: Scheduler, name: str, engine: str = "measure") -> Process:
    """A `voxpool node` that has registered."""
    process = Process(
        folder, name, *("node", "--url", scheduler.url, "--id", name, "--pairs", PAIR, "--engine", engine)
    )
    wait_until(lambda: name in scheduler.node_ids())
    return process


@pytest.fixture
def own(folder: Path) -> Iterator[Scheduler]:
    """A scheduler that a test may damage."""
    scheduler = Scheduler(folder, "embedded", "--heartbeat-s", "0.5", "--lease-s", "2")
    with started(scheduler):
        yield scheduler


def test_the_job_of_a_killed_node_ends_on_another(folder: Path, own: Scheduler) -> None:
    """SIGKILL in the middle of a job closes its socket; the job is redispatched at once, with a second attempt."""
    with started(node(folder, own, "slow", "measure:30")) as slow, HttpClient(own.url) as client:
        job_id = client.submit(TONE, PAIR).job_id
        wait_until(lambda: client.job(job_id).node_id == "slow")
        with started(node(folder, own, "swift")):
            slow.signal(signal.SIGKILL)
            job = client.job(job_id, wait_s=10)
    assert (job.state, job.attempts, job.node_id) == ("completed", 2, "swift")
    assert job.output["duration_s"] == 1.5


def test_a_frozen_node_loses_its_job_at_the_end_of_its_lease_and_returns(folder: Path, own: Scheduler) -> None:
    """After SIGSTOP no socket closes, so the lease decides; after SIGCONT it registers again by itself."""
    with started(node(folder, own, "frozen", "measure:1")) as frozen, HttpClient(own.url) as client:
        job_id = client.submit(TONE, PAIR).job_id
        wait_until(lambda: client.job(job_id).state == "dispatched")
        frozen.signal(signal.SIGSTOP)
        with started(node(folder, own, "swift")):
            job = client.job(job_id, wait_s=10)
            assert (job.state, job.attempts, job.node_id) == ("completed", 2, "swift")
            assert [event["reason"] for event in wait_until(lambda: own.events("job_redispatched"))] == ["lapsed"]
            frozen.signal(signal.SIGCONT)
            wait_until(lambda: own.node_ids() == ["frozen", "swift"])


def test_a_killed_store_is_started_again_and_jobs_go_on(folder: Path, own: Scheduler) -> None:
    """Valkey is killed with jobs in flight: its data are lost, nodes are registered again, every job ends once."""

    async def work(work: Work) -> int:
        await asyncio.sleep(0.05)
        return len(work.audio)

    async def story() -> None:
        worker = Worker(own.url, node_id="steady", pairs=[PAIR], slots=4, work=work)
        async with running(worker), Client(own.url) as client:
            await until(lambda: own.node_ids() == ["steady"])
            jobs = [asyncio.create_task(client.submit(TONE, PAIR)) for _ in range(100)]
            await until(lambda: len(own.events("job_ended")) >= 10)
            os.kill(store_of(own), signal.SIGKILL)
            results = await asyncio.gather(*jobs)
            assert {result.state for result in results} == {"completed"}
            assert client.connects == 1

    asyncio.run(story())
    wait_until(lambda: len(own.events("job_ended")) == 100)
    assert own.get("/readyz") == {"status": "ready"}
    assert own.events("store_recovered")


def test_a_killed_scheduler_leaves_no_store_behind(folder: Path) -> None:
    """SIGKILL can't be caught: the guard of the store must notice by itself."""
    with started(Scheduler(folder, "embedded")) as scheduler:
        family = descendants_of(scheduler.pid)
        assert store_of(scheduler) in family
        scheduler.signal(signal.SIGKILL)
        scheduler.end()
    wait_until(lambda: not any(runs(pid) for pid in family))


def test_a_stopped_scheduler_says_goodbye_and_leaves_nothing(folder: Path) -> None:
    """At SIGTERM a client waits over HTTP and a node works: both are informed, the exit code is 0."""
    scheduler = Scheduler(folder, "embedded", "--log-level", "debug")
    family = descendants_of(scheduler.pid)

    async def story() -> None:
        worker = Worker(scheduler.url, node_id="at-work", pairs=[PAIR], work=lambda work: work.cancelled.wait(10))
        serving = asyncio.create_task(worker.run())
        async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
            waiting = asyncio.create_task(
                http.post("/v1/jobs", params={"pair": PAIR, "wait_s": 30}, content=TONE, timeout=30)
            )
            await until(lambda: scheduler.events("job_dispatched"))
            scheduler.signal(signal.SIGTERM)
            response = await waiting
            assert (response.status_code, response.json()["reason"]) == (503, "stopping")
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(story())
    assert scheduler.end() == 0
    assert [event["event"] for event in scheduler.events()][-1] == "scheduler_stopped"
    wait_until(lambda: not any(runs(pid) for pid in family))  # the store's guard ends a moment later


def test_of_two_node_processes_with_one_name_the_second_ends_with_a_clear_line(folder: Path, own: Scheduler) -> None:
    with started(node(folder, own, "twin")):
        second = Process(folder, "second", "node", "--url", own.url, "--id", "twin", "--pairs", PAIR)
        assert second.end() == 1
        assert second.log.read_text().splitlines()[-1].startswith("voxpool: name_taken: another process")
        assert own.node_ids() == ["twin"]


def test_a_stopping_node_finishes_its_job_first(folder: Path, own: Scheduler) -> None:
    with started(node(folder, own, "leaving", "measure:0.5")) as leaving, HttpClient(own.url) as client:
        job_id = client.submit(TONE, PAIR).job_id
        wait_until(lambda: client.job(job_id).state == "dispatched")
        leaving.signal(signal.SIGTERM)
        job = client.job(job_id, wait_s=10)
        assert (job.state, job.attempts, job.node_id) == ("completed", 1, "leaving")
        assert leaving.end() == 0


@pytest.mark.parametrize(
    ("flags", "code", "line"),
    [
        (("--store", "redis://127.0.0.1:1"), 1, "127.0.0.1:1"),
        (("--store", "mongodb://x"), 3, "none of embedded, memory, redis://"),
        (("--host", "no-such-host.invalid"), 3, "is not an address of this machine"),
        (("--port", "70000"), 3, "port = 70000 must be a whole number >= 0 and <= 65535"),
        (("--retention-s", "-1"), 3, "retention_s = -1.0 must be a number >= 0"),
        (("--retention", "5"), 3, "No such option '--retention'"),
        (("--config", "/nowhere/voxpool.toml"), 3, "can't be read"),
    ],
)
def test_an_error_at_the_start_is_one_clear_line(folder: Path, flags: tuple[str, ...], code: int, line: str) -> None:
    process = Process(folder, "wrong", "serve", "--port", "0", *flags)
    assert process.end() == code
    message = [text for text in process.log.read_text().splitlines() if not text.startswith("{")]
    assert len(message) == 1 and line in message[0], message


def test_a_port_in_use_is_one_clear_line(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = Process(folder, "late", "serve", "--port", str(taken.getsockname()[1]))
        assert process.end() == 1
    message = process.log.read_text().splitlines()
    assert len(message) == 1 and "Address already in use; choose another with --port" in message[0]


def store_of(scheduler: Scheduler) -> int:
    """Return the process id of the embedded store."""
    programs = {pid: os.readlink(f"/proc/{pid}/exe") for pid in descendants_of(scheduler.pid)}
    found = [pid for pid, program in programs.items() if "valkey" in program or "redis" in program]
    assert len(found) == 1, programs
    return found[0]
