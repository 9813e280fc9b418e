"""The stores of the comparison for lua/jobs/, started once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.cluster.lone import lone_nodes
from tests.contract.sides import Side, Sides
from voxpool.scheduler.stores.embedded import find_server
from voxpool.scheduler.stores.script_sources import JOBS


@pytest.fixture(scope="session")
def job_sides() -> Iterator[list[Side]]:
    """Memory, a redis-server, the embedded Valkey and fakeredis."""
    with Sides(JOBS) as opened:
        yield opened.all()


@pytest.fixture
def cluster_sides(tmp_path: Path) -> Iterator[list[Side]]:
    """A Redis and a Valkey in cluster mode."""
    with lone_nodes(tmp_path, ("", find_server())) as (redis, valkey), Sides(JOBS) as opened:
        yield [opened.cluster("redis cluster", redis.port), opened.cluster("valkey cluster", valkey.port)]
