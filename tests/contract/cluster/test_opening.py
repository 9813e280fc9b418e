"""What a scheduler and its doctor say about a store that is a cluster, or is none."""

from __future__ import annotations

import pytest

from tests.contract.cluster.servers import Cluster
from tests.servers import redis_server
from voxpool.scheduler.config import Settings
from voxpool.scheduler.doctor.here import look_at_store
from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.stores.opening import open_jobs, open_store


async def test_a_node_of_a_cluster_is_no_store_of_its_own(cluster: Cluster) -> None:
    url = f"redis://{cluster.nodes[0].address}/0"
    with pytest.raises(ConfigError, match=r"is a node of a Redis Cluster.*write redis\+cluster://HOST:PORT"):
        await open_store(url, owner="me")
    with pytest.raises(ConfigError, match=r"is a node of a Redis Cluster.*write redis\+cluster://HOST:PORT"):
        await open_jobs(url, 4, 0)
    for jobs in ("memory", "redis"):
        found = await look_at_store(Settings(store=url, jobs=jobs), None, lambda: 0)
        assert "store_cluster" in [finding.trouble for finding in found]


async def test_jobs_in_memory_need_one_server(cluster: Cluster) -> None:
    for url in (cluster.url, "redis+sentinel://me:secret@127.0.0.1/main"):
        with pytest.raises(ConfigError, match="needs jobs = redis") as refused:
            await open_store(url, owner="me")
        assert "secret" not in str(refused.value)


async def test_a_server_that_is_no_cluster_is_named(cluster: Cluster) -> None:
    with redis_server() as server, pytest.raises(StoreUnavailable, match="cluster support disabled"):
        await open_jobs(f"redis+cluster://127.0.0.1:{server.port}", 4, 0)


async def test_all_schedulers_of_a_cluster_have_as_many_partitions(cluster: Cluster) -> None:
    first = await open_jobs(cluster.url, 4, 0)
    with pytest.raises(ConfigError, match="partitions = 4, and this one has partitions = 5"):
        await open_jobs(cluster.url, 5, 0)
    await first.close()


async def test_the_doctor_looks_at_each_primary(cluster: Cluster) -> None:
    settings = Settings(store=cluster.url, jobs="redis", partitions=6, acks=1)
    now_ms = int(float(cluster.nodes[0].client.time()[0]) * 1000)
    assert await look_at_store(settings, None, lambda: now_ms) == []
    wrong = cluster.primaries()[2]
    wrong.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        (found,) = await look_at_store(settings, None, lambda: now_ms)
    finally:
        wrong.client.config_set("maxmemory-policy", "noeviction")
    assert found.trouble == "store_eviction" and found.where == f"redis://{wrong.address}/0"


async def test_the_doctor_misses_a_replica_that_acks_waits_for() -> None:
    with redis_server() as server:
        for acks, expected in ((1, {"store_replicas"}), (0, set[str]())):
            settings = Settings(store=server.url, jobs="redis", acks=acks)
            found = await look_at_store(settings, None, lambda: 0)
            assert {one.trouble for one in found} - {"clock_skew"} == expected
