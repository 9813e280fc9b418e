"""A worker process is killed with jobs in hand, while another one is free: how long until its jobs run again?

`python -m bench.killed_worker [ROUNDS]` runs a scheduler at its defaults with two workers of the SDK. Each round
submits jobs, kills the worker that has them with SIGKILL, and measures the time until each has begun again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from bench._processes import PAIR
from bench._rows import Row, print_rows
from bench.round_trips import AUDIO, free_port, process, until_listening
from voxpool import Client, Work, worker

ROUNDS = 50
JOBS = 4
GOAL = "<= 50"
WAIT_S = 20.0


class Start(NamedTuple):
    """A line that a worker wrote: an attempt began."""

    pid: int
    at_ns: int
    job_id: str


@worker(pairs=[PAIR], slots=JOBS)
def transcribe(work: Work) -> dict[str, bool]:
    """Say that the work has begun, and take so long that it is always killed or cancelled."""
    with open(os.environ["STARTS"], "a", encoding="ascii") as starts:
        starts.write(f"{os.getpid()} {time.monotonic_ns()} {work.job_id}\n")
    time.sleep(0.5 if work.attempt > 1 else WAIT_S)
    return {"ok": True}


def run(rounds: int = ROUNDS) -> list[Row]:
    """Kill a worker `rounds` times."""
    with tempfile.TemporaryDirectory() as folder:
        starts = Path(folder) / "starts"
        starts.touch()
        times_ms = asyncio.run(_rounds(rounds, starts, Path(folder) / "log"))
    cuts = statistics.quantiles(times_ms, n=100, method="inclusive")
    beside = f"median {cuts[49]:.1f} ms, longest {max(times_ms):.1f} ms, {len(times_ms)} jobs"
    return [Row("killed_worker", "until a killed worker's job runs again, p99", cuts[98], "ms", GOAL, beside)]


async def _rounds(rounds: int, starts: Path, log: Path) -> list[float]:
    port = free_port()
    address = f"ws://127.0.0.1:{port}"
    words = ("voxpool.scheduler", "serve", "--port", str(port), "--store", "embedded")
    with process(*words, log=log), _workers(address, starts) as workers:
        until_listening(port)
        times_ms: list[float] = []
        async with Client(address) as client:
            for _ in range(rounds):
                workers.fill()
                await _until(lambda: _nodes(port) == 2)
                times_ms += await _round(client, workers, starts)
    return times_ms


async def _round(client: Client, workers: _Workers, starts: Path) -> list[float]:
    before = len(_read(starts))
    jobs = [asyncio.create_task(client.submit(AUDIO, pair=PAIR)) for _ in range(JOBS)]
    await _until(lambda: len(_read(starts)) == before + JOBS)
    first = _read(starts)[before:]
    victim = first[0].pid
    lost = {start.job_id for start in first if start.pid == victim}
    at_ns = time.monotonic_ns()
    workers.kill(victim)
    await _until(lambda: len(_again(starts, before + JOBS, lost)) == len(lost))
    workers.kill_all()
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    return [(start.at_ns - at_ns) / 1e6 for start in _again(starts, before + JOBS, lost)]


class _Workers:
    """Two processes of this module's worker."""

    def __init__(self, address: str, starts: Path) -> None:
        self._command = [sys.executable, "-m", "bench.killed_worker", "worker", address]
        self._environment = {**os.environ, "STARTS": str(starts)}
        self._running: list[subprocess.Popen[bytes]] = []

    def fill(self) -> None:
        """Start what is missing."""
        while len(self._running) < 2:
            self._running.append(subprocess.Popen(self._command, env=self._environment, stderr=subprocess.DEVNULL))

    def kill(self, pid: int) -> None:
        """Kill one."""
        one = next(one for one in self._running if one.pid == pid)
        one.send_signal(signal.SIGKILL)
        one.wait()
        self._running.remove(one)

    def kill_all(self) -> None:
        """Kill those that run."""
        for one in list(self._running):
            self.kill(one.pid)


@contextmanager
def _workers(address: str, starts: Path) -> Iterator[_Workers]:
    workers = _Workers(address, starts)
    try:
        yield workers
    finally:
        workers.kill_all()


def _read(starts: Path) -> list[Start]:
    whole = starts.read_text().rpartition("\n")[0]
    return [Start(int(pid), int(at_ns), job_id) for pid, at_ns, job_id in map(str.split, whole.splitlines())]


def _again(starts: Path, skipped: int, job_ids: set[str]) -> list[Start]:
    return [start for start in _read(starts)[skipped:] if start.job_id in job_ids]


def _nodes(port: int) -> int:
    total: int = httpx.get(f"http://127.0.0.1:{port}/v1/nodes").json()["total"]
    return total


async def _until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, "a worker does not do what is expected"
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        transcribe.main(["--url", sys.argv[2]])
    else:
        print_rows(run(*map(int, sys.argv[1:2])), "bench.killed_worker")
