"""The census of Redis: families, members and bytes, on a real server; it gives up rather than block the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.servers import RedisServer
from voxpool.leakgate.errors import NoReading
from voxpool.loadtest.memory import _redis_census
from voxpool.loadtest.memory._redis_census import OTHERS, RedisCensus, family_of, reachable_url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A redis-server for the tests of this file."""
    running = RedisServer(tmp_path_factory.mktemp("redis"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Any]:
    """A client of an empty database."""
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def census(server: RedisServer) -> Iterator[RedisCensus]:
    """A census of the server."""
    made = RedisCensus(server.url, time.monotonic)
    yield made
    made.close()


def test_the_census_counts_keys_members_and_bytes_by_family(redis: Any, census: RedisCensus) -> None:
    redis.zadd("vp:{0}:leases", {f"n{n}": n for n in range(100)})
    redis.hset("vp:{0}:nodes", mapping={f"n{n}": "x" * 100 for n in range(50)})
    redis.set("vp:{0}:owner", "me")
    for number in range(3000):
        redis.hset(f"vp:{{0}}:job:{number}", "state", "completed")
    redis.rpush("somebody:else", 1, 2, 3)
    found = census.take()
    assert found.members == {"leases": 100, "nodes": 50, "owner": 1, "job": 3000, "not of voxpool: somebody": 3}
    assert found.keys["job"] == 3000 and found.keys["leases"] == 1
    assert found.bytes["job"] > 3000 * 50 and found.bytes["nodes"] > 50 * 100
    assert found.total_bytes == sum(found.bytes.values())


def test_an_empty_server_has_nothing(redis: Any, census: RedisCensus) -> None:
    found = census.take()
    assert (found.keys, found.members, found.bytes, found.total_bytes) == ({}, {}, {}, 0)


def test_further_families_are_counted_as_others(redis: Any, census: RedisCensus) -> None:
    for number in range(200):
        redis.set(f"strange{number}:x", 1)
    found = census.take()
    assert len(found.keys) == _redis_census.FAMILIES_MAX + 1 and sum(found.keys.values()) == 200
    assert found.keys[OTHERS] == 200 - _redis_census.FAMILIES_MAX


def test_too_many_keys_give_no_figures(redis: Any, census: RedisCensus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis_census, "KEYS_MAX", 1000)
    redis.mset({f"vp:{{0}}:a:{number}": 1 for number in range(2500)})
    with pytest.raises(NoReading, match="too much to count"):
        census.take()


def test_an_unreachable_server_is_reported_without_its_password(tmp_path: Path) -> None:
    census = RedisCensus("redis://user:secret@127.0.0.1:1/0", time.monotonic)
    with pytest.raises(NoReading, match=r"redis://\*\*\*@127.0.0.1:1/0: ") as caught:
        census.take()
    assert "secret" not in str(caught.value)
    with pytest.raises(NoReading):
        RedisCensus("nonsense://x", time.monotonic)


def test_families() -> None:
    assert family_of("vp:{0}:leases") == family_of("vp:{12}:leases") == "leases"
    assert family_of("vp:{0}:job:7f3a:audio") == "job"
    assert family_of("vp:partitions") == "vp:partitions"
    assert family_of("other") == "not of voxpool: other"


def test_the_counted_server(tmp_path: Path) -> None:
    here = tmp_path / "valkey.sock"
    assert reachable_url("redis://given:1", "redis://told:2") == "redis://given:1"
    assert reachable_url("", "redis://told:2") == "redis://told:2"
    assert reachable_url("", "") == ""
    assert reachable_url("", f"unix://{here}") == "", "the scheduler is on another machine"
    here.touch()
    assert reachable_url("", f"unix://{here}") == f"unix://{here}"
