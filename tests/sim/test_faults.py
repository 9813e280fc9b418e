"""Under every fault each job ends, and every checker passes once the fault has healed."""

from __future__ import annotations

import msgspec
import pytest

from voxpool.sim.chance.distributions import Exponential, Gamma
from voxpool.sim.cli.play import SCENARIOS
from voxpool.sim.faults import FAULTS, Target
from voxpool.sim.faults.strikes import Strike
from voxpool.sim.scenario.scenario import Fault, Nodes, Scenario, Traffic, load_scenario
from voxpool.sim.world.run import play


def broken_by(kind: str, delay_ms: float) -> Scenario:
    """Return a scenario of 150 s with frequent faults of one kind: a node each two minutes, others each 18 s."""
    of_many = FAULTS[kind].target in (Target.NODE, Target.LINK)
    lasts_s = (0.5, 80.0) if of_many or FAULTS[kind].target is Target.CLIENT else (0.5, 20.0)
    fault = Fault(
        kind=kind,
        per_target_per_h=30.0 if of_many else 200.0,
        lasts_s=None if FAULTS[kind].is_momentary else lasts_s,
    )
    base = Scenario(
        name=kind,
        duration_s=150.0,
        settings={"waiting_timeout_s": 300.0, "attempts_max": 11},
        nodes=[Nodes(count=10, pairs=["zh:en", "en:zh"], slots=2)],
        traffic=[
            Traffic(pair="zh:en", rate_per_s=4.0, work_s=Gamma(2.0, cv=0.5)),
            Traffic(pair="en:zh", rate_per_s=1.0, work_s=Gamma(2.0, cv=0.5), arrivals="bursts"),
        ],
        faults=[fault],
    )
    links = msgspec.structs.replace(base.links, delay_ms=Exponential(delay_ms) if delay_ms else 0.0)
    store = msgspec.structs.replace(base.store, delay_ms=Exponential(delay_ms / 4) if delay_ms else 0.0)
    return msgspec.structs.replace(base, links=links, store=store)


ENDS_OTHERWISE = {"node_final_errors": "failed", "client_cancel": "cancelled"}
"""Faults under which a job may end in another state than completed."""


@pytest.mark.parametrize("kind", FAULTS)
def test_every_job_ends_under_each_fault(kind: str) -> None:
    played = play(broken_by(kind, 20.0), seed=3)
    jobs, world = played.run["jobs"], played.world
    assert played.broken == []
    assert played.run["faults"]["begun"] == played.run["faults"]["healed"] >= 3
    assert world.recorder.notified == world.clients.made > 600
    assert jobs["lost"] == 0
    ended = jobs["completed"] + jobs[ENDS_OTHERWISE.get(kind, "lost")]
    assert ended == jobs["submitted"] - jobs["died"]
    assert (jobs["died"] > 0) == (kind in ("scheduler_crash", "scheduler_clock"))
    assert played.run["resident"]["jobs_end"] == 0
    assert {node.state for node in world.core.node_registry.nodes.values()} == {"ready"} and len(
        world.core.node_registry
    ) == 10


@pytest.mark.parametrize("name", ["churn", "storm"])
def test_all_faults_at_once(name: str) -> None:
    scenario = load_scenario(SCENARIOS / f"{name}.toml")
    played = play(msgspec.structs.replace(scenario, duration_s=200.0), seed=8)
    assert played.broken == []
    assert played.run["jobs"]["lost"] == 0


def test_the_storm_has_every_fault() -> None:
    storm = load_scenario(SCENARIOS / "storm.toml")
    assert {fault.kind for fault in storm.faults} == set(FAULTS)


def test_an_orderly_restart_costs_no_attempt() -> None:
    played = play(broken_by("node_restart", 0.0), seed=1)
    assert played.run["jobs"]["redispatched"] == 0


def test_faults_strike_only_in_their_part_of_the_run() -> None:
    scenario = broken_by("node_crash", 0.0)
    early = [msgspec.structs.replace(scenario.faults[0], between_s=(0.0, 0.0))]
    assert play(msgspec.structs.replace(scenario, faults=early)).run["faults"]["begun"] == 0


def test_a_fault_with_a_time_strikes_once_and_only_its_target() -> None:
    """One whose target does not exist is left out."""
    faults = [
        Fault(kind="node_crash", at_s=2.0, target="gpu-7", lasts_s=(1.5, 1.5)),
        Fault(kind="store_down", at_s=4.0, lasts_s=(1.0, 1.0)),
        Fault(kind="node_crash", at_s=5.0, target="gpu-70", lasts_s=(1.0, 1.0)),
    ]
    scenario = msgspec.structs.replace(broken_by("node_crash", 0.0), duration_s=10.0, faults=faults)
    played = play(scenario)
    struck = played.world.faults
    assert struck.strikes == [Strike("node_crash", "gpu-7", 2.0, 1.5), Strike("store_down", "", 4.0, 1.0)]
    assert (struck.begun, struck.healed, struck.left_out) == (2, 2, 1)
    assert played.broken == []


def test_faults_at_a_rate_can_be_played_again_one_by_one() -> None:
    """The run is the same to the last bit."""
    scenario = msgspec.structs.replace(broken_by("node_crash", 5.0), duration_s=60.0)
    played = play(scenario)
    assert len(played.world.faults.strikes) > 2
    singly = [
        Fault(kind=kind, at_s=at_s, target=target, lasts_s=None if lasts_s is None else (lasts_s, lasts_s))
        for kind, target, at_s, lasts_s in played.world.faults.strikes
    ]
    again = play(msgspec.structs.replace(scenario, faults=singly))
    assert again.run["trace_hash"] == played.run["trace_hash"]
