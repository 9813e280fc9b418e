"""A real scheduler whose log is an unread pipe: jobs keep flowing, and the log later reports its missing lines."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import PATIENCE_S, TONE, runs
from voxpool.scheduler.sdk import Client, Work, Worker

JOBS = 1000
BUFFER = 16384
JOB_BYTES_MAX = 400
"""Size of the log of a job that completes at its first attempt, at level info."""


class Piped:
    """A scheduler with its standard error in a pipe, which the test reads line by line."""

    def __init__(self) -> None:
        flags = ["--port", "0", "--store", "memory", "--drain-s", "0", "--log-buffer-bytes-max", str(BUFFER)]
        command = [sys.executable, "-m", "voxpool.scheduler", "serve", *flags]
        self.popen = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.url: str = self.read_until("scheduler_started")[-1]["url"]

    def read(self) -> dict[str, Any]:
        """Return the next line."""
        assert self.popen.stderr is not None
        line: dict[str, Any] = json.loads(self.popen.stderr.readline())
        return line

    def read_until(self, event: str) -> list[dict[str, Any]]:
        """Return the next lines, up to that event."""
        lines = [self.read()]
        while lines[-1]["event"] != event:
            lines.append(self.read())
        return lines


@pytest.fixture
def piped() -> Iterator[Piped]:
    one = Piped()
    yield one
    one.popen.kill()
    one.popen.wait()
    assert one.popen.stderr is not None
    one.popen.stderr.close()


@pytest.mark.timeout(60)
async def test_jobs_keep_flowing_and_dropped_lines_are_counted(piped: Piped) -> None:
    async def work(work: Work) -> str:
        return "done"

    worker = Worker(piped.url, node_id="n", pairs=["zh:en"], slots=50, work=work)
    async with running(worker), Client(piped.url, in_flight_max=50) as client:
        await client.submit(TONE, "zh:en")  # the lines of node and session have been read, none is in flight
        await asyncio.to_thread(piped.read_until, "job_ended")
        await asyncio.gather(*(client.submit(TONE, "zh:en") for _ in range(JOBS)))
        kept: list[dict[str, Any]] = []
        dropped = 0
        while len(kept) + dropped < JOBS:  # lines are missing in several places if bursts fill the buffer
            line = await asyncio.to_thread(piped.read)
            if line["event"] == "log_dropped":
                dropped += line["lines"]
            else:
                kept.append(line)
        assert len(kept) + dropped == JOBS and dropped > 0
        assert {line["event"] for line in kept} == {"job_ended"}
        assert sum(len(json.dumps(line)) + 1 for line in kept) / len(kept) < JOB_BYTES_MAX
        await client.submit(TONE, "zh:en")
        after = await asyncio.to_thread(piped.read_until, "job_ended")
        assert [line["event"] for line in after] == ["job_ended"]
        await asyncio.gather(*(client.submit(TONE, "zh:en") for _ in range(JOBS)))
    piped.popen.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(piped.popen.wait, PATIENCE_S) == 0  # the stop does not wait for a reader
    assert not runs(piped.popen.pid)


def test_the_last_lines_reach_a_reader(piped: Piped) -> None:
    piped.popen.send_signal(signal.SIGTERM)
    assert [line["event"] for line in piped.read_until("scheduler_stopped")] == [
        "scheduler_stopping",
        "scheduler_stopped",
    ]
    assert piped.popen.wait(PATIENCE_S) == 0


def test_a_closed_log_pipe_does_not_end_the_scheduler(piped: Piped) -> None:
    """Lines are lost, the scheduler keeps running."""
    import httpx

    assert piped.popen.stderr is not None
    os.close(os.dup(piped.popen.stderr.fileno()))
    piped.popen.stderr.close()
    for _ in range(3):
        assert httpx.post(f"{piped.url}/v1/jobs?pair=zh:en", content=TONE, trust_env=False).status_code == 202
    piped.popen.send_signal(signal.SIGTERM)
    assert piped.popen.wait(PATIENCE_S) == 0
