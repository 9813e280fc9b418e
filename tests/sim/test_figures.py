"""A run has the figures that a report promises, and they are right where they are known in advance."""

from __future__ import annotations

from array import array

import pytest

from voxpool.sim.observing.figures import spread
from voxpool.sim.scenario.expect import FIGURES, figure_at
from voxpool.sim.scenario.scenario import Links, Nodes, Scenario, Traffic
from voxpool.sim.world.run import Played, play
from voxpool.sim.world.world import World

PROMISED = {
    "trace_hash": None,
    "virtual_s": None,
    "wall_s": None,
    "jobs": {"submitted", "completed", "failed", "cancelled", "rejected", "lost", "run_twice", "redispatched"},
    "wait_s": {"mean", "p50", "p90", "p99", "max"},
    "start_wait_s": {"mean", "p50", "p90", "p99", "max"},
    "sojourn_s": {"mean", "p50", "p90", "p99", "max"},
    "utilisation": None,
    "resident": {"jobs_mean", "jobs_max", "jobs_end", "bytes_max", "bytes_end", "redis_keys_max", "redis_keys_end"},
    "nodes": {"share_max", "share_min", "chi_square", "degrees"},
    "checkers": None,
}


@pytest.fixture(scope="module")
def played() -> Played[World]:
    """Ten minutes of one job a second, each 2 s long, on four nodes, 10 ms away."""
    return play(
        Scenario(
            name="regular",
            duration_s=600.0,
            settings={"retention_s": 60.0, "cleanup_interval_s": 20.0},
            links=Links(delay_ms=10.0),
            nodes=[Nodes(count=4, pairs=["zh:en"])],
            traffic=[Traffic(pair="zh:en", rate_per_s=1.0, work_s=2.0, arrivals="even", audio_bytes=5000.0)],
        )
    )


def test_a_run_has_the_figures_of_a_report(played: Played[World]) -> None:
    for name, below in PROMISED.items():
        assert name in played.run
        if below is not None:
            assert below <= set(played.run[name])
    assert all(figure_at(played.run, figure.simulated) is not None for figure in FIGURES.values() if figure.simulated)
    assert FIGURES["lost_jobs"] == FIGURES["jobs.lost"]


def test_figures_with_known_values(played: Played[World]) -> None:
    run = played.run
    assert run["jobs"]["submitted"] == run["jobs"]["completed"] == 599
    assert (run["failures"], run["rate"]) == (0, pytest.approx(1.0, rel=0.01))
    assert run["wait_s"]["max"] == 0
    assert run["start_wait_s"]["mean"] == pytest.approx(0.010)
    assert run["sojourn_s"]["mean"] == pytest.approx(2.020)
    assert run["utilisation"] == pytest.approx(2.0 / 4, rel=0.01)
    # Each stays for its retention and, on average, half an interval.
    assert run["resident"]["jobs_mean"] == pytest.approx(60 + 20 / 2, rel=0.02)
    assert run["resident"]["jobs_max"] == pytest.approx(60 + 20, abs=2)
    assert run["resident"]["jobs_end"] == 0
    assert run["resident"]["audio_bytes_max"] == 3 * 5000
    assert run["resident"]["redis_keys_end"] == 3 * 4  # lease, record and capacity entry of four nodes
    assert run["nodes"]["degrees"] == 3
    assert run["nodes"]["share_max"] >= 0.25 >= run["nodes"]["share_min"]


def test_work_done_twice_is_counted() -> None:
    """The timeout strikes while the result is in flight: the node has done the work, and another node repeats it."""
    scenario = Scenario(
        name="twice",
        duration_s=300.0,
        settings={
            "dispatch_timeout_s": 2.0,
            "attempts_max": 20,
            "waiting_timeout_s": 100.0,
            "rest_after_failures": 0,
        },
        nodes=[Nodes(count=6, pairs=["zh:en"], slots=4)],
        traffic=[Traffic(pair="zh:en", rate_per_s=2.0, work_s=1.99)],
        links=Links(delay_ms=20.0),
    )
    run = play(scenario).run
    assert run["jobs"]["run_twice"] > 100
    assert run["jobs"]["late_results"] > 100
    assert run["jobs"]["failed"] + run["jobs"]["completed"] == run["jobs"]["submitted"]


def test_an_empty_list_has_no_mean() -> None:
    assert all(value != value for value in spread(array("d")).values())
