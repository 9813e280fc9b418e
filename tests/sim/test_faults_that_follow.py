"""Faults that strike at work, and faults that follow them at the same job."""

from __future__ import annotations

import msgspec
import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Fault, Nodes, Scenario, Traffic, check_scenario
from voxpool.sim.world.run import play
from voxpool.sim.world.world import World

SCENARIO = Scenario(
    name="follows",
    duration_s=600.0,
    settings={"waiting_timeout_s": 300.0},
    nodes=[Nodes(count=20, pairs=["zh:en"])],
    traffic=[Traffic(pair="zh:en", rate_per_s=0.05, work_s=10.0)],
    faults=[
        Fault("node_crash", per_target_per_h=6.0, lasts_s=(1.0, 2.0), at_work=True),
        Fault("client_resubmit", per_target_per_h=0.0, follows=1.0, follows_s=(0.5, 1.0)),
    ],
)


class Begun(Watcher):
    """The faults that began: seconds, kind, target, number of attempts at the target."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults: list[tuple[float, str, str, int]] = []

    def fault_began(self, kind: str, target: str) -> None:
        at_work = sum(request.node_id == target for request in self.world.clients.by_job.values() if request.attempt)
        self.faults.append((self.world.env.now, kind, target, at_work))


def begun(scenario: Scenario) -> list[tuple[float, str, str, int]]:
    """Return the faults that began in a run of `scenario`, which must break no checker."""
    seen: list[Begun] = []

    def watching(world: World) -> Begun:
        seen.append(Begun(world))
        return seen[-1]

    assert play(scenario, watchers=[watching]).broken == []
    return seen[0].faults


def test_a_fault_at_work_strikes_a_node_that_has_a_job_and_others_follow_at_that_job() -> None:
    faults = begun(SCENARIO)
    crashes = [fault for fault in faults if fault[1] == "node_crash"]
    assert len(crashes) > 10 and all(at_work == 1 for *_, at_work in crashes)
    resubmits = [fault for fault in faults if fault[1] == "client_resubmit"]
    assert len(resubmits) > 10
    for at_s, *_ in resubmits:
        assert any(0.5 <= at_s - crash_s <= 1.0 for crash_s, *_ in crashes)


def test_without_chance_nothing_follows() -> None:
    never = msgspec.structs.replace(SCENARIO.faults[1], follows=0.0)
    faults = begun(msgspec.structs.replace(SCENARIO, faults=[SCENARIO.faults[0], never]))
    assert faults and {kind for _, kind, *_ in faults} == {"node_crash"}


@pytest.mark.parametrize(
    ("ends", "fault", "message"),
    [
        ("model", Fault("client_cancel", 1.0, at_work=True), "strikes neither a node nor its link"),
        ("model", Fault("client_cancel", 0.0, follows=0.5, follows_s=(2.0, 1.0)), "the smaller number must come first"),
        ("wire", Fault("client_freeze", 0.0, follows=0.5), 'need ends = "model"'),
    ],
)
def test_invalid_followers_are_rejected(ends: str, fault: Fault, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_scenario(msgspec.structs.replace(SCENARIO, ends=ends, faults=[fault]), "test")
