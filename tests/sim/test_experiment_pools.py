"""The experiment `pools` at a small size: the result of each row on each side, and cases without evidence."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest

from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.keyspace import Keyspace
from voxpool.sim.experiments.pools import with_fix as pools_with
from voxpool.sim.experiments.pools import without_fix as pools_before
from voxpool.sim.experiments.pools.question import BY_SIZE, report_of
from voxpool.sim.experiments.pools.select_cost import InMemory, Shape, chi_square_a_degree, commands, fill, shares
from voxpool.sim.experiments.pools.size import Point, Size
from voxpool.sim.experiments.pools.without.random_tries import RandomTries
from voxpool.sim.experiments.pools.without.sharded_pools import ShardedPools
from voxpool.sim.experiments.servers import Server
from voxpool.sim.report.report import Outcome

SMALL = Size(
    tries=300,
    choices=10,
    shares_a_node=100,
    nodes_in_one=(10, 300),
    pools=(1, 20),
    nodes_in_pools=300,
    fair_draws=3_000,
    rounds=3,
)
ROWS = ["C1", "C2", "C3", "C4", "C5", "C9"]
PARTS = {"C1": "ghosts", "C2": "gap", "C3": "lonely", "C4": "choices", "C5": "beats", "C9": "srandmember"}


def nobody_hears(_: float) -> None:
    pass


@functools.cache
def played() -> dict[str, Any]:
    """Return the figures of each part at the small size."""
    common = (SMALL, 4, "memory")
    found: dict[str, Any] = {}
    for row, part in PARTS.items():
        for side, module in (("without", pools_before), ("with", pools_with)):
            found[f"{row} {side}"] = getattr(module, part)(*common, nobody_hears)
    for kind in ("memory", "server"):
        found[f"size {kind}"] = pools_with.by_size(*common, kind, nobody_hears)
    found["size without"] = pools_before.by_size(*common, nobody_hears)
    return found


@pytest.fixture
def results() -> dict[str, Any]:
    return played()


def test_a_live_node_among_dead_ones_is_found_with_the_fix_only(results: dict[str, Any]) -> None:
    without = results["C1 without"]
    assert without["nobody 1"] > 85 and 40 < without["nobody 10"] < 65 and 0 < without["nobody 50"] < 9
    assert set(results["C1 with"].values()) == {0.0}


def test_nodes_after_an_empty_shard_are_reached_with_the_fix_only(results: dict[str, Any]) -> None:
    assert results["C2 without"] == {"reached": pytest.approx(100 / 3), "behind": 0.0}
    assert results["C2 with"]["reached"] == 100.0


def test_a_node_alone_in_its_shard_gets_its_fair_share_with_the_fix_only(results: dict[str, Any]) -> None:
    assert 30 < results["C3 without"]["share"] < 37
    assert results["C3 with"]["share"] < 1.25


def test_an_unserved_pair_costs_three_commands_with_the_fix(results: dict[str, Any]) -> None:
    without, with_ = results["C4 without"], results["C4 with"]
    assert [without[f"{kind} commands"] for kind in ("normal", "nobody", "affine")] == [13, 1000, 1013]
    assert [with_[f"{kind} commands"] for kind in ("normal", "nobody", "affine")] == [14, 3, 16]


def test_a_heartbeat_costs_three_commands_with_the_fix(results: dict[str, Any]) -> None:
    assert [results["C5 without"][f"{pairs} commands"] for pairs in SMALL.pairs] == [2, 101, 401]
    assert [results["C5 with"][f"{pairs} commands"] for pairs in SMALL.pairs] == [3, 3, 3]


def test_a_random_rank_is_drawn_evenly_and_a_random_member_is_not(results: dict[str, Any]) -> None:
    assert all(found["two a_degree"] > 3 for found in results["C9 without"].values())
    ranks = results["C9 with"]["ranks"]
    assert 0.6 < ranks["one a_degree"] < 1.4 and 0.6 < ranks["two a_degree"] < 1.4


def test_commands_do_not_grow_with_the_pool_with_the_fix(results: dict[str, Any]) -> None:
    assert [point.commands for point in results["size without"]] == [4, 6]
    for kind in ("memory", "server"):
        assert {point.commands for point in results[f"size {kind}"]} == {14}


def test_the_whole_report_holds(results: dict[str, Any]) -> None:
    found = report_of(Options(), SMALL, ROWS, results)

    assert found.outcome is Outcome.HOLDS, [check for check in found.checks if not check.ok]
    assert report_of(Options(variant="without"), SMALL, ROWS, results).exit_code == 1


def test_the_question_about_a_thousand_nodes_has_an_answer_with_pictures(results: dict[str, Any]) -> None:
    many = {
        "size without": [Point(10, 1, 4, 10, None), Point(100_000, 1, 1003, 300, None)],
        **{
            f"size {kind}": [Point(10, 1, 14, 10, 1.0), Point(100_000, 1, 14, 20, 1.0), Point(10_000, 9, 14, 11, None)]
            for kind in ("memory", "server")
        },
    }
    size = Size(nodes_in_one=(10, 100_000), pools=(9,))
    found = report_of(Options(), size, [BY_SIZE], many)

    assert found.outcome is Outcome.HOLDS, found.checks
    assert "1,003 at 100,000" in found.notes[-1] and "14 commands at any number" in found.notes[-1]
    assert "2.0 times" in found.notes[-1] and "0.6 times at 9 pools" in found.notes[-1]
    assert [draw().name for draw in found.pictures] == ["commands_by_nodes", "time_by_nodes", "time_by_pools"]


@pytest.mark.parametrize("row", ROWS)
def test_a_without_side_that_shows_nothing_proves_nothing(results: dict[str, Any], row: str) -> None:
    healthy = {**results, f"{row} without": results[f"{row} with"]}

    assert report_of(Options(), SMALL, [row], healthy).exit_code == 2


@pytest.mark.parametrize("row", ROWS)
def test_a_fix_that_shows_the_defect_is_broken(results: dict[str, Any], row: str) -> None:
    useless = results[f"{row} without"]
    if row == "C9":
        useless = {"ranks": next(iter(useless.values()))}

    assert report_of(Options(), SMALL, [row], {**results, f"{row} with": useless}).exit_code == 1


def test_the_old_choice_is_right_when_all_nodes_live_and_no_shard_is_empty() -> None:
    """The models have the defects that they stand for, and no others."""
    tries = RandomTries(Keyspace(lambda: 0.0), random.Random(1))
    sharded = ShardedPools(Keyspace(lambda: 0.0), random.Random(1))
    nodes = [f"gpu-{number}" for number in range(200)]
    for node_id in nodes:
        tries.register(node_id, "zh:en", lease_s=45.0)
        sharded.register(node_id, "zh:en")

    assert {tries.choose("zh:en") for _ in range(4000)} == set(nodes)
    assert {sharded.choose("zh:en") for _ in range(4000)} == set(nodes)
    assert sharded.choose("fr:de") is None


def test_memory_and_a_server_count_the_same_commands_and_draw_the_same_nodes() -> None:
    shape = Shape(50, 1)
    server, memory = Server(), InMemory()
    try:
        drawn = []
        for store in (server, memory):
            fill(store, shape)
            drawn.append(shares(store, shape, draws=500, chance=random.Random(3)))
        assert drawn[0] == drawn[1]
        assert 0.3 < chi_square_a_degree(drawn[0]) < 1.9
    finally:
        server.close()
    assert commands(shape) == 14
