"""Schedulers on a Redis Cluster that changes under them: real processes, clients and nodes at different ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.cluster.servers import Cluster, cluster_of
from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk import Client, Work, Worker
from voxpool.scheduler.stores.cluster.locating import slot_of
from voxpool.scheduler.stores.script_sources import JOBS

PAIRS = [f"p{number}:en" for number in range(8)]
"""More than partitions: they are spread over all primaries."""
PARTITIONS = 6
PATIENT = ("--waiting-timeout-s", "60", "--store-refuse-s", "60")
FLAGS = ("--jobs", "redis", "--partitions", str(PARTITIONS), "--acks", "1", *PATIENT)
SLOTS = [slot_of(JOBS.keys(partition)[0]) for partition in range(PARTITIONS)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with cluster_of(tmp_path) as whole:
        yield whole


async def length(work: Work) -> int:
    return len(work.audio)


class Users:
    """Clients of a scheduler, one for each pair, that submit as soon as they have a result."""

    def __init__(self, client: Client) -> None:
        self.results: list[JobResult] = []
        self._client = client
        self._is_over = False
        self._tasks = [asyncio.ensure_future(self._use(pair)) for pair in PAIRS]

    async def _use(self, pair: str) -> None:
        while not self._is_over:
            self.results.append(await self._client.submit(TONE, pair))

    async def more(self, count: int) -> None:
        goal = len(self.results) + count
        await until(lambda: len(self.results) >= goal)

    async def end(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)


async def test_each_accepted_job_completes_while_the_cluster_changes(cluster: Cluster, folder: Path) -> None:
    """All partitions move, a replica is promoted, a primary dies and comes back as a replica."""
    a, b = schedulers = [Scheduler(folder, cluster.url, *FLAGS, name=name) for name in ("a", "b")]
    worker = Worker(b.url, node_id="n", pairs=PAIRS, slots=8, work=length)
    async with running(worker), Client(a.url) as client:
        users = Users(client)
        await users.more(40)
        await asyncio.to_thread(move_all, cluster)
        await users.more(40)
        await asyncio.to_thread(cluster.fail_over, SLOTS[0])
        await users.more(40)
        victim = next(node for node in cluster.primaries() if node is not cluster.primary(SLOTS[0]))
        await asyncio.to_thread(cluster.kill_and_elect, victim)
        victim.start()  # without a replica nothing is acknowledged
        await users.more(40)
        await users.end()
    assert {(result.state, result.output) for result in users.results} == {("completed", len(TONE))}
    for scheduler in schedulers:
        assert scheduler.stop() == 0
        assert scheduler.events("scheduler_failed") == []


def move_all(cluster: Cluster) -> None:
    """Move each partition to another primary."""
    for slot in SLOTS:
        home = cluster.primary(slot)
        cluster.move(slot, next(node for node in cluster.primaries() if node is not home))
