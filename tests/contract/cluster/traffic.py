"""Clients that submit without a pause at two schedulers, and the check of what they got."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from tests.contract.jobs.schedulers import Client, Worker, audio, scheduler, submit, until
from voxpool.sim.instances.desk import SharedDesk

PARTITIONS = 6
"""Two on each of three primaries."""
LEASE_MS = 9_000
"""Above each outage of these tests: what is judged dead is another test's."""
PACE_S = 0.004


class Traffic(Client):
    """A client that submits without a pause, in turns at all schedulers."""

    def __init__(self, *desks: SharedDesk) -> None:
        super().__init__()
        self.began_s: dict[str, float] = {}
        self.took_s: dict[str, float] = {}
        self._desks = desks
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            number = len(self.began_s)
            self.began_s[f"r{number}"] = time.monotonic()
            submit(self._desks[number // PARTITIONS % len(self._desks)], self, 1, number)
            await asyncio.sleep(PACE_S)

    def ended(self, request_id: str, state: str, outcome: str) -> None:
        super().ended(request_id, state, outcome)
        self.took_s[request_id] = time.monotonic() - self.began_s[request_id]

    async def more(self, count: int) -> None:
        """Return when `count` more jobs have ended."""
        goal = len(self.ends) + count
        await until(lambda: len(self.ends) >= goal)

    async def stop(self) -> None:
        """Submit no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def check(self) -> None:
        """Stop; assert that each job has ended once, with its own content."""
        await self.stop()
        await until(lambda: len(self.ends) >= len(self.began_s))
        expected = [(f"r{n}", "c", sha256(audio(n)).hexdigest()) for n in range(len(self.began_s))]
        assert sorted(self.ends) == sorted(expected)


@asynccontextmanager
async def traffic(url: str, acks: int = 0) -> AsyncIterator[tuple[Traffic, list[Worker]]]:
    """Run jobs on two schedulers, both with clients and a node."""
    async with (
        scheduler(url, "a", PARTITIONS, acks, LEASE_MS) as a,
        scheduler(url, "b", PARTITIONS, acks, LEASE_MS) as b,
    ):
        workers = [Worker(a), Worker(b)]
        running = Traffic(a, b)
        await running.more(100)
        try:
            yield running, workers
        finally:
            await running.stop()
