"""Few and many pools: the commands of a select are counted from MONITOR, and violations of the demands are found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from voxpool.loadtest.commands._pools import NODES_A_POOL, PAIRS_A_NODE, Shape
from voxpool.loadtest.commands._pools_report import SELECTS_MIN, Side, report
from voxpool.loadtest.commands._script_commands import SELECT, ScriptCommands
from voxpool.loadtest.commands._script_seconds import ScriptSeconds
from voxpool.scheduler.core.scripts import Want, heartbeat, select_node
from voxpool.scheduler.stores.script_sources import NODES
from voxpool.sim.report.report import Outcome, Report
from voxpool.sim.scenario.scenario import load_scenario

SHA1, BEAT_SHA1 = "a" * 40, "b" * 40
NAMES = {SHA1: SELECT, BEAT_SHA1: "heartbeat"}
FEW = Side(
    store="embedded",
    name="10 nodes in 1 pool",
    jobs=1000,
    failures=0,
    exit_code=0,
    script_errors=0.0,
    commands_a_select=14.0,
    selects_seen=100,
    select_us=400.0,
    select_median_us=350.0,
    chi_square=9.0,
    degrees=9,
    p_value=0.4,
    result_p99_ms=200.0,
)
MANY = msgspec.structs.replace(FEW, name="1500 nodes in 1 pool", chi_square=1499.0, degrees=1499)


def evalsha(sha1: str, arguments: list[str]) -> str:
    """Return a call as MONITOR shows it, without the quotes, which redis-py removes."""
    keys = NODES.keys()
    return " ".join(["EVALSHA", sha1, str(len(keys)), *keys, *arguments])


def test_commands_belong_to_the_preceding_call_and_jobs_are_counted() -> None:
    """There are two jobs in one call, one of which names nodes to avoid; an unfinished call does not count."""
    wants = [Want("j-1|1", "zh:en", 5, "", ()), Want("j-2|1", "zh:en", 5, "n-1", ("n-2", "n-3"))]
    counting = ScriptCommands(NAMES)
    counting.line(True, "ZSCORE of a call that was not seen from its start")
    counting.line(False, evalsha(SHA1, select_node(1, 7, 2, 1000, wants).args))
    for _ in range(28):
        counting.line(True, "ZLEXCOUNT vp:{0}:capacity [zh:en| (zh:en}")
    counting.line(False, "PING")
    counting.line(False, evalsha(BEAT_SHA1, heartbeat(1, 2, [("n-1", "g-1")]).args))
    counting.line(True, "HGET vp:{0}:nodes n-1")
    counting.line(False, evalsha("c" * 40, ["somebody else's"]))
    counting.line(True, "GET x")
    counting.line(False, evalsha(SHA1, select_node(1, 7, 2, 1000, wants).args))
    counting.line(True, "ZLEXCOUNT")

    seen = counting.seen
    assert set(seen) == {SELECT, "heartbeat"}
    assert (seen[SELECT].calls, seen[SELECT].jobs, seen[SELECT].commands) == (1, 2, 28)
    assert seen[SELECT].commands_a_job == 14.0 and seen["heartbeat"].commands_a_job is None


@pytest.mark.parametrize("shape", [Shape(30, 1), Shape.of_pools(10), Shape.of_pools(1200)])
def test_a_shape_is_a_scenario_with_its_nodes_and_pools(shape: Shape, tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(shape.scenario(rate_per_s=60.0, seconds=20.0, seed=3))
    scenario = load_scenario(file)
    assert sum(group.count for group in scenario.nodes) == shape.nodes
    assert sum(traffic.rate_per_s for traffic in scenario.traffic) == pytest.approx(60.0)
    served = [pair for group in scenario.nodes for pair in group.pairs]
    assert sorted(served) == sorted({traffic.pair for traffic in scenario.traffic}) and len(served) == shape.pools
    if shape.pools > 1:
        assert {group.count for group in scenario.nodes} == {NODES_A_POOL}
        assert max(len(group.pairs) for group in scenario.nodes) <= PAIRS_A_NODE


def found(**changes: object) -> Report:
    """Return the report of ten nodes and of many that differ by `changes`."""
    return report([(FEW, msgspec.structs.replace(MANY, **changes))], {}, 1)


def test_many_nodes_like_few_pass() -> None:
    assert found().outcome is Outcome.HOLDS
    assert found(select_us=4000.0).outcome is Outcome.HOLDS, "times are shown, not judged"


@pytest.mark.parametrize(
    "changes",
    [
        {"commands_a_select": 15.0},
        {"p_value": 1e-6},
        {"failures": 1},
        {"script_errors": 1.0},
        {"exit_code": 1},
    ],
    ids=str,
)
def test_violations_of_many_nodes_are_found(changes: dict[str, object]) -> None:
    """Planted are a select that costs more, unfair shares, and errors."""
    assert found(**changes).exit_code == 1


@pytest.mark.parametrize(
    "changes", [{"commands_a_select": None}, {"selects_seen": SELECTS_MIN - 1}, {"p_value": None}], ids=str
)
def test_missing_figures_are_unclear(changes: dict[str, object]) -> None:
    assert found(**changes).exit_code == 2


METRICS = """
voxpool_script_seconds_bucket{le="0.001",script="select_node"} 10.0
voxpool_script_seconds_bucket{le="0.002",script="select_node"} 40.0
voxpool_script_seconds_bucket{le="+Inf",script="select_node"} 50.0
voxpool_script_seconds_count{script="select_node"} 50.0
voxpool_script_seconds_sum{script="select_node"} 0.2
voxpool_script_seconds_count{script="heartbeat"} 900.0
"""


def test_script_seconds_are_the_difference_of_two_readings() -> None:
    found = ScriptSeconds.of(METRICS, SELECT)
    assert found.count == 50 and found.mean_s == pytest.approx(0.004)
    assert found.median_s == pytest.approx(0.001 + 0.001 * 15 / 30)
    nothing = ScriptSeconds.of("", SELECT)
    assert found.since(nothing) == found and nothing.mean_s is nothing.median_s is None
    assert found.since(found).median_s is None
    slow = ScriptSeconds(10, 50.0, {0.001: 1.0, float("inf"): 10.0})
    assert slow.median_s is None, "half of them are past the last bound"
