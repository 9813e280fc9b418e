"""A client of the SDK against a played scheduler, and the messages that tests need."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.unit.played_scheduler import PlayedConnection
from voxpool.scheduler.protocol.field_types import Times
from voxpool.scheduler.protocol.messages import JobResult, Submit
from voxpool.scheduler.sdk import Client

PAIR = "zh:en"


@asynccontextmanager
async def client_of(**options: Any) -> AsyncIterator[Client]:
    """Return a client that has begun to connect."""
    async with Client("ws://127.0.0.1:1", random=random.Random(1), **options) as client:
        yield client


def asks(client: Client, *names: str) -> list[asyncio.Task[JobResult]]:
    """Submit requests of these names."""
    tasks = [asyncio.create_task(client.submit(b"audio", PAIR, request_id=name)) for name in names]
    for task in tasks:  # a test need not read each of them
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
    return tasks


def result_of(name: str, number: int | None = None, state: str = "completed") -> JobResult:
    """Return the result of the request of that name."""
    return JobResult(f"j-{name}", name, state, 1, Times(0, 0, 0), f"out of {name}", number=number)


def submitted(connection: PlayedConnection) -> list[str]:
    """Return the request ids that were submitted over `connection`."""
    return [submit.request_id for submit in connection.of_kind(Submit)]


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()
