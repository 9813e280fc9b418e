"""Schedulers that a test may damage, with traffic and with nodes in this process and in their own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Process, Scheduler, until
from tests.servers import RedisServer
from voxpool.scheduler.sdk import Client, SchedulerUnreachable, SubmitRejected, Work, Worker

AUDIO = TONE[:2000]
PATIENCE_S = 60.0
FLAGS = ("--heartbeat-s", "0.5", "--lease-s", "5", "--rest-after-failures", "0")


@dataclass
class Patient:
    """A scheduler that a fault may damage; `again` restarts it on its port. Its store is `redis`, or in its memory."""

    folder: Path
    name: str
    flags: tuple[str, ...] = ()
    redis: RedisServer | None = None
    scheduler: Scheduler = field(init=False)
    processes: list[Process] = field(default_factory=list)
    """All processes started for it: schedulers and nodes."""
    is_over: bool = False

    def start(self, port: int = 0, *flags: str) -> None:
        """Start it; return when it is ready."""
        store = self.redis.url if self.redis is not None else "memory"
        name = f"{self.name}-{len(self.processes)}"
        self.scheduler = Scheduler(
            self.folder, store, *FLAGS, *self.flags, *flags, port=port, name=name, patience_s=PATIENCE_S
        )
        self.processes.append(self.scheduler)
        if self.is_over:  # a cancelled `again` continues in its thread
            self.end_all()

    async def again(self, *flags: str) -> None:
        """Restart it on its old port, whatever else runs."""
        await asyncio.to_thread(self.start, self.scheduler.port, *flags)

    def kill(self) -> None:
        """Kill it, as a crash does."""
        self.scheduler.signal(signal.SIGKILL)
        self.scheduler.end()

    def end_all(self) -> None:
        """End it and its nodes in any state; nothing can be started afterwards."""
        self.is_over = True
        for process in self.processes:
            process.popen.kill()
            process.popen.wait()

    @property
    def instance(self) -> str:
        """Its instance label in Prometheus."""
        return f"127.0.0.1:{self.scheduler.port}"


@asynccontextmanager
async def traffic(patient: Patient, pair: str, rate_per_s: float, priority: int | None = None) -> AsyncIterator[None]:
    """Submit jobs of `pair` and ignore the results."""
    async with Client(patient.scheduler.url, give_up_s=PATIENCE_S) as client, asyncio.TaskGroup() as jobs:

        async def submit() -> None:
            with contextlib.suppress(SubmitRejected, SchedulerUnreachable):
                await client.submit(AUDIO, pair, priority=priority)

        async def submit_one() -> None:
            tasks.add(task := jobs.create_task(submit()))
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(1 / rate_per_s)

        tasks: set[asyncio.Task[None]] = set()
        async with again_and_again(submit_one):
            yield
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def again_and_again(act: Callable[[], Awaitable[None]]) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Repeat `act` during the block, or until the yielded function is called; an act that has begun is completed."""
    stopping = asyncio.Event()

    async def repeat() -> None:
        while not stopping.is_set():
            await act()

    async def stop() -> None:
        stopping.set()
        await task

    task = asyncio.create_task(repeat())
    try:
        yield stop
    finally:
        await stop()


async def frozen(process: Process, for_s: float, then_s: float) -> None:
    """Repeatedly stop `process` for a while and let it run for another."""
    process.signal(signal.SIGSTOP)
    await asyncio.sleep(for_s)
    process.signal(signal.SIGCONT)
    await asyncio.sleep(then_s)


@asynccontextmanager
async def node(
    patient: Patient,
    pair: str,
    work: Callable[[Work], Awaitable[Any]],
    slots: int = 4,
    name: str = "",
    kind: type[Worker] = Worker,
) -> AsyncIterator[Worker]:
    """A connected node in this process."""
    node_id = name or f"node-{pair.split(':')[0]}"
    worker = kind(patient.scheduler.url, node_id=node_id, pairs=[pair], slots=slots, work=work, drain_s=0)
    async with running(worker):
        await until(lambda: worker._connection is not None, PATIENCE_S)
        yield worker


def takes(seconds: float) -> Callable[[Work], Awaitable[str]]:
    """Return work that takes `seconds`."""

    async def work(work: Work) -> str:
        await asyncio.sleep(seconds)
        return "done"

    return work


async def node_process(patient: Patient, name: str, pair: str) -> Process:
    """A registered `voxpool node`; its jobs take a tenth of a second."""
    words = ("--id", name, "--pairs", pair, "--slots", "4", "--engine", "sleep:0.1")
    process = Process(patient.folder, f"{patient.name}-{name}", "node", "--url", patient.scheduler.url, *words)
    patient.processes.append(process)
    await until(lambda: process.popen.poll() is not None or name in patient.scheduler.node_ids(), PATIENCE_S)
    assert process.popen.poll() is None, process.log.read_text()
    return process
