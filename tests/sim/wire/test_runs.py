"""Runs whose ends are production code: seeds under faults pass, and a seed gives the same run everywhere."""

from __future__ import annotations

import pytest

from tests.sim.test_determinism import other_python
from voxpool.scheduler.core.jobs.job import Job, Share
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.faults import faults_of
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.play import play
from voxpool.sim.scenario.scenario import Scenario, parse_scenario
from voxpool.sim.swarm.generated import WIRE, draw_scenario
from voxpool.sim.swarm.hashes import hashes_elsewhere
from voxpool.sim.swarm.one_seed import play_seed
from voxpool.sim.wire.run import play_on_wire

SEEDS = range(1, 13)
FRESH = range(1000, 2000)
"""Seeds that were not used for tuning."""
BASE = {
    "name": "wire",
    "ends": "wire",
    "duration_s": 5,
    "settings": {"waiting_timeout_s": 600, "retention_s": 30, "attempts_max": 20, "no_node_grace_s": 600},
    "links": {"delay_ms": 2},
    "nodes": [{"count": 3, "pairs": ["zh:en"], "slots": 2}],
    "traffic": [
        {"pair": "zh:en", "rate_per_s": 4, "work_s": 0.3, "retries": 1, "sessions": 2},
        {"pair": "zh:en", "rate_per_s": 3, "work_s": 0.3, "over": "in_order"},
        {"pair": "zh:en", "rate_per_s": 2, "work_s": 0.3, "over": "http"},
    ],
}


def scenario(**changes: object) -> Scenario:
    return parse_scenario({**BASE, **changes}, "test")


class Waits(Watcher):
    """Records how long the jobs of each share waited, in ms."""

    def __init__(self) -> None:
        self.of: dict[Share, list[int]] = {}

    def job_dispatched(self, job: Job, node: Node) -> None:
        assert job.share is not None
        self.of.setdefault(job.share, []).append(job.dispatched_ms - job.submitted_ms)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_under_faults_breaks_nothing(seed: int) -> None:
    """Each client gets its own results, once, in order where it requested that, and nothing is left."""
    result = play_seed(seed, "wire")
    assert result.broken == []
    assert result.completed > 10


@pytest.mark.parametrize("kind", faults_of("wire"))
def test_each_kind_of_fault_is_survived(kind: str) -> None:
    """The fault strikes about five times, and has a visible effect."""
    fault: dict[str, object] = {
        "kind": kind,
        "per_target_per_h": 3600 if kind.startswith(("store", "scheduler", "client")) else 1200,
    }
    if not faults_of("wire")[kind].is_momentary:
        fault["lasts_s"] = [0.3, 3.0]
    played = play(scenario(faults=[fault]))
    assert played.broken == []
    assert played.run["faults"]["kinds"][kind] >= 1
    assert played.run["trace_hash"] != play(scenario()).run["trace_hash"]


def test_with_tokens_every_caller_is_authenticated() -> None:
    """The same jobs complete; clients, nodes and HTTP requests are authenticated."""
    with_tokens, without = play(scenario(tokens=True)), play(scenario())
    assert with_tokens.broken == without.broken == []
    assert with_tokens.run["jobs"]["completed"] == without.run["jobs"]["completed"] > 30


@pytest.mark.parametrize(("tokens", "owner"), [(False, ""), (True, "client/")], ids=["open", "tokens"])
def test_keys_take_turns_on_the_wire(tokens: bool, owner: str) -> None:
    """Keys and priorities come from the SDK and HTTP clients, and a higher priority waits less; checkers hold."""
    over = {"session": ("a", 3), "in_order": ("b", 3), "http": ("a", 1)}
    streams = [
        {"pair": "zh:en", "rate_per_s": 6, "work_s": 0.3, "over": each, "key": key, "priority": priority}
        for each, (key, priority) in over.items()
    ]
    one_node = [{"count": 1, "pairs": ["zh:en"], "slots": 2}]
    shared = scenario(
        settings={**BASE["settings"], "order": "fair"},  # type: ignore[dict-item]
        traffic=streams,
        nodes=one_node,
        tokens=tokens,
    )
    waits = Waits()
    played = play_on_wire(shared, watchers=[lambda world: waits])
    assert played.broken == []
    assert waits.of.keys() == {Share(priority, owner + key, 1.0) for key, priority in over.values()}
    urgent_ms, *others_ms = (sum(each) / len(each) for _, each in sorted(waits.of.items()))
    assert all(urgent_ms < each / 2 for each in others_ms)


def test_the_draws_reach_every_kind_of_fault_and_client() -> None:
    """Within some seeds."""
    drawn = [draw_scenario(seed, WIRE) for seed in range(1, 40)]
    assert {fault.kind for one in drawn for fault in one.faults} == set(faults_of("wire"))
    assert {traffic.over for one in drawn for traffic in one.traffic} == {"session", "in_order", "http"}
    assert {one.tokens for one in drawn} == {True, False}
    assert {one.settings.get("order") for one in drawn} == {None, "fair"}


def test_a_seed_has_one_trace_hash_in_other_processes_with_other_hash_seeds() -> None:
    """Also after other seeds in the same process, and under the other Python."""
    seeds = [2, 5, 7]
    here = {seed: play_seed(seed, "wire").trace_hash for seed in seeds}
    assert hashes_elsewhere(seeds, "wire", 1) == here
    other = other_python()
    if other is not None:
        assert hashes_elsewhere(seeds, "wire", 1, other) == here


def test_stops_that_give_jobs_back_lose_nothing() -> None:
    """Some jobs are given back, some wait for their turn: the next scheduler delivers the rest, once each."""
    stops = [{"kind": "scheduler_stop", "per_target_per_h": 2400, "lasts_s": [0.3, 1.0]}]
    settings = {**BASE["settings"], "drain_s": 0.5}  # type: ignore[dict-item]
    for seed in range(1, 6):
        played = play(scenario(faults=stops, settings=settings), seed=seed)
        assert played.broken == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loop": {"message_ms": 1}}, r'\[loop\] needs ends = "model"'),
        ({"settings": {"store": "memory"}}, 'settings.store needs ends = "model"'),
        ({"traffic": [{"pair": "zh:en", "rate_per_s": 1, "work_s": 1, "weight": 2}]}, 'weight needs ends = "model"'),
        ({"faults": [{"kind": "link_loss", "per_target_per_h": 1}]}, 'link_loss.*with ends = "wire"'),
        ({"ends": "model"}, 'traffic.1..over = "in_order" needs ends = "wire"'),
        ({"ends": "model", "traffic": [], "tokens": True}, 'tokens = true needs ends = "wire"'),
    ],
)
def test_unsupported_faults_of_the_ends_are_one_line(changes: dict[str, object], message: str) -> None:
    """The message names the key and its requirement."""
    with pytest.raises(ConfigError, match=message):
        scenario(**changes)


def test_options_of_the_model_are_refused() -> None:
    """These are another store, followed jobs and old behaviours."""
    with pytest.raises(ConfigError, match="in memory"):
        play(scenario(), store="embedded")
    with pytest.raises(ConfigError, match="follows no job"):
        play(scenario(), follow=["s1-1"])


@pytest.mark.large
def test_sixty_seeds_have_one_trace_hash_each_under_both_pythons() -> None:
    """Hash seeds differ between processes."""
    seeds = list(range(1, 61))
    here = {seed: play_seed(seed, "wire").trace_hash for seed in seeds}
    assert len(set(here.values())) == 60
    assert hashes_elsewhere(seeds, "wire", 2) == here
    other = other_python()
    assert other is not None
    assert hashes_elsewhere(seeds, "wire", 2, other) == here


@pytest.mark.large
def test_a_thousand_fresh_seeds_break_nothing() -> None:
    """Its duration is in docs/reports/wire.md."""
    broken = {seed: result.broken[:2] for seed in FRESH if (result := play_seed(seed, "wire")).broken}
    assert broken == {}
