"""The schedulers of a Redis Cluster while its primaries change: a promotion, deaths, slots that move."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from tests.contract.cluster.servers import Cluster
from tests.contract.jobs.schedulers import Client, Worker, audio, scheduler, submit, until
from voxpool.scheduler.shared.desk import SharedDesk
from voxpool.scheduler.stores.cluster.locating import slot_of
from voxpool.scheduler.stores.script_sources import JOBS

PARTITIONS = 6
"""Two on each primary."""
LEASE_MS = 9_000
"""Above each outage of these tests: what is judged dead is another test's."""
PACE_S = 0.004


def slot(partition: int) -> int:
    return slot_of(JOBS.keys(partition)[0])


def of_partition(partition: int, jobs: list[str]) -> list[str]:
    return [job for job in jobs if job.startswith(f"{partition}.")]


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
async def traffic(cluster: Cluster, acks: int = 0) -> AsyncIterator[tuple[Traffic, list[Worker]]]:
    """Run jobs on two schedulers, both with clients and a node."""
    options = {"partitions": PARTITIONS, "acks": acks, "lease_ms": LEASE_MS}
    async with scheduler(cluster.url, "a", **options) as a, scheduler(cluster.url, "b", **options) as b:
        workers = [Worker(a), Worker(b)]
        running = Traffic(a, b)
        await running.more(100)
        try:
            yield running, workers
        finally:
            await running.stop()


async def test_a_promoted_replica_goes_on(cluster: Cluster) -> None:
    """CLUSTER FAILOVER: nobody dies, the old primary is a replica from then on. No job is lost or runs twice."""
    async with traffic(cluster) as (jobs, workers):
        old = cluster.primary(slot(0))
        new = await asyncio.to_thread(cluster.fail_over, slot(0))
        await jobs.more(300)
        assert cluster.primary(slot(0)) is new is not old
        await jobs.check()
    assert len(workers[0].got) + len(workers[1].got) == len(jobs.ends)


async def test_the_death_of_a_primary_loses_no_job(cluster: Cluster) -> None:
    async with traffic(cluster) as (jobs, _):
        old = cluster.primary(slot(0))
        (replica,) = cluster.replicas(old)
        old.kill()
        await asyncio.to_thread(cluster.take_over, replica)
        await jobs.more(300)
        await jobs.check()


async def test_slots_move_in_traffic(cluster: Cluster) -> None:
    """Each partition goes to another primary: no job is lost, none runs twice."""
    async with traffic(cluster) as (jobs, workers):
        for partition in range(PARTITIONS):
            await asyncio.to_thread(move_on, cluster, partition)
        await jobs.more(300)
        await jobs.check()
    assert len(workers[0].got) + len(workers[1].got) == len(jobs.ends)
    assert max(jobs.took_s.values()) < 5, "moving is a matter of repeats, and of no time-out"


def move_on(cluster: Cluster, partition: int) -> None:
    home = cluster.primary(slot(partition))
    cluster.move(slot(partition), next(node for node in cluster.primaries() if node is not home))
