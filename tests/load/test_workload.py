"""The workload of a load test, from a scenario or from plain options, and the share of each user."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.users import _workload
from voxpool.loadtest.users._workload import of_options, of_scenario, plain
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.scenario.scenario import parse_scenario

TWO_STREAMS = {
    "name": "two",
    "duration_s": 60,
    "seed": 5,
    "nodes": [
        {"count": 2, "pairs": ["zh:en"], "slots": 3},
        {"count": 1, "pairs": ["en:zh"], "slots": 1, "speed": 0.5, "name": "slow"},
    ],
    "traffic": [
        {"pair": "zh:en", "rate_per_s": 12.0, "work_s": {"dist": "exponential", "mean": 2.0}, "timeout_s": 3},
        {"pair": "en:zh", "rate_per_s": 4.0, "work_s": 1.0, "arrivals": "even", "start_s": 10, "end_s": 20},
        {"pair": "en:en", "rate_per_s": 0.0, "work_s": 1.0},
    ],
}


def test_plain_options_give_each_client_user_its_rate() -> None:
    """200 users of 0.5 jobs a second submit 100 a second, whatever their pairs."""
    workload = plain(pairs=["zh:en", "en:zh"], rate_per_user=0.5, nodes=20, slots=2)
    assert workload.rate_per_s(200) == 100
    assert [stream.rate_per_s for stream in workload.of_one(200)] == [0.25, 0.25]
    assert (workload.nodes, workload.slots, workload.pairs) == (20, 40, ("zh:en", "en:zh"))


def test_a_scenario_is_played_by_any_number_of_users_at_its_own_rate() -> None:
    """Its rates are for all users together; a stream without a rate is left out."""
    workload = of_scenario(parse_scenario(TWO_STREAMS, "here"))
    for users in (1, 7, 200):
        assert workload.rate_per_s(users) == 16
        assert sum(stream.rate_per_s for stream in workload.of_one(users)) * users == pytest.approx(16)
    first, second = workload.streams
    assert (first.work_s, first.timeout_ms) == (Exponential(2.0), 3000)
    assert (second.arrivals, second.start_s, second.end_s) == ("even", 10, 20)
    assert (workload.seed, workload.duration_s, workload.name) == (5, 60, "two")


def test_the_nodes_of_a_scenario_are_assigned_group_by_group() -> None:
    """The third node is the slow one; a fourth starts again with the first kind."""
    workload = of_scenario(parse_scenario(TWO_STREAMS, "here"))
    kinds = [workload.node(index) for index in range(4)]
    assert [kind.slots for kind in kinds] == [3, 3, 1, 3]
    assert kinds[2].speed == 0.5
    assert kinds[2].pairs == ("en:zh",)
    assert of_scenario(parse_scenario(TWO_STREAMS, "here"), with_nodes=False).nodes == 0


@pytest.mark.parametrize(("pairs", "nodes"), [(1, 1), (256, 3), (1200, 20), (1200, 300), (1200, 1500), (257, 2)])
def test_every_pair_has_a_node_and_no_node_too_many_pairs(pairs: int, nodes: int) -> None:
    workload = plain(pairs=[f"p{k}:en" for k in range(pairs)], nodes=nodes)
    served = [workload.node(index).pairs for index in range(nodes)]
    assert {pair for kind in served for pair in kind} == set(workload.pairs)
    assert max(map(len, served)) <= _workload.PAIRS_A_NODE_MAX
    assert all(len(kind) == len(set(kind)) for kind in served)


def test_an_invalid_workload_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 nodes can't serve 1200 pairs"):
        plain(pairs=[f"p{k}:en" for k in range(1200)], nodes=2)
    with pytest.raises(ConfigError, match="at least one"):
        plain(pairs=[])
    with pytest.raises(ConfigError, match="work_s = -1"):
        plain(work_s=-1)
    with pytest.raises(ConfigError, match=r"no scenario 'ruhs': give a .toml file, or one of .*rush"):
        of_options(LoadOptions(scenario="ruhs"))
    with pytest.raises(ConfigError, match="--nodes 5: the scenario defines the nodes"):
        of_options(LoadOptions(scenario="rush", nodes=5))
    quiet = tmp_path / "quiet.toml"
    quiet.write_text('name = "quiet"\nduration_s = 5\n')
    with pytest.raises(ConfigError, match=r"needs \[\[traffic\]\]"):
        of_options(LoadOptions(scenario=str(quiet)))
    with pytest.raises(ConfigError, match="can't be read"):
        of_options(LoadOptions(scenario=str(tmp_path / "none.toml")))


def test_options_become_a_workload() -> None:
    options = LoadOptions(
        pairs="zh:en,en:zh", rate_per_user=2.0, work_ms=30, work="even", nodes=4, slots=3, timeout_s=1.5
    )
    workload = of_options(options)
    assert workload.pairs == ("zh:en", "en:zh")
    assert workload.rate_per_s(10) == 20
    assert workload.streams[0].timeout_ms == 1500
    assert workload.streams[0].work_s.mean == 0.03
    assert (workload.nodes, workload.slots) == (4, 12)
    assert of_options(LoadOptions()).nodes == 20
    assert of_options(LoadOptions(nodes=0)).nodes == 0
    assert of_options(LoadOptions(scenario="rush")).nodes > 0
    assert of_options(LoadOptions(scenario="rush", nodes=0)).nodes == 0
    assert of_options(LoadOptions(scenario="rush")).seed == 7
    assert of_options(LoadOptions(scenario="rush", seed=9)).seed == 9
    assert of_options(msgspec.structs.replace(options, pairs_count=300)).streams[-1].pair == "p299:load"
