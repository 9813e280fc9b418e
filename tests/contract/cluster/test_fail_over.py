"""The schedulers of a Redis Cluster while its primaries change: a promotion, deaths, slots that move."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import pytest

from tests.contract.cluster.servers import Cluster
from tests.contract.conftest import run_when_back
from tests.contract.jobs.schedulers import Client, Worker, audio, scheduler, submit, until
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.shared import calls
from voxpool.scheduler.shared.asked import Asked
from voxpool.scheduler.shared.calls import Bounds, Said, Submit
from voxpool.scheduler.stores.cluster.job_stores import JobStores
from voxpool.scheduler.stores.cluster.locating import slot_of
from voxpool.scheduler.stores.script_sources import JOBS
from voxpool.sim.instances.desk import SharedDesk

PARTITIONS = 6
"""Two on each primary."""
LEASE_MS = 9_000
"""Above each outage of these tests: what is judged dead is another test's."""
PACE_S = 0.004
JOBS_HELD = 30
OTHER_SLOT = 1
"""A slot of another primary than that of partition 0."""


def slot(partition: int) -> int:
    return slot_of(JOBS.keys(partition)[0])


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
    many = PARTITIONS
    async with (
        scheduler(cluster.url, "a", many, acks, LEASE_MS) as a,
        scheduler(cluster.url, "b", many, acks, LEASE_MS) as b,
    ):
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


class NeverAsksAgain(SharedDesk):
    """A desk without what makes up for lost writes."""

    def asked(self, partition: int) -> list[Asked]:
        return []


async def test_lost_writes_are_made_up_for_by_asking_again(cluster: Cluster) -> None:
    """The replica never had the jobs when it becomes the primary; they run, each once."""
    client = Client()
    async with scheduler(cluster.url, "a", lease_ms=LEASE_MS) as a:
        await lose_writes(cluster, a, client)
        worker = Worker(a)
        await until(lambda: len(client.ends) == JOBS_HELD)
    assert len(set(worker.got)) == len(worker.got) == JOBS_HELD


async def test_without_asking_again_they_are_lost(cluster: Cluster) -> None:
    """The canary of the test before."""
    client = Client()
    async with scheduler(cluster.url, "a", lease_ms=LEASE_MS, desk_class=NeverAsksAgain) as a:
        await lose_writes(cluster, a, client)
        worker = Worker(a)
        stores = JobStores(cluster.url, 1)
        await until(lambda: a.feeds[0].idle and not a.feeds[0].is_repeating)
        (records,) = await stores.partitions[0].run([calls.find([f"0.r{n}" for n in range(JOBS_HELD)])])
        await stores.close()
    assert records == [""] * JOBS_HELD and not client.ends and not worker.got


async def lose_writes(cluster: Cluster, desk: SharedDesk, client: Client) -> None:
    """Let `desk` have jobs accepted by a primary that dies before its replica has got them."""
    primary = cluster.primary(slot(0))
    (replica,) = cluster.replicas(primary)
    await asyncio.to_thread(cluster.cut, replica)
    submit(desk, client, JOBS_HELD)
    await until(lambda: len(client.accepts) == JOBS_HELD)
    primary.kill()
    await asyncio.to_thread(cluster.take_over, replica)


async def test_an_acknowledged_write_outlives_its_primary(cluster: Cluster) -> None:
    """acks = 1 with two replicas, one of them cut off: the election takes the other one, although nobody asks again."""
    client = Client()
    primary, spare = cluster.primary(slot(0)), cluster.replicas(cluster.primary(OTHER_SLOT))[0]
    (cut_off,) = cluster.replicas(primary)
    await asyncio.to_thread(cluster.give_replica, spare, primary)
    async with scheduler(cluster.url, "a", 1, 1, LEASE_MS, NeverAsksAgain) as a:
        await asyncio.to_thread(cluster.cut, cut_off)
        submit(a, client, JOBS_HELD)
        await until(lambda: len(client.accepts) == JOBS_HELD)
        await asyncio.to_thread(cluster.kill_and_elect, primary, slot(0))
        assert cluster.primary(slot(0)) is spare
        cluster.mend(cut_off)  # now it follows the new primary, which needs an acknowledgement, too
        worker = Worker(a)
        await until(lambda: len(client.ends) == JOBS_HELD)
    assert len(set(worker.got)) == len(worker.got) == JOBS_HELD


async def test_too_few_acknowledgements_are_a_flush_that_is_not_done(cluster: Cluster) -> None:
    """Also when it is repeated on a new connection, and then only finds what it has written before."""
    (replica,) = cluster.replicas(cluster.primary(slot(0)))
    stores = JobStores(cluster.url, 1, acks=1)
    job = Submit("0.r", "p0:en", False, 0, 3, 10, "c", "", "m")
    entry = calls.submit("a", 1, 0, 8_000, Bounds(1000, 10**9, 1000), [job])
    await stores.partitions[0].run([calls.beat("a", 1, LEASE_MS, 8_000, 100, True)])
    replica.server.freeze()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas have acknowledged"):
            await stores.partitions[0].run([entry])
    replica.server.thaw()
    (answer,) = await run_when_back(stores.partitions[0], [entry])
    assert answer[0] == Said.KNOWN and stores.partitions[0].restarts == 0
    await stores.close()
