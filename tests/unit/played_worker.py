"""A worker of the SDK against a played scheduler, and work that the test ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.unit.played_scheduler import PlayedConnection, settle
from voxpool.scheduler.protocol.messages import Assign, NodeResult
from voxpool.scheduler.sdk import Batch, Work, Worker

FIRST, SECOND = ("j1", 1), ("j2", 1)


class Engine:
    """Work that the test ends; its output is the job id."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, int]] = []
        self.works: dict[str, Work] = {}
        self.ignores_cancel = False
        self._ends: dict[str, asyncio.Event] = {}

    async def __call__(self, work: Work) -> str:
        self.ran.append((work.job_id, work.attempt))
        self.works[work.job_id] = work
        ends = self._ends[work.job_id] = asyncio.Event()
        try:
            await ends.wait()
        except asyncio.CancelledError:
            if not self.ignores_cancel:
                raise
            await ends.wait()
        return work.job_id

    async def end(self, job_id: str) -> None:
        self._ends[job_id].set()
        await settle()


@asynccontextmanager
async def working(
    engine: Callable[[Work], Any] | Batch,
    slots: int | None = 2,
    events: list[str] | None = None,
    drain_s: float = 60.0,
    pairs: Sequence[str] = ("zh:en",),
    **options: Any,
) -> AsyncIterator[tuple[Worker, asyncio.Task[None]]]:
    """A running worker, and its task."""
    worker = Worker(
        "ws://127.0.0.1:1",
        node_id="n",
        pairs=pairs,
        slots=slots,
        work=engine,
        drain_s=drain_s,
        on_event=(events if events is not None else []).append,
        random=random.Random(1),
        **options,
    )
    task = asyncio.create_task(worker.run())
    try:
        yield worker, task
    finally:
        task.cancel()
        await asyncio.wait([task])


def assign(attempt: tuple[str, int]) -> Assign:
    return Assign(*attempt, "zh:en", b"audio", 60_000)


def results(played: PlayedConnection) -> list[tuple[str, int, Any]]:
    """Return job id, attempt and output of the answers over one connection."""
    return [(result.job_id, result.attempt, result.output) for result in played.of_kind(NodeResult)]
