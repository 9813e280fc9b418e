"""Figures of a run over virtual time: sampling does not change the run, and the number of points is bounded."""

from typing import Any

from voxpool.sim.observing import timeline
from voxpool.sim.observing.run_pictures import jobs_picture, memory_picture
from voxpool.sim.observing.timeline import Timeline
from voxpool.sim.scenario.scenario import Fault, Nodes, Scenario, Traffic
from voxpool.sim.world.run import Played, play
from voxpool.sim.world.world import World

QUEUE = Scenario(
    name="queue",
    duration_s=20,
    settings={"retention_s": 30.0, "cleanup_interval_s": 5.0},
    nodes=[Nodes(count=2, pairs=["zh:en"])],
    traffic=[Traffic(pair="zh:en", rate_per_s=1.0, work_s=6.0, arrivals="even", end_s=10.0)],
    faults=[Fault(kind="node_crash", per_target_per_h=3600.0, between_s=(5.0, 6.0))],
)
"""One job a second for two nodes that need six seconds each; in the sixth second they crash."""


def seen_in(**options: Any) -> tuple[Timeline, Played[World]]:
    seen: list[Timeline] = []

    def make(world: World) -> Timeline:
        seen.append(Timeline(world))
        return seen[-1]

    played = play(QUEUE, watchers=[make], **options)
    return seen[0], played


def test_the_timeline_has_the_queue_the_nodes_the_fault_and_the_retained_jobs() -> None:
    seen, played = seen_in()
    assert played.run["trace_hash"] == play(QUEUE).run["trace_hash"], "the look changes nothing"
    assert list(seen.at_s) == sorted(seen.at_s)
    assert max(seen.with_nodes) == 2 and max(seen.waiting) >= 4
    assert (
        max(seen.nodes) == 2 and min(nodes for at_s, nodes in zip(seen.at_s, seen.nodes, strict=True) if at_s > 5) < 2
    )
    assert seen.faults_s and all(5 <= at_s <= 6 for at_s in seen.faults_s)
    assert max(seen.finished) >= 8 and seen.finished[-1] == 0
    assert seen.waiting[-1] == seen.with_nodes[-1] == 0
    assert ">a fault begins<" in jobs_picture(seen).svg and "<svg" in memory_picture(seen).svg


def test_a_long_run_has_no_more_points(monkeypatch: Any) -> None:
    monkeypatch.setattr(timeline, "POINTS_MAX", 10)
    seen, _ = seen_in()
    assert 10 <= len(seen.at_s) == len(seen.waiting) == len(seen.finished) == len(seen.nodes) < 20
    assert seen.at_s[-1] > 30, "the end is among them"
