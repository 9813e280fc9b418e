"""The simulator's prediction of a real run: the same number and size of jobs, the same verdict, from the same file."""

from __future__ import annotations

from typing import Any

import pytest

from voxpool.leakgate.judging.trend import Verdict, judge
from voxpool.loadtest.commands._leak_measured import SCENARIO
from voxpool.loadtest.commands._leak_report import bytes_a_job, finished
from voxpool.loadtest.commands._prediction import Readings, predict
from voxpool.sim.chance.distributions import Even
from voxpool.sim.experiments.processes import Part, run_parts
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic, load_scenario

SECONDS = 60.0
SETTLED_S = 9.0
SMALL = Scenario(
    name="small",
    duration_s=600.0,
    settings={"retention_s": 6.0, "cleanup_interval_s": 1.0, "finished_max": 0},
    nodes=[Nodes(count=20, pairs=["load:test"])],
    traffic=[Traffic(pair="load:test", rate_per_s=50.0, work_s=Even(0.2))],
)
OFF: dict[str, Any] = {"cleanup_interval_s": 0.0}


@pytest.fixture(scope="module")
def sides() -> dict[str, Readings]:
    parts = [
        Part("without", predict, (SMALL, OFF, SECONDS, 0.0)),
        Part("with", predict, (SMALL, {}, SECONDS, 0.0)),
        Part("planted", predict, (SMALL, {}, SECONDS, 2000.0)),
    ]
    found: dict[str, Readings] = run_parts(parts)
    return found


def test_the_file_of_leak_measured_is_a_scenario_whose_times_are_divided_by_twenty() -> None:
    settings = load_scenario(SCENARIO).resolved_settings
    defaults = Scenario(name="defaults", duration_s=1.0).resolved_settings
    assert settings.retention_s == defaults.retention_s / 20
    assert settings.cleanup_interval_s == defaults.cleanup_interval_s / 20
    assert settings.finished_max == 0


def test_there_is_a_reading_after_each_sweep_on_both_sides(sides: dict[str, Readings]) -> None:
    assert [len(readings) for readings in sides.values()] == [59, 59, 59]
    assert sides["without"].at_s == sides["with"].at_s


def test_both_sides_have_the_same_jobs(sides: dict[str, Readings]) -> None:
    assert sides["without"].ended == sides["with"].ended
    assert sides["without"].finished == sides["without"].ended
    assert 0.9 < sides["with"].ended[-1] / (50 * SECONDS) < 1.1


def test_a_sweep_leaves_jobs_that_ended_within_the_retention(sides: dict[str, Readings]) -> None:
    assert finished(sides["with"], SETTLED_S, at_end=False) == pytest.approx(50 * 6, rel=0.1)


def test_the_size_of_a_job_includes_its_strings_and_its_answer(sides: dict[str, Readings]) -> None:
    """It is more than the 600 bytes of a bare simulation, whose jobs share their strings and keep no answer."""
    assert 800 < bytes_a_job(sides["without"], SETTLED_S) < 1200
    assert abs(bytes_a_job(sides["with"], SETTLED_S)) < 100


def test_a_planted_leak_is_metered(sides: dict[str, Readings]) -> None:
    assert bytes_a_job(sides["planted"], SETTLED_S) == pytest.approx(2000, rel=0.15)


def test_the_verdict_is_the_same_code_as_for_a_real_server(sides: dict[str, Readings]) -> None:
    def verdict(readings: Readings) -> Verdict:
        return judge(readings.since(SETTLED_S).allocated, 200.0 * 50 * SECONDS).verdict

    assert verdict(sides["without"]) is Verdict.LEAK
    assert verdict(sides["with"]) is Verdict.NO_LEAK


def test_readings_since_a_moment() -> None:
    readings = Readings()
    for second in range(5):
        readings.add(second, 10.0 * second, second, 2 * second)
    assert readings.since(3) == Readings([3, 4], [30.0, 40.0], [3, 4], [6, 8])
    assert len(readings.since(9)) == 0
