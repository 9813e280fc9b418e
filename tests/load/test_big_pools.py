"""`voxpool-load pools` on real schedulers with node users of Locust: small here, in full size in `make test-large`."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests.servers import redis_server
from voxpool.loadtest.commands._pools import STORES, Wanted, measure
from voxpool.loadtest.commands._script_commands import watch
from voxpool.sim.report.report import Outcome


@pytest.mark.alone
def test_a_select_costs_the_same_with_thirty_nodes_as_with_ten(tmp_path: Path) -> None:
    found = measure(Wanted(tmp_path, nodes=30, pools=0, stores=("embedded",), rate_per_s=60.0, least_s=5.0))
    assert found.outcome is Outcome.HOLDS, found.checks
    few, many = found.variants["with"]["sides"]
    assert (few["name"], many["name"]) == ("10 nodes in 1 pool", "30 nodes in 1 pool")
    assert few["commands_a_select"] == many["commands_a_select"] > 5
    assert many["degrees"] == 29 and many["jobs"] > 150 and "Valkey" in many["store"]
    assert found.lines[0].defect_id and found.tables[0].rows[1][1] == "30 nodes in 1 pool"


def test_an_idle_store_shows_no_commands() -> None:
    with redis_server() as server:
        assert watch(server.url, 0.1) == {}
    with pytest.raises(redis.ConnectionError):
        watch(server.url, 0.1)


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_1_500_nodes_in_one_pool_and_1_200_pools(tmp_path: Path) -> None:
    """On the embedded store and on a redis-server."""
    found = measure(Wanted(tmp_path))
    assert found.outcome is Outcome.HOLDS, found.checks
    sides = found.variants["with"]["sides"]
    assert len(sides) == 4 * len(STORES) and sum(side["failures"] for side in sides) == 0
