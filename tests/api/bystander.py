"""A well-behaved client and node beside misbehaving peers: one job is in flight the whole time, a node echoes.

It also compares the scheduler's memory before and afterwards.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tests.api.frames import ECHO
from tests.e2e.processes import PATIENCE_S, TONE, Scheduler, wait_until
from voxpool.scheduler.sdk import Client, Work, Worker

FLAGS = (
    *("--retention-s", "0.5", "--cleanup-interval-s", "0.2", "--session-grace-s", "0.2", "--waiting-timeout-s", "1"),
    *("--dispatch-timeout-s", "3600", "--probe-s", "0.05", "--log-sample", "0"),
    *("--heartbeat-s", "1", "--lease-s", "3"),
)
PAIR = "held:en"

HISTORY = "dashboard._history."
"""Tables of the dashboard's history; a new scheduler fills them up to a bound."""


BOUNDED = frozenset(
    {
        *("sessions.log._this_second", "sessions.cut_offs._reasons", "core.why.followed", "core.why._failures"),
        "core.dispatcher._deadlines._heap",  # numbers of deadlines that were replaced
        *("core.intake._pairs", "core.intake._gone", "core.intake._returns._places"),
        "core.queue._beats",  # heartbeats of connected nodes that are on their way to the store
    }
)
"""Tables that keep a fixed number of the last entries, or entries that are being sent."""


class Bystander:
    """A context in which a node works on a job. At the end the job must complete at its first attempt, over one
    connection.

    It is a process of its own: hypothesis mistakes random numbers drawn in another thread for those of a strategy.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.job_id = ""
        self.ended = Ended("", 0, 0)
        self._url = scheduler.url

    def __enter__(self) -> Bystander:
        command = [sys.executable, "-m", __name__, self._url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.job_id = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *error: Any) -> None:
        reported, _ = self._process.communicate()
        self.ended = msgspec.json.decode(reported, type=Ended)


class Ended(msgspec.Struct):
    """The outcome of the bystander's job, and how often its client had to connect."""

    state: str
    attempts: int
    connects: int


async def stand_by(url: str) -> None:
    """Run a job that lasts until standard input is closed; print its id, then an Ended."""
    gate = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, gate.set)

    async def work(work: Work) -> str:
        if work.pair == PAIR:
            print(work.job_id, flush=True)
            await gate.wait()
        return work.pair

    worker = Worker(url, node_id="bystander", pairs=[PAIR, ECHO], slots=20, work=work)
    running = asyncio.create_task(worker.run())
    async with Client(url) as client:
        result = await client.submit(TONE, PAIR)
        print(msgspec.json.encode(Ended(result.state, result.attempts, client.connects)).decode(), flush=True)
    asyncio.get_running_loop().remove_reader(sys.stdin)
    worker.stop()
    await running


def left_behind(scheduler: Scheduler, before: dict[str, Any], patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Return the entries of `before` (a memory_of) that have not come back: path -> (then, now)."""
    left: dict[str, Any] = {}

    def gone() -> bool:
        now = memory_of(scheduler)
        left.clear()
        left.update(
            {key: (before.get(key, 0), now[key]) for key in now if now[key] > before.get(key, 0) and key not in BOUNDED}
        )
        return not left

    try:
        wait_until(gone, patience_s)
    except AssertionError:
        return left
    return {}


def memory_of(scheduler: Scheduler) -> dict[str, int]:
    """Return the entries of all tables, the tasks by their functions, open files and threads of a scheduler."""
    report = scheduler.get("/v1/debug/memory?gc=1")
    tasks = {f"task {name}": count for name, count in report["tasks"]["functions"].items()}
    tables = {path: size for path, size in report["tables"].items() if not path.startswith(HISTORY)}
    return {**tables, **tasks, "open_files": report["open_files"], "threads": report["threads"]}


def allocated_bytes_of(scheduler: Scheduler) -> int:
    """Return the bytes allocated in the process, after a collection."""
    allocated: int = scheduler.get("/v1/debug/memory?gc=1&types=0")["memory"]["allocated_bytes"]
    return allocated


def script_errors_of(scheduler: Scheduler) -> float:
    """Return how many calls of scripts failed."""
    text = httpx.get(f"{scheduler.url}/metrics", trust_env=False).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return sum(sample.value for sample in families["voxpool_script_errors"].samples)


if __name__ == "__main__":
    asyncio.run(stand_by(sys.argv[1]))
