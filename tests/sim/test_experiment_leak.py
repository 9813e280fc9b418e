"""The experiment `leak` at a small size: the result of each side, and cases without evidence."""

from __future__ import annotations

import math
from typing import Any

import pytest

from voxpool.leakgate.judging.trend import Trend, Verdict, judge
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.experiments.catalogue import BY_NAME
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.leak import question as leak
from voxpool.sim.experiments.leak.allocated_bytes import AllocatedSeries, AllocatedSize, allocated_run
from voxpool.sim.experiments.leak.forgotten import AskSize, forgotten
from voxpool.sim.experiments.leak.pauses import Pauses, before, production
from voxpool.sim.experiments.leak.question import day
from voxpool.sim.experiments.leak.report import report, smallest_leak
from voxpool.sim.experiments.leak.size import Size
from voxpool.sim.report.report import Outcome, Report

SMALL = Size(
    duration_s=900.0,
    rate_per_s=4.0,
    nodes=10,
    work_s=1.0,
    retention_s=60.0,
    interval_s=20.0,
    tolerance=0.1,
    allocated=AllocatedSize(sweeps=60, rate_per_s=128.0, interval_s=2.0, retention_s=6.0, nodes=60),
    planted=(64.0,),
    limit_bytes=8.0,
    asks=AskSize(duration_s=400.0, rate_per_s=0.5),
    tables=(2_000, 20_000),
)


def silent(_share: float) -> None:
    """Nobody looks at the progress."""


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return played(SMALL)


def played(size: Size) -> dict[str, Any]:
    """The cheap and deterministic parts; the pauses are invented, since a test can't depend on real ones."""
    found: dict[str, Any] = {}
    for side in ("without", "with"):
        found[f"M1 {side}"] = day(size, 3, "memory", side, silent)
        found[f"allocated {side}"] = allocated_run(size.allocated, 3, side == "with", 0.0, silent)
        found[f"M2 {side}"] = forgotten(size.asks, 3, "memory", side, silent)
    found["planted 64"] = allocated_run(size.allocated, 3, True, 64.0, silent)
    found["M9 without"] = [Pauses(jobs, 40.0, 90.0, 1.0, 500.0) for jobs in size.tables]
    found["M9 with"] = [Pauses(jobs, 1.0, 1.0, 1.0, 560.0) for jobs in size.tables]
    return found


def reported(results: dict[str, Any], variant: str = "both") -> Report:
    return report(Options(seed=3, variant=variant), SMALL, list(leak.ROWS), results)  # type: ignore[arg-type]


def test_without_clean_up_every_job_stays_and_with_it_none(results: dict[str, Any]) -> None:
    without, with_ = results["M1 without"], results["M1 with"]

    assert without.run["jobs"] == with_.run["jobs"]
    assert without.run["resident"]["jobs_end"] == without.run["jobs"]["submitted"] > 3000
    assert with_.run["resident"]["jobs_end"] == 0
    assert with_.run["resident"]["jobs_mean"] == pytest.approx(SMALL.predicted, rel=0.1)
    assert with_.broken == []


def test_the_store_keeps_three_entries_a_node_and_none_a_job(results: dict[str, Any]) -> None:
    for side in ("without", "with"):
        assert results[f"M1 {side}"].families_end == {
            "leases": 10, "nodes": 10, "held": 0, "reservations": 0, "due": 0, "capacity": 10,
        }  # fmt: skip


def test_samples_are_taken_just_after_each_sweep(results: dict[str, Any]) -> None:
    with_ = results["M1 with"]

    assert with_.times_s[:3] == pytest.approx([20.4, 40.4, 60.4])
    plateau = with_.jobs[5:-2]
    assert sum(plateau) / len(plateau) == pytest.approx(SMALL.rate_per_s * SMALL.retention_s, rel=0.1)


def test_allocated_bytes_show_the_leak_and_a_planted_one(results: dict[str, Any]) -> None:
    def verdict(name: str) -> Verdict:
        series = results[name]
        return judge(series.allocated, SMALL.limit_bytes * series.jobs[-1]).verdict

    assert verdict("allocated without") is Verdict.LEAK
    assert verdict("allocated with") is Verdict.NO_LEAK
    assert verdict("planted 64") is Verdict.LEAK


def test_a_long_job_can_be_read_only_when_its_age_counts_from_the_end(results: dict[str, Any]) -> None:
    assert [asked.share for asked in results["M2 without"]] == [100.0, 100.0]
    assert [asked.share for asked in results["M2 with"]] == [0.0, 0.0]
    assert all(asked.asked > 100 for asked in results["M2 with"])


def test_the_whole_report_holds(results: dict[str, Any]) -> None:
    found = reported(results)

    assert found.outcome is Outcome.HOLDS, [check for check in found.checks if not check.ok]
    assert {check.name.split()[0] for check in found.checks} == {"M1", "M2", "M9"}
    assert found.as_dict()["variants"]["with"]["resident"]["jobs_end"] == 0
    assert [draw().name for draw in found.pictures] == ["resident_jobs", "allocated_bytes", "pauses"]


def test_without_alone_is_broken(results: dict[str, Any]) -> None:
    assert reported(results, "without").exit_code == 1


def test_with_alone_holds(results: dict[str, Any]) -> None:
    assert reported(results, "with").exit_code == 0


@pytest.mark.parametrize("part", ["M1", "allocated", "M2", "M9"])
def test_a_without_side_that_shows_nothing_proves_nothing(results: dict[str, Any], part: str) -> None:
    healthy = {**results, f"{part} without": results[f"{part} with"]}

    assert reported(healthy).exit_code == 2
    assert reported(healthy, "without").exit_code == 2


def test_a_fix_that_leaks_is_broken(results: dict[str, Any]) -> None:
    leaking = {**results, "M1 with": results["M1 without"], "allocated with": results["planted 64"]}

    found = reported(leaking)

    assert found.exit_code == 1
    assert {check.name for check in found.checks if not check.ok} >= {
        "M1 finished jobs left after drain + retention + interval",
        "M1 allocated bytes, verdict",
    }


def test_an_unreadable_meter_fails_closed(results: dict[str, Any]) -> None:
    blind = {**results, "allocated with": AllocatedSeries(0, "no mallinfo2 here")}

    found = reported(blind)

    assert found.exit_code == 2
    assert any("no mallinfo2 here" in note for note in found.notes)


def test_a_planted_leak_that_is_missed_fails_closed(results: dict[str, Any]) -> None:
    found = reported({**results, "planted 64": results["allocated with"]})

    assert found.exit_code == 2
    assert math.isnan(next(line.with_ for line in found.lines if "smallest planted leak" in line.name))  # type: ignore[arg-type]


def test_a_row_can_be_run_alone_and_another_experiments_row_is_refused() -> None:
    assert leak.EXPERIMENT.chosen(Options(without="M2")) == ["M2"]
    with pytest.raises(ConfigError, match="leak has no defect 'M4': it has M1, M2, M9"):
        leak.EXPERIMENT.run(Options(without="M4"))
    with pytest.raises(ConfigError, match="variant 'neither'"):
        leak.EXPERIMENT.run(Options(variant="neither"))  # type: ignore[arg-type]


def test_an_unknown_store_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="store 'mysql' is not known"):
        BY_NAME["leak"].run(Options(store="mysql"))


@pytest.mark.alone
def test_a_full_scan_blocks_the_loop_longer_than_slices_do() -> None:
    """M9 at a small size; the experiment has the figures of a million jobs."""
    (ours,), (plain,) = production([100_000]), before([100_000])

    assert plain.sweep_ms > 2 * ours.sweep_ms
    assert ours.jobs == plain.jobs == 100_000
    assert 300 < ours.bytes_a_job < 700


def test_parts_run_in_processes_and_write_the_requested_files(tmp_path: Any) -> None:
    options = Options(seed=3, without="M2", quick=True, out=tmp_path / "out", json=tmp_path / "leak.json")

    found = leak.EXPERIMENT.run(options)

    assert found.exit_code == 0
    assert [path.name for path in found.written] == ["report.html", "report.json", "leak.json"]


def test_the_smallest_leak_is_the_last_of_a_series_of_found_ones() -> None:
    def verdict(word: Verdict) -> Trend:
        return Trend(word, "", 1, 0, 1, [], [], 0.0, 0.0, 0.0, 1.0)

    found, missed = verdict(Verdict.LEAK), verdict(Verdict.UNCLEAR)
    assert smallest_leak({64: found, 16: found, 4: missed}) == 16
    assert smallest_leak({64: found, 16: missed, 4: found}) == 64
    assert smallest_leak({64: missed, 16: found}) is None
    assert smallest_leak({}) is None
