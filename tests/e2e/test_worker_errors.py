"""An error in a worker's code reaches its client, attempts are delayed, and a replaced worker ends."""

from __future__ import annotations

import asyncio
import base64
import json
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from tests.e2e import bare_peer
from tests.e2e.command_line import voxpool_here
from tests.e2e.processes import TONE, Process, Scheduler, until, wait_until
from voxpool.scheduler.protocol.messages import Assign, NodeResult, Register, WorkError
from voxpool.scheduler.sdk import Client

JOBS_IN_REDIS_TOO = True

PAIR = "zh:en"
SAID = "ValueError: no such speaker"
HUGE = 60_000_000
ROOM = 20_000_000
"""Bytes that the scheduler may allocate in addition while a body of HUGE bytes arrives."""
BIG_BODIES = ("--audio-bytes-max", "200000000", "--send-buffer-bytes-max", "1000000000")


class OwnWorker(Process):
    """The process of own_worker.py, once it has registered."""

    program: ClassVar[tuple[str, ...]] = (sys.executable, "-m", "tests.e2e.own_worker")

    def __init__(self, folder: Path, name: str, scheduler: Scheduler, node_id: str) -> None:
        super().__init__(folder, name, "--url", scheduler.url, "--id", node_id)
        wait_until(lambda: "registered as" in self.log.read_text() or self.popen.poll() is not None)

    def lines(self) -> list[str]:
        """Return its output."""
        return self.log.read_text().splitlines()


@pytest.fixture
def lone(folder: Path) -> Iterator[Scheduler]:
    """A scheduler for one test."""
    scheduler = Scheduler(folder, "memory", "--probe-s", "0.3", "--rest-after-failures", "0")
    yield scheduler
    assert scheduler.stop() == 0
    assert scheduler.events("scheduler_failed") == []


def submit(scheduler: Scheduler, **query: str) -> dict[str, Any]:
    """Submit a job over HTTP."""
    answer = httpx.post(scheduler.url + "/v1/jobs", params={"pair": PAIR, **query}, content=TONE, trust_env=False)
    job: dict[str, Any] = answer.json()
    return job


def test_the_error_of_a_workers_code_reaches_job_why_and_command_line(lone: Scheduler, folder: Path) -> None:
    """R-11. Its text is bounded and has no control characters; the traceback stays in the worker's log."""
    worker = OwnWorker(folder, "worker", lone, "own")
    try:
        job = submit(lone, wait_s="60")
        assert job["state"] == "failed" and SAID in job.get("detail", ""), job
        assert len(job["detail"]) <= 500 and job["detail"].isprintable()
        assert "own" in job["detail"] and job["attempts"] == 4
        why = voxpool_here("why", job["job_id"], "--url", lone.url)
        assert why.returncode == 0 and why.stdout.count(SAID) >= 4, why.stdout
        listed = voxpool_here("jobs", job["job_id"], "--url", lone.url, "--json")
        assert SAID in json.loads(listed.stdout)["detail"]
        log = worker.log.read_text()
        assert log.count("Traceback (most recent call last)") == 4 and 'raise ValueError("no such' in log
        assert "no such speaker" not in lone.log.read_text(), "texts of workers may be what was spoken"
    finally:
        worker.stop()


async def test_max_attempts_can_be_set_at_every_interface(lone: Scheduler, folder: Path) -> None:
    """In the query, in JSON, in a form, on the command line and in the SDK."""
    worker = await asyncio.to_thread(OwnWorker, folder, "worker", lone, "own")
    try:
        text, audio = base64.b64encode(TONE).decode(), folder / "tone.wav"
        audio.write_bytes(TONE)
        asked = {"attempts_max": 2, "backoff_ms": 0}
        async with (
            httpx.AsyncClient(base_url=lone.url, timeout=60, trust_env=False) as http,
            Client(lone.url) as client,
        ):
            answers = [
                await http.post("/v1/jobs", params={"pair": PAIR, "wait_s": 30, **asked}, content=TONE),
                await http.post("/v1/jobs", json={"pair": PAIR, "wait_s": 30, "audio": text, **asked}),
                await http.post("/v1/jobs", data={"pair": PAIR, "wait_s": 30, **asked}, files={"audio": TONE}),
            ]
            assert [answer.json()["attempts"] for answer in answers] == [2, 2, 2]
            refused = await http.post("/v1/jobs", params={"pair": PAIR, "attempts_max": 21}, content=TONE)
            assert (refused.status_code, refused.json()["reason"]) == (422, "bad_attempts_max")
            result = await client.submit(TONE, PAIR, attempts_max=3, backoff_ms=0)
            assert (result.attempts, result.error) == (3, "attempts_max") and SAID in result.detail
            once = await client.submit(TONE, PAIR, attempts_max=1)
            assert once.attempts == 1
        flags = ("--attempts-max", "2", "--backoff-s", "0.001", "--wait", "--json", audio)
        done = await asyncio.to_thread(voxpool_here, "submit", "--url", lone.url, "--pair", PAIR, *flags)
        assert done.returncode == 1 and json.loads(done.stdout)["attempts"] == 2
    finally:
        worker.stop()


async def test_a_retryable_error_is_retried_after_a_pause(lone: Scheduler) -> None:
    """R-11. The pauses are at least those of the defaults, 0.5 and 1 s; on a busy machine they are longer."""
    at_s: list[float] = []
    node: bare_peer.BarePeer

    def fail(message: object) -> None:
        if isinstance(message, Assign):
            at_s.append(time.monotonic())
            node.send_message(NodeResult(message.job_id, message.attempt, error=WorkError("engine_error", True)))

    node = await bare_peer.node(lone.port, fail)
    node.send_message(Register("n1", "p1", [PAIR], 1, []))
    await until(lambda: lone.node_ids() == ["n1"])
    job = await asyncio.to_thread(submit, lone)
    await until(lambda: len(at_s) >= 3)
    await asyncio.to_thread(httpx.delete, f"{lone.url}/v1/jobs/{job['job_id']}", trust_env=False)
    assert at_s[1] - at_s[0] >= 0.45 and at_s[2] - at_s[1] >= 0.95, at_s
    node.end()


async def test_a_node_that_never_answers_rests(folder: Path) -> None:
    """R-12. Each of its jobs times out; after the second one in a row it rests."""
    scheduler = Scheduler(folder, "memory", "--dispatch-timeout-s", "0.2", "--rest-after-failures", "2")
    try:
        node = await bare_peer.node(scheduler.port)
        node.send_message(Register("silent", "p1", [PAIR], 4, []))
        await until(lambda: scheduler.node_ids() == ["silent"])
        jobs = [await asyncio.to_thread(submit, scheduler) for _ in range(2)]

        def looks() -> str:
            rested = scheduler.events("node_rests")
            ended = [event for event in scheduler.events("job_ended") if event["job_id"] == jobs[0]["job_id"]]
            return "rests" if rested else "the job ended" if ended else ""

        assert await until(looks) == "rests"
        (rest,) = scheduler.events("node_rests")
        assert (rest["node_id"], rest["reason"]) == ("silent", "failing")
        assert scheduler.node_ids() == []
        node.end()
    finally:
        scheduler.stop()


def test_a_worker_that_was_stopped_and_replaced_ends_with_one_line(lone: Scheduler, folder: Path) -> None:
    """R-12. Its engine still works then, and ignores cancellation."""
    stopped = OwnWorker(folder, "stopped", lone, "own")
    httpx.post(f"{lone.url}/v1/jobs?pair={PAIR}", content=TONE + b"sleep", trust_env=False)
    wait_until(lambda: "sleeps" in stopped.lines())
    stopped.signal(signal.SIGSTOP)
    replacing = OwnWorker(folder, "replacing", lone, "own")
    try:
        stopped.signal(signal.SIGCONT)
        assert stopped.end() == 1
        assert stopped.lines()[-1].startswith("name_taken: another process is connected as 'own'")
        assert "Traceback" not in stopped.log.read_text()
    finally:
        for process in (stopped, replacing):
            process.popen.kill()
            process.popen.wait()


def test_a_body_without_memory_for_it_is_rejected_temporarily(folder: Path) -> None:
    """R-12. The answer is 503, since the request is valid; it is accepted when there is memory again."""
    scheduler = Scheduler(folder, "memory", *BIG_BODIES)
    try:
        free = resource.prlimit(scheduler.pid, resource.RLIMIT_AS)
        status = Path(f"/proc/{scheduler.pid}/status").read_text()
        taken = 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmSize")))
        resource.prlimit(scheduler.pid, resource.RLIMIT_AS, (taken + ROOM, free[1]))
        with httpx.Client(base_url=scheduler.url, timeout=60, trust_env=False) as client:
            refused = client.post("/v1/jobs", params={"pair": PAIR}, content=TONE + bytes(HUGE))
            assert (refused.status_code, refused.json()["reason"]) == (503, "out_of_memory"), refused.text
            assert int(refused.headers["retry-after"]) >= 1
            assert client.get("/healthz").status_code == 200
            resource.prlimit(scheduler.pid, resource.RLIMIT_AS, free)
            assert client.post("/v1/jobs", params={"pair": PAIR}, content=TONE + bytes(HUGE)).status_code == 202
    finally:
        assert scheduler.stop() == 0
    assert scheduler.events("scheduler_failed") == []


async def test_the_decisions_of_a_failed_job_are_kept_without_why(lone: Scheduler) -> None:
    """R-12."""
    node = await bare_peer.node(lone.port)
    node.send_message(Register("silent", "p1", [PAIR], 1, []))
    await until(lambda: lone.node_ids() == ["silent"])
    job = await asyncio.to_thread(submit, lone, wait_s="15", timeout_ms="300")
    assert (job["state"], job["error"]) == ("failed", "expired")
    why = lone.get(f"/v1/jobs/{job['job_id']}/why")
    assert [decision["what"] for decision in why["decisions"]] == ["submitted", "dispatched", "ended"]
    reported = await asyncio.to_thread(voxpool_here, "why", job["job_id"], "--url", lone.url)
    assert "ended: expired" in reported.stdout and "not kept" not in reported.stdout
    node.end()
