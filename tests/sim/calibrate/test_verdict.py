"""Predictions that fit pass; each kind of misfit is found, and a disturbed machine gives no evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sim.calibrate.machine import SIZE, measured_runs
from voxpool.sim.calibrate.command import sized, write
from voxpool.sim.calibrate.compare import Trio, compare
from voxpool.sim.calibrate.costs import Costs
from voxpool.sim.calibrate.measured import Measured
from voxpool.sim.calibrate.plan import QUICK
from voxpool.sim.calibrate.play import Predicted, predict
from voxpool.sim.calibrate.report import report_of
from voxpool.sim.report.report import Outcome, Report

Spoil = Callable[[Measured], None]


@pytest.fixture(scope="module")
def found() -> tuple[Costs, list[Measured]]:
    """The measurements of a machine with known costs."""
    return measured_runs()


@pytest.fixture(scope="module")
def predictions(found: tuple[Costs, list[Measured]]) -> list[tuple[Predicted, Predicted]]:
    """The simulated predictions of the runs, with costs and without."""
    costs, measured = found
    return [(predict(costs.applied_to(each.run.scenario)), predict(each.run.scenario)) for each in measured]


def reported(
    found: tuple[Costs, list[Measured]], predictions: Sequence[tuple[Predicted, Predicted]], spoil: Spoil | None = None
) -> Report:
    costs, measured = found
    copies = [replace(each, records=list(each.records), lost=dict(each.lost)) for each in measured]
    for each in copies:
        if spoil is not None:
            spoil(each)
    trios = [Trio(each, *pair) for each, pair in zip(copies, predictions, strict=True)]
    return report_of(compare(trios), costs, 1, {"quick": True})


def test_with_the_measured_costs_every_limit_is_kept(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]], tmp_path: Path
) -> None:
    report = reported(found, predictions)
    assert report.outcome is Outcome.HOLDS, [check for check in report.checks if not check.ok]
    assert len(report.checks) == 3 * 4 + 1
    written = write(report, found[0], tmp_path / "report.json", tmp_path / "out")
    assert {path.name for path in written} == {
        *("report.json", "report.html", "waits.svg", "job-by-job.svg", "costs.toml"),
    }
    content = report.as_dict()
    assert [point["load"] for point in content["variants"]["measured"]["points"]] == [0.5, 0.7, 0.79]
    assert "predicted without costs" in (tmp_path / "out" / "report.html").read_text()


def test_a_simulation_without_costs_is_found_to_be_off(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]]
) -> None:
    """It tests the check: a simulation without costs must not pass."""
    report = reported(found, [(without, without) for _, without in predictions])
    assert report.outcome is Outcome.BROKEN
    assert any(
        check.name == "load 0.5: wait, mean, error of the prediction" and not check.ok for check in report.checks
    )


def slower(measured: Measured) -> None:
    """Return measurements in which jobs wait a quarter longer."""
    measured.records[:] = [
        record._replace(started_s=record.due_s + 1.25 * (record.started_s - record.due_s))
        for record in measured.records
    ]


def test_a_machine_that_waits_longer_is_off(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]]
) -> None:
    assert reported(found, predictions, slower).outcome is Outcome.BROKEN


def test_a_misfit_on_a_busy_machine_is_no_evidence(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]]
) -> None:
    def late(measured: Measured) -> None:
        slower(measured)
        measured.records[:] = [record._replace(sent_s=record.due_s + 0.01) for record in measured.records]

    report = reported(found, predictions, late)
    assert report.outcome is Outcome.UNCLEAR
    assert any("prove nothing" in note for note in report.notes)


def test_jobs_without_a_result_break_the_verdict(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]]
) -> None:
    assert (
        reported(found, predictions, lambda measured: measured.lost.update(waiting_timeout=1)).outcome is Outcome.BROKEN
    )


def test_a_load_without_completed_jobs_is_no_evidence(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]]
) -> None:
    def idle(measured: Measured) -> None:
        if measured.run.load == 0.79:
            measured.records.clear()

    report = reported(found, predictions, idle)
    assert report.outcome is Outcome.UNCLEAR
    assert "load 0.79: no job completed" in report.meaning


def test_a_table_that_keeps_more_jobs_is_off(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]]
) -> None:
    def leaky(measured: Measured) -> None:
        measured.resident = [1.3 * value for value in measured.resident]

    report = reported(found, predictions, leaky)
    assert report.outcome is Outcome.BROKEN
    assert {check.name.split(": ")[1] for check in report.checks if not check.ok} == {
        "resident jobs, mean, error of the prediction"
    }


def test_runs_without_any_job_are_unclear(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]], tmp_path: Path
) -> None:
    report = reported(found, predictions, lambda measured: measured.records.clear())
    assert report.outcome is Outcome.UNCLEAR
    write(report, found[0], None, tmp_path)


def test_a_table_without_readings_is_unclear(
    found: tuple[Costs, list[Measured]], predictions: list[tuple[Predicted, Predicted]]
) -> None:
    def unseen(measured: Measured) -> None:
        measured.resident = []

    assert reported(found, predictions, unseen).outcome is Outcome.UNCLEAR


def test_near_the_full_load_there_are_no_limits() -> None:
    costs, measured = measured_runs(replace(SIZE, loads=(0.9,), rounds=1))
    wrong = [(predict(each.run.scenario), predict(each.run.scenario)) for each in measured]
    report = reported((costs, measured), wrong, slower)
    assert [check.name for check in report.checks] == ["jobs without a result"]
    assert any(note.startswith("no limits apply at load 0.9") for note in report.notes)
    assert report.outcome is Outcome.HOLDS


def test_the_size_is_that_of_the_options() -> None:
    size = sized(QUICK, 3, None, 0.2, "0.7,0.5")
    assert (size.nodes, size.slots, size.work_s, size.loads) == (3, QUICK.slots, 0.2, (0.5, 0.7))
    assert sized(QUICK, None, None, None, None) == QUICK
