"""The experiment `orphans` at a small size: the result of each row on each side, and cases without evidence."""

from __future__ import annotations

import math

import pytest

from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.keyspace import Keyspace
from voxpool.sim.experiments.orphans import question, with_fix, without_fix
from voxpool.sim.experiments.orphans.question import report_of
from voxpool.sim.experiments.orphans.size import Figures, Size
from voxpool.sim.experiments.orphans.without.node_sets import NodeSets
from voxpool.sim.experiments.orphans.without.socket_maps import SocketMaps
from voxpool.sim.observing.census import entries
from voxpool.sim.report.report import Outcome
from voxpool.sim.world.world import World

SMALL = Size(nodes=30, bindings_s=900.0, bindings_rate_per_s=0.5, closes=400, closes_a_batch=100, full_nodes=4)
PARTS = {"M4": "churn", "M5": "ghosts", "M6": "bindings", "M7": "closes", "M8": "crashes"}


@pytest.fixture(scope="module")
def results() -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    for row, part in PARTS.items():
        for side, module in (("without", without_fix), ("with", with_fix)):
            found[f"{row} {side}"] = getattr(module, part)(SMALL, 4, "memory", lambda _: None)
    return found


def test_node_ids_stay_without_a_goodbye_and_are_removed_with_the_lease(results: dict[str, Figures]) -> None:
    assert results["M4 without"]["ids"] == 30
    assert results["M4 with"] == {"ids": 0, "broken": 0}


def test_dead_nodes_stay_in_pools_and_are_removed_with_the_lease(results: dict[str, Figures]) -> None:
    assert results["M5 without"] == {"ghosts": 30, "without_owner": 30}
    assert results["M5 with"] == {"known": 30, "ghosts": 0, "without_owner": 0}


def test_binding_keys_stay_and_stop_the_sweep_and_there_are_none(results: dict[str, Figures]) -> None:
    assert results["M6 without"] == {"bindings": 450, "in_vain": 100.0, "unheard": 15}
    assert results["M6 with"] == {"bindings": 0, "in_vain": 0.0, "unheard": 0}


def test_maps_keep_closed_sockets_and_the_core_keeps_none(results: dict[str, Figures]) -> None:
    assert results["M7 without"]["entries"] == 4 * 400
    assert results["M7 with"]["entries"] == 0, results["M7 with"]["where"]
    redispatched = results["M7 with"]["redispatched"]
    assert isinstance(redispatched, int) and redispatched > 100


def test_counted_slots_are_lost_for_ever_and_reservations_are_freed(results: dict[str, Figures]) -> None:
    assert results["M8 without"] == {"full_and_idle": 4, "lost_s": math.inf}
    with_ = results["M8 with"]
    assert (with_["full_and_idle"], with_["taken"], with_["state"]) == (0, 8, "completed")
    assert isinstance(with_["lost_s"], float) and 104 <= with_["lost_s"] <= 107


def test_the_whole_report_holds(results: dict[str, Figures]) -> None:
    found = report_of(Options(), SMALL, list(question.ROWS), results)

    assert found.outcome is Outcome.HOLDS, found.checks
    assert report_of(Options(variant="without"), SMALL, list(question.ROWS), results).exit_code == 1
    assert [draw().name for draw in found.pictures] == ["left_behind"]


@pytest.mark.parametrize("row", list(PARTS))
def test_a_without_side_that_shows_nothing_proves_nothing(results: dict[str, Figures], row: str) -> None:
    healthy = {**results, f"{row} without": results[f"{row} with"]}

    assert report_of(Options(), SMALL, [row], healthy).exit_code == 2


@pytest.mark.parametrize("row", list(PARTS))
def test_a_fix_that_leaves_things_behind_is_broken(results: dict[str, Figures], row: str) -> None:
    useless = {**results[f"{row} with"], **results[f"{row} without"]}

    assert report_of(Options(), SMALL, [row], {**results, f"{row} with": useless}).exit_code == 1


def test_the_old_sets_do_empty_when_a_node_says_goodbye() -> None:
    """The model has the defect that it stands for, and no other."""
    nodes = NodeSets(Keyspace(lambda: 0.0))
    nodes.register("gpu-1", ["zh:en", "en:zh"])

    assert nodes.choose("zh:en") == "gpu-1"
    nodes.offline("gpu-1")

    assert (nodes.ids(), nodes.ghosts(), nodes.without_owner(), nodes.choose("zh:en")) == (0, 0, 0, None)


def test_the_old_maps_do_empty_when_a_client_says_goodbye() -> None:
    maps = SocketMaps()
    maps.opened("s", object())
    maps.chunk("s", 0, b"audio")
    maps.left("s")

    assert maps.entries() == 0


def test_the_census_covers_every_container_of_the_core() -> None:
    world = World(checkers=(), is_traced=False)
    world.add_nodes(3, ["zh:en"])
    world.run(for_s=1)
    job = world.submit("zh:en", work_s=5, session_id="s", affinity=True)
    world.run(for_s=1)

    found = entries(world.core)

    assert found["node_registry.nodes"] == 3
    assert found["table._by_id"] == found["table._by_request"] == 1
    assert found["node_registry.nodes.reservations"] == 1
    assert any("affinity" in path for path in found)
    assert not job.ended
