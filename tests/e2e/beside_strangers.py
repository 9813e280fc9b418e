"""Regular work beside hostile peers: 50 jobs a second and a health check each 100 ms, without and with 8 peers of each
kind.

`python -m tests.e2e.beside_strangers [SECONDS [ROUNDS]]` prints the table of docs/reports/service.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.processes import TONE
from tests.e2e.secured import Keys, Secured
from voxpool.scheduler.sdk import Client, Worker

EACH = 8
JOBS_PER_S = 50
HEALTH_S = 0.1
PATIENCE_S = 5.0
"""Patience for a health check."""
PAIR = "zh:en"
SECONDS, ROUNDS = 20.0, 3


@dataclass
class Honest:
    """The measurements of the regular peers; times in s."""

    jobs_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    """CPU time of the scheduler."""
    seconds: float = 0.0

    def __str__(self) -> str:
        jobs, health = _ms(self.jobs_s), _ms(self.health_s)
        return (
            f"{len(self.jobs_s)} jobs: {jobs} ms, {len(self.failed)} failed; "
            f"{len(self.health_s)} health checks: {health} ms, {len(self.unanswered)} unanswered; "
            f"the scheduler used {self.cpu_s / self.seconds:.0%} of a core"
        )


@dataclass
class Beside:
    """The measurements without and with strangers, in turns; and how the strangers' connections ended, by kind."""

    quiet: Honest = field(default_factory=Honest)
    crowded: Honest = field(default_factory=Honest)
    endings: dict[str, Counter[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        ratio = _percentile(self.crowded.jobs_s, 99) / _percentile(self.quiet.jobs_s, 99)
        lines = [
            "p50 / p99 / most",
            f"without strangers: {self.quiet}",
            f"with {EACH} of each kind: {self.crowded}",
            f"p99 of a job with strangers is {ratio:.2f} times that without",
            *(f"{kind}: {dict(counts.most_common())}" for kind, counts in self.endings.items()),
        ]
        return "\n".join(lines)


async def beside(scheduler: Secured, seconds: float, rounds: int) -> Beside:
    """Work for `seconds` without strangers and then with them, `rounds` times."""
    seen = Beside()
    tokens = scheduler.keys.secrets
    worker = Worker(
        scheduler.url, node_id="honest", pairs=[PAIR], slots=50, token=tokens["gpu"], work=lambda work: len(work.audio)
    )
    async with AsyncExitStack() as stack:
        running = asyncio.create_task(worker.run())
        client = await stack.enter_async_context(Client(scheduler.url, token=tokens["ann"]))
        for _ in range(JOBS_PER_S):
            await client.submit(TONE, PAIR)
        for _ in range(rounds):
            await _work(client, scheduler, seconds, seen.quiet)
            command = (sys.executable, "-m", "tests.e2e.strangers", str(scheduler.port), str(EACH))
            pipe = subprocess.PIPE
            strangers = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
            assert strangers.stdout is not None
            await strangers.stdout.readline()
            try:
                await _work(client, scheduler, seconds, seen.crowded)
            finally:
                reported, _ = await strangers.communicate(b"")
            for kind, counts in json.loads(reported).items():
                seen.endings.setdefault(kind, Counter()).update(counts)
        worker.stop()
        await running
    return seen


async def _work(client: Client, scheduler: Secured, seconds: float, seen: Honest) -> None:
    """Submit at fixed times, independent of earlier jobs, and check the health in between."""
    loop = asyncio.get_running_loop()
    start_s, cpu_s = loop.time(), _cpu_s(scheduler.pid)
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(seconds * JOBS_PER_S)):
            await asyncio.sleep(start_s + number / JOBS_PER_S - loop.time())
            tasks.create_task(_job(client, seen))
            if number % round(HEALTH_S * JOBS_PER_S) == 0:
                tasks.create_task(_health(scheduler.port, seen))
    seen.seconds += loop.time() - start_s
    seen.cpu_s += _cpu_s(scheduler.pid) - cpu_s


def _cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _job(client: Client, seen: Honest) -> None:
    before_s = time.perf_counter()
    try:
        result = await client.submit(TONE, PAIR)
        if result.state != "completed" or result.output != len(TONE):
            seen.failed.append(str(result))
    except Exception as error:
        seen.failed.append(repr(error))
    seen.jobs_s.append(time.perf_counter() - before_s)


async def _health(port: int, seen: Honest) -> None:
    before_s = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
        if not answer.startswith(b"HTTP/1.1 200 "):
            seen.unanswered.append(repr(answer[:100]))
    except (OSError, TimeoutError) as error:
        seen.unanswered.append(repr(error))
    seen.health_s.append(time.perf_counter() - before_s)


def _percentile(times: list[float], share: int) -> float:
    return sorted(times)[max(0, -(-len(times) * share // 100) - 1)]


def _ms(times: list[float]) -> str:
    return " / ".join(f"{1000 * _percentile(times, share):.1f}" for share in (50, 99, 100))


def main(seconds: float, rounds: int) -> None:
    """Measure with a scheduler of its own and print the results."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scheduler = Secured(folder, Keys(folder), "--log-level", "info", "--log-sample", "0", store="embedded")
        try:
            print(asyncio.run(beside(scheduler, seconds, rounds)))
        finally:
            scheduler.stop()


if __name__ == "__main__":
    main(
        float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS,
        int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS,
    )
