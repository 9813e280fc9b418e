"""The schedulers of a Redis Cluster while its primaries change: a promotion, deaths, slots that move."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.cluster.servers import Cluster
from tests.contract.cluster.traffic import LEASE_MS, PARTITIONS, traffic
from tests.contract.conftest import run_when_back
from tests.contract.jobs.schedulers import Client, Worker, scheduler, submit, until
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.asked import Asked
from voxpool.scheduler.shared.partition.calls import Bounds, Said, Submit
from voxpool.scheduler.stores.cluster.job_stores import JobStores
from voxpool.scheduler.stores.cluster.locating import slot_of
from voxpool.scheduler.stores.script_sources import JOBS
from voxpool.sim.instances.desk import SharedDesk

JOBS_HELD = 30
BOUNDS = Bounds(1000, 10**9, 1000)
OTHER_SLOT = 1
"""A slot of another primary than that of partition 0."""


def slot(partition: int) -> int:
    return slot_of(JOBS.keys(partition)[0])


async def test_a_promoted_replica_goes_on(cluster: Cluster) -> None:
    """CLUSTER FAILOVER: nobody dies, the old primary is a replica from then on. No job is lost or runs twice."""
    async with traffic(cluster.url) as (jobs, workers):
        old = cluster.primary(slot(0))
        new = await asyncio.to_thread(cluster.fail_over, slot(0))
        await jobs.more(300)
        assert cluster.primary(slot(0)) is new is not old
        await jobs.check()
    assert len(workers[0].got) + len(workers[1].got) == len(jobs.ends)


async def test_the_death_of_a_primary_loses_no_job(cluster: Cluster) -> None:
    async with traffic(cluster.url) as (jobs, _):
        old = cluster.primary(slot(0))
        (replica,) = cluster.replicas(old)
        cluster.kill(old)
        await asyncio.to_thread(cluster.take_over, replica)
        await jobs.more(300)
        await jobs.check()


async def test_slots_move_in_traffic(cluster: Cluster) -> None:
    """Each partition goes to another primary: no job is lost, none runs twice."""
    async with traffic(cluster.url) as (jobs, workers):
        for partition in range(PARTITIONS):
            await asyncio.to_thread(move_on, cluster, partition)
        await jobs.more(300)
        await jobs.check()
    assert len(workers[0].got) + len(workers[1].got) == len(jobs.ends)


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
    cluster.kill(primary)
    await asyncio.to_thread(cluster.take_over, replica)


@pytest.mark.alone  # beside five other tests the nodes of the cluster hold each other for dead
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
        await asyncio.to_thread(cluster.kill_and_elect, primary)
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
