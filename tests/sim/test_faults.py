"""Whatever breaks, every job ends and every checker holds once it has healed."""

from __future__ import annotations

import msgspec
import pytest

from sim.distributions import Exponential, Gamma
from sim.faults import FAULTS
from sim.play_command import SCENARIOS
from sim.run import play
from sim.scenario import Fault, Nodes, Scenario, Traffic, load_scenario


def broken_by(kind: str, delay_ms: float) -> Scenario:
    """Five minutes in which faults of one kind strike ten nodes often."""
    base = Scenario(
        name=kind,
        duration_s=300.0,
        settings={"waiting_timeout_s": 300.0, "redispatch_max": 10},
        nodes=[Nodes(count=10, pairs=["zh:en", "en:zh"], slots=2)],
        traffic=[
            Traffic(pair="zh:en", rate_per_s=4.0, work_s=Gamma(2.0, cv=0.5)),
            Traffic(pair="en:zh", rate_per_s=1.0, work_s=Gamma(2.0, cv=0.5), arrivals="bursts"),
        ],
        faults=[Fault(kind=kind, per_target_per_h=30.0, lasts_s=(0.5, 80.0))],
    )
    links = msgspec.structs.replace(base.links, delay_ms=Exponential(delay_ms) if delay_ms else 0.0)
    store = msgspec.structs.replace(base.store, delay_ms=Exponential(delay_ms / 4) if delay_ms else 0.0)
    return msgspec.structs.replace(base, links=links, store=store)


@pytest.mark.parametrize("delay_ms", [0.0, 20.0])
@pytest.mark.parametrize("kind", FAULTS)
def test_every_job_ends_whatever_breaks(kind: str, delay_ms: float) -> None:
    played = play(broken_by(kind, delay_ms), seed=3)
    jobs = played.run["jobs"]
    assert played.broken == []
    assert played.run["faults"]["begun"] > 10
    assert jobs["completed"] == jobs["submitted"] > 1000
    assert played.run["resident"]["jobs_end"] == 0


def test_all_faults_at_once() -> None:
    churn = load_scenario(SCENARIOS / "churn.toml")
    played = play(msgspec.structs.replace(churn, duration_s=200.0), seed=8)
    assert played.broken == []
    assert played.run["jobs"]["lost"] == 0


def test_a_restart_in_order_costs_no_attempt() -> None:
    played = play(broken_by("node_restart", 0.0), seed=1)
    assert played.run["jobs"]["redispatched"] == 0


def test_faults_strike_only_in_their_part_of_the_run() -> None:
    scenario = broken_by("node_crash", 0.0)
    early = [msgspec.structs.replace(scenario.faults[0], between_s=(0.0, 0.0))]
    assert play(msgspec.structs.replace(scenario, faults=early)).run["faults"]["begun"] == 0
