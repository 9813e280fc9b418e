"""What a server of several answers instead of a result: the flush has failed, and its primary is located again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.cluster.played_sentinel import PlayedSentinel
from tests.contract.cluster.servers import Cluster
from tests.contract.conftest import run_when_back
from tests.e2e.bad_answers import CLUSTER, REPLICAS, VALKEY
from tests.e2e.lookalike import Lookalike
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.shared.partition import audio_calls, calls
from voxpool.scheduler.stores.cluster.job_stores import JobStores

BEAT = calls.beat("a", 1, 9_000, 8_000, 100, True)
FIND = calls.find(["0.x"])
ANSWERS = sorted({*CLUSTER, *REPLICAS, *VALKEY})


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
async def stores(cluster: Cluster) -> AsyncIterator[JobStores]:
    opened = JobStores(cluster.url, 1)
    await opened.partitions[0].run([BEAT])
    yield opened
    await opened.close()


@pytest.mark.parametrize("answer", ANSWERS)
async def test_after_each_answer_the_primary_is_located_again(server: RedisServer, answer: str) -> None:
    """The first server gives the bad answer; by then another one has its place."""
    async with Lookalike(server.port).open() as first, PlayedSentinel(first.port).open() as sentinel:
        stores = JobStores(sentinel.url, 1)
        await stores.partitions[0].run([BEAT])
        first.misbehave(f"-{answer}\r\n".encode(), "flush")
        with pytest.raises(StoreUnavailable, match=answer.split()[0]):
            await stores.partitions[0].run([FIND])
        assert sentinel.asked == 1
        sentinel.primary = server.port
        assert await stores.partitions[0].run([FIND]) == [[""]]
        assert sentinel.asked == 2
        await stores.close()


async def test_a_lost_connection_and_a_primary_that_nobody_knows(server: RedisServer) -> None:
    async with Lookalike(server.port).open() as first, PlayedSentinel(first.port).open() as sentinel:
        stores = JobStores(sentinel.url, 1)
        await stores.partitions[0].run([BEAT])
        first.misbehave(b"", "connect")
        sentinel.primary = 0
        with pytest.raises(StoreUnavailable):
            await stores.partitions[0].run([FIND])
        with pytest.raises(StoreUnavailable, match="knows no primary 'main'"):
            await stores.partitions[0].run([FIND])
        sentinel.primary = server.port
        assert await stores.partitions[0].run([FIND]) == [[""]]
        await stores.close()


async def test_a_slot_on_its_way(cluster: Cluster, stores: JobStores) -> None:
    """TRYAGAIN for scripts, ASK for a new key, then MOVED; afterwards the partition is where its slot is."""
    partition = stores.partitions[0]
    source = cluster.primary(partition.slot)
    target = next(node for node in cluster.primaries() if node is not source)
    target.ask("CLUSTER", "SETSLOT", partition.slot, "IMPORTING", source.id)
    source.ask("CLUSTER", "SETSLOT", partition.slot, "MIGRATING", target.id)
    with pytest.raises(StoreUnavailable, match="TRYAGAIN"):
        await partition.run([BEAT])
    with pytest.raises(StoreUnavailable, match="ASK"):
        await partition.run([audio_calls.keep_audio(audio_calls.audio_key(0, "n"), b"audio", 60)])
    await asyncio.to_thread(cluster.move, partition.slot, target)
    (answer,) = await run_when_back(partition, [BEAT])
    assert answer[0] == "OK", "its data have moved, too"
    assert partition.at.endswith(f":{target.server.port}/0") and partition.restarts == 1


async def test_a_slot_that_moved_is_found(cluster: Cluster, stores: JobStores) -> None:
    partition = stores.partitions[0]
    source = cluster.primary(partition.slot)
    target = next(node for node in cluster.primaries() if node is not source)
    await asyncio.to_thread(cluster.move, partition.slot, target)
    with pytest.raises(StoreUnavailable, match="MOVED"):
        await partition.run([BEAT])
    assert (await partition.run([BEAT]))[0][0] == "OK"


async def test_a_slot_without_a_server(cluster: Cluster, stores: JobStores) -> None:
    """CLUSTERDOWN, until it has one again."""
    partition = stores.partitions[0]
    home = cluster.primary(partition.slot)
    home.ask("CLUSTER", "DELSLOTS", partition.slot)
    try:
        with pytest.raises(StoreUnavailable, match="CLUSTERDOWN"):
            await partition.run([FIND])
    finally:
        home.ask("CLUSTER", "ADDSLOTS", partition.slot)
    assert await run_when_back(partition, [FIND]) == [[""]]


async def test_scripts_that_were_lost_are_loaded(cluster: Cluster, stores: JobStores) -> None:
    cluster.primary(stores.partitions[0].slot).ask("SCRIPT", "FLUSH")
    assert await stores.partitions[0].run([FIND]) == [[""]]
    assert stores.partitions[0].restarts == 1


async def test_an_error_concerns_the_flush_of_its_partition_only(cluster: Cluster) -> None:
    """Partitions 1 and 2 share a connection; foreign data in one do not keep the other from its work."""
    stores = JobStores(cluster.url, 3)
    _, one, two = stores.partitions
    await one.run([BEAT])
    cluster.primary(one.slot).ask("SET", one.keys[0], "foreign")
    answers = await asyncio.gather(*(p.run([FIND]) for p in (one, two, one, two)), return_exceptions=True)
    assert [isinstance(answer, StoreUnavailable) for answer in answers] == [True, False, True, False]
    await stores.close()


async def test_one_connection_for_each_primary(cluster: Cluster) -> None:
    stores = JobStores(cluster.url, 12)
    primaries = cluster.primaries()
    before = [len(node.client.client_list()) for node in primaries]
    await asyncio.gather(*(partition.run([BEAT]) for partition in stores.partitions for _ in range(3)))
    after = [len(node.client.client_list()) for node in primaries]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]
    await stores.close()
