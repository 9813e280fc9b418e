"""The experiments `faults`, `race` and `schedulers` at a tiny size: each row holds; wrong sides break the verdict."""

from __future__ import annotations

import functools

import pytest

from tests.sim.row_checks import TINY, exit_code, healthy_without, played, useless_fix
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.faults import question as faults
from voxpool.sim.experiments.race import question as race
from voxpool.sim.experiments.race.orders import OUTCOMES
from voxpool.sim.experiments.rows import FULL, Figures
from voxpool.sim.experiments.schedulers import question as schedulers
from voxpool.sim.report.report import Outcome

PICTURES = {
    "faults": ["faults_rows"],
    "race": ["race_rows", "race_outcomes"],
    "schedulers": ["schedulers_rows"],
}
QUESTIONS = {
    "faults": (faults.ROWS, faults.ABOUT),
    "race": (race.ROWS, race.ABOUT),
    "schedulers": (schedulers.ROWS, schedulers.ABOUT),
}
ROWS = [(name, row) for name, (_, about) in QUESTIONS.items() for row in about if row != "swarm"]
experiments = pytest.mark.parametrize("name", QUESTIONS)
rows = pytest.mark.parametrize(("name", "row"), ROWS)


@functools.cache
def results(name: str) -> dict[str, Figures]:
    return played(QUESTIONS[name][0])


@experiments
def test_the_whole_report_holds(name: str) -> None:
    experiment, about = QUESTIONS[name]
    found = experiment.report(Options(), TINY, list(about), results(name))

    assert found.outcome is Outcome.HOLDS, [check for check in found.checks if not check.ok]
    assert {line.defect_id for line in found.lines} == {*about, ""}
    assert [draw().name for draw in found.pictures] == PICTURES[name]


@experiments
def test_without_alone_is_broken(name: str) -> None:
    experiment, about = QUESTIONS[name]
    report = experiment.report(Options(variant="without"), TINY, list(about), results(name))
    assert report.exit_code == 1


@rows
def test_a_without_side_that_shows_nothing_proves_nothing(name: str, row: str) -> None:
    experiment = QUESTIONS[name][0]
    assert exit_code(experiment, row, healthy_without(experiment, row, results(name))) == 2


@rows
def test_a_fix_that_does_not_help_is_broken(name: str, row: str) -> None:
    experiment = QUESTIONS[name][0]
    assert exit_code(experiment, row, useless_fix(experiment, row, results(name))) == 1


@experiments
def test_a_broken_checker_with_the_fix_is_broken(name: str) -> None:
    experiment, found = QUESTIONS[name][0], results(name)
    first = experiment.scenarios[0]
    side = f"{first.name} with"
    broken = {**found, side: {**found[side], "broken": 1, "found": "planted"}}

    report = experiment.report(Options(), TINY, [first.row], broken)

    assert report.exit_code == 1
    assert any("planted" in note for note in report.notes)


def test_the_seven_bare_steps_have_35_orders_and_the_four_outcomes() -> None:
    without = results("race")["R1 without"]
    shares = [without[f"bare_{outcome}"] for outcome in OUTCOMES]

    assert without["bare_orders"] == 35
    assert all(isinstance(share, float) and share > 1 for share in shares)
    assert sum(share for share in shares if isinstance(share, float)) == pytest.approx(100)


def test_no_job_is_rejected_while_all_nodes_are_busy() -> None:
    (scenario,) = faults.ROWS.chosen(["R24"])
    figures = scenario.play(FULL, 1, "memory", "with")
    assert figures["assigns"] == 93 and figures["broken"] == 0
