"""Somebody who does nothing wrong while others do: a job in flight over the whole time, and a node that echoes.

And what a scheduler must look like afterwards.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from scheduler.sdk import Client, JobResult, Work, Worker
from tests.api.frames import ECHO
from tests.live.processes import PATIENCE_S, TONE, Scheduler, wait_until

FLAGS = (
    *("--retention-s", "0.5", "--cleanup-interval-s", "0.2", "--session-grace-s", "0.2", "--waiting-timeout-s", "1"),
    *("--dispatch-timeout-s", "3600", "--probe-s", "0.05", "--log-sample", "0"),
    *("--heartbeat-s", "1", "--lease-s", "3"),
)
PAIR = "held:en"


BOUNDED = frozenset(
    {
        *("sessions.log._this_second", "sessions.cut_offs._reasons", "core.why._jobs"),
        "core.dispatcher._deadlines._heap",  # a deadline that was replaced stays until its time
        "core.queue._beats",  # the beats on their way to the store, of nodes that are there
    }
)
"""Tables that keep the last so many whatever happens, or what is on its way just now."""


class Bystander:
    """Within it a job is held by a node. At the end it must complete, at its first attempt, over one connection."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.job_id = ""
        self.result: JobResult | None = None
        self.connects = 0
        self._scheduler = scheduler
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stand_by()))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate: asyncio.Event | None = None

    def __enter__(self) -> Bystander:
        self._thread.start()
        assert self._started.wait(PATIENCE_S)
        return self

    def __exit__(self, *error: Any) -> None:
        assert self._loop is not None and self._gate is not None
        self._loop.call_soon_threadsafe(self._gate.set)
        self._thread.join()

    async def _stand_by(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._gate = gate = asyncio.Event()

        async def work(work: Work) -> str:
            if work.pair == PAIR:
                self.job_id = work.job_id
                self._started.set()
                await gate.wait()
            return work.pair

        worker = Worker(self._scheduler.url, node_id="bystander", pairs=[PAIR, ECHO], slots=20, work=work)
        running = asyncio.create_task(worker.run())
        async with Client(self._scheduler.url) as client:
            self.result = await client.submit(TONE, PAIR)
            self.connects = client.connects
        worker.stop()
        await running


def left_behind(scheduler: Scheduler, before: dict[str, Any], patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Return what of `before` (a memory_of) has not come back: path -> (then, now). Empty when all has."""
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
    return {**report["tables"], **tasks, "open_files": report["open_files"], "threads": report["threads"]}


def live_bytes_of(scheduler: Scheduler) -> int:
    """Return the bytes that its allocators have given out, after a collection."""
    live: int = scheduler.get("/v1/debug/memory?gc=1&types=0")["memory"]["live_bytes"]
    return live


def script_errors_of(scheduler: Scheduler) -> float:
    """Return how many calls of scripts failed, of all kinds."""
    text = httpx.get(f"{scheduler.url}/metrics", trust_env=False).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return sum(sample.value for sample in families["voxpool_script_errors"].samples)
