"""The experiment `faults` at a tiny size: what each row shows, and that a wrong side breaks the verdict."""

from __future__ import annotations

import pytest

from tests.sim.row_checks import TINY, exit_code, healthy_without, played, useless_fix
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.faults.question import ABOUT, ROWS
from voxpool.sim.experiments.rows import Figures
from voxpool.sim.report.report import Outcome


@pytest.fixture(scope="module")
def results() -> dict[str, Figures]:
    return played(ROWS)


def test_the_whole_report_holds(results: dict[str, Figures]) -> None:
    found = ROWS.report(Options(), TINY, list(ABOUT), results)

    assert found.outcome is Outcome.HOLDS, [check for check in found.checks if not check.ok]
    assert {line.row for line in found.lines} == {*ABOUT, ""}
    assert [draw().name for draw in found.pictures] == ["faults_rows"]


def test_without_alone_is_broken(results: dict[str, Figures]) -> None:
    assert ROWS.report(Options(variant="without"), TINY, list(ABOUT), results).exit_code == 1


@pytest.mark.parametrize("row", [row for row in ABOUT if row != "swarm"])
def test_a_without_side_that_shows_nothing_proves_nothing(results: dict[str, Figures], row: str) -> None:
    assert exit_code(ROWS, row, healthy_without(ROWS, row, results)) == 2


@pytest.mark.parametrize("row", [row for row in ABOUT if row != "swarm"])
def test_a_fix_that_does_not_help_is_broken(results: dict[str, Figures], row: str) -> None:
    assert exit_code(ROWS, row, useless_fix(ROWS, row, results)) == 1


def test_a_broken_checker_with_the_fix_is_broken(results: dict[str, Figures]) -> None:
    name = f"{ROWS.scenarios[0].name} with"
    broken = {**results, name: {**results[name], "broken": 1, "found": "planted"}}

    report = ROWS.report(Options(), TINY, [ROWS.scenarios[0].row], broken)

    assert report.exit_code == 1
    assert any("planted" in note for note in report.notes)
