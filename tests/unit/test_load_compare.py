"""`voxpool-load compare`: a planted change is found, no change is not, and an unclear result does not pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.unit.load_reports import load_report, pair_of_reports
from voxpool.loadtest.commands._bootstrap import block_of, full_load, resample, weights_of
from voxpool.loadtest.commands._compare import BY_WINDOWS, Change, Comparison, Word, compare
from voxpool.loadtest.report._records import LoadReport, encoded
from voxpool.scheduler.errors import ConfigError


def changes(found: Comparison) -> dict[str, Change]:
    return {change.name: change for change in found.changes}


PAIRS = 10


def test_two_runs_of_one_scheduler_at_the_recommended_length_are_no_worse() -> None:
    verdicts = [compare(*pair_of_reports(seed)).exit_code for seed in range(PAIRS)]
    assert verdicts.count(1) == 0
    assert verdicts.count(0) >= 0.9 * PAIRS


def test_a_tenth_more_latency_is_found_at_the_recommended_length() -> None:
    found = [compare(*pair_of_reports(seed, slower=0.1)) for seed in range(PAIRS)]
    assert sum(one.exit_code == 1 for one in found) >= 0.9 * PAIRS
    assert {changes(one)["typical"].word for one in found} == {Word.WORSE}


def test_a_run_is_no_worse_than_another_of_the_same_scheduler() -> None:
    """With other seeds, too, when there are ten times as many jobs."""
    verdicts = [compare(load_report(seed), load_report(100 + seed)).exit_code for seed in range(5)]
    assert verdicts.count(1) == 0
    assert verdicts.count(0) >= 4


@pytest.mark.parametrize(
    ("planted", "worse"),
    [
        ({"slower": 1.3}, "typical"),
        ({"slower": 1.3}, "mean"),
        ({"slower": 1.3}, "p50"),
        ({"slower": 1.3}, "p90"),
        ({"slower": 1.6}, "p99"),
        ({"tail": 0.02}, "p99"),
        ({"failing": 0.02}, "failures"),
        ({"rate_per_s": 80}, "rate"),
        ({"bytes_a_job": 200.0}, "bytes_a_job"),
    ],
)
def test_a_planted_change_is_found(planted: dict[str, float], worse: str) -> None:
    usual: dict[str, Any] = {"bytes_a_job": 0.0}
    found = compare(load_report(1, **usual), load_report(2, **{**usual, **planted}))
    assert found.exit_code == 1
    assert changes(found)[worse].word is Word.WORSE


def test_a_slow_tail_is_not_blamed_on_the_median() -> None:
    found = changes(compare(load_report(1), load_report(2, tail=0.02)))
    assert found["p50"].word is Word.NO_WORSE


def test_a_faster_run_is_no_worse_with_its_difference() -> None:
    found = compare(load_report(1), load_report(2, slower=0.5))
    assert found.exit_code == 0
    change = changes(found)["mean"]
    assert change.low is not None
    assert change.high is not None
    assert change.low < -0.5 < change.high


def test_the_interval_has_its_stated_coverage() -> None:
    held = 0
    for seed in range(24):
        a, b = (load_report(number, rate_per_s=20) for number in (seed, 500 + seed))
        change = changes(compare(a, b))["mean"]
        assert change.low is not None
        assert change.high is not None
        held += change.low <= 0 <= change.high
    assert held >= 20  # of 24 at 95 %: fewer have a chance of 0.6 %


def test_a_change_at_the_allowed_limit_is_unclear_with_a_hint() -> None:
    found = compare(load_report(1, lasts_s=90), load_report(2, lasts_s=90, slower=1.05))
    assert found.exit_code == 2
    assert "times as long would decide" in changes(found)["typical"].why


def test_the_allowed_change_can_be_set_by_figure() -> None:
    a, b = load_report(1), load_report(2, slower=1.3)
    assert compare(a, b, worse_by=dict.fromkeys(("typical", "mean", "p50", "p90", "p99"), 0.5)).exit_code == 0
    assert changes(compare(a, b, worse_by={"mean": 0.5}))["p50"].word is Word.WORSE


def test_runs_of_one_seed_are_compared_window_by_window() -> None:
    """The same jobs come at the same times, each 8 % slower: chance plays no part, and a short run is sufficient."""
    a, b = load_report(1, lasts_s=75), load_report(1, lasts_s=75, slower=1.08)
    assert changes(compare(a, b))["typical"].word is Word.UNCLEAR
    a, b = (msgspec.structs.replace(report, options={"num_users": 50, "seed": 1}) for report in (a, b))
    change = changes(compare(a, b))["typical"]
    assert change.word is Word.WORSE
    assert change.low == pytest.approx(0.08, abs=0.005)
    assert change.high == pytest.approx(0.08, abs=0.005)


def test_a_pair_has_both_windows() -> None:
    a, b = load_report(1, lasts_s=75), load_report(2, lasts_s=65)
    a, b = (msgspec.structs.replace(report, options={"num_users": 50, "seed": 1}) for report in (a, b))
    assert compare(a, b).changes[0].change is not None
    short = msgspec.structs.replace(b, windows=b.windows[::2])
    assert "that the other has, too" in compare(a, short).changes[0].why


def test_a_millisecond_is_no_change() -> None:
    found = compare(load_report(1, mean_s=0.0005), load_report(2, mean_s=0.0005, slower=1.3))
    assert changes(found)["mean"].word is Word.NO_WORSE


def test_same_runs_same_seed_same_answer() -> None:
    a, b = load_report(1), load_report(2)
    assert compare(a, b, seed=7) == compare(a, b, seed=7)
    assert compare(a, b, seed=7) != compare(a, b, seed=8)


def test_short_runs_are_unclear() -> None:
    found = compare(load_report(1), load_report(2, lasts_s=40))
    assert found.exit_code == 2
    assert "B has 7 windows" in found.changes[0].why


@pytest.mark.parametrize("planted", [{}, {"failing": 0.02}, {"slower": 1.6}, {"rate_per_s": 50}])
def test_a_generator_at_its_limit_makes_the_affected_figures_unclear(planted: dict[str, float]) -> None:
    found = compare(load_report(1), load_report(2, was_limit=True, **planted))
    assert found.exit_code == 2
    assert {change.word for change in found.changes if change.name in BY_WINDOWS} == {Word.UNCLEAR}
    assert "core full" in found.notes[-1]


def run_at(report: LoadReport, minute: int, busy: float) -> LoadReport:
    """Return the same run at another time, on a machine with that load."""
    generator = msgspec.structs.replace(report.generator, machine_cpu_mean=busy)
    return msgspec.structs.replace(report, started=f"2026-01-01T00:{minute:02}:00+00:00", generator=generator)


@pytest.mark.parametrize(("busy", "exit_code"), [((0.4, 0.45), 1), ((0.4, 0.6), 2), ((0.6, 0.4), 2), ((0.96, 0.97), 2)])
def test_latencies_of_successive_runs_are_unclear_when_the_machine_differs(
    busy: tuple[float, float], exit_code: int
) -> None:
    a, b = run_at(load_report(1), 0, busy[0]), run_at(load_report(2, slower=1.3), 10, busy[1])
    assert compare(a, b).exit_code == exit_code
    assert any("not made at the same time" in note for note in compare(a, b).notes)
    together = compare(a, run_at(b, 0, busy[1]))
    assert together.exit_code == 1
    assert together.notes == ["allocated bytes a job: not reported by either run"]
    failing = run_at(load_report(2, failing=0.02), 10, busy[1])
    assert changes(compare(a, failing))["failures"].word is Word.WORSE


@pytest.mark.parametrize("reason", ["wrong_result", "twice"])
@pytest.mark.parametrize("was_limit", [False, True])
def test_wrong_results_are_worse_even_with_a_generator_at_its_limit(reason: str, was_limit: bool) -> None:
    b = load_report(2, was_limit=was_limit)
    assert b.jobs is not None
    jobs = msgspec.structs.replace(b.jobs, **{"twice" if reason == "twice" else "wrong": 1})
    found = compare(load_report(1), msgspec.structs.replace(b, jobs=jobs))
    assert found.exit_code == 1
    assert changes(found)["wrong"].word is Word.WORSE
    assert compare(msgspec.structs.replace(b, jobs=jobs), load_report(1)).exit_code == 2 * was_limit


def test_a_leak_is_worse_even_with_a_generator_at_its_limit() -> None:
    found = compare(load_report(1, bytes_a_job=0.0), load_report(2, bytes_a_job=200.0, was_limit=True))
    assert found.exit_code == 1


def test_unclear_memory_is_shown_and_counts_on_request() -> None:
    a, b = load_report(1, bytes_a_job=0.0), load_report(2)
    found = compare(a, b)
    assert found.exit_code == 0
    assert changes(found)["bytes_a_job"].word is Word.UNCLEAR
    assert changes(found)["bytes_a_job"].why == "B does not report them"
    assert "bytes_a_job is shown only; --figure bytes_a_job makes it decide" in found.notes
    assert "bytes_a_job" not in {check.name for check in found.checks}
    assert compare(a, b, figures=["bytes_a_job"]).exit_code == 2
    assert "not reported by either run" in compare(load_report(1), load_report(2)).notes[0]


def test_runs_under_different_loads_are_refused_by_default() -> None:
    a, b = load_report(1), msgspec.structs.replace(load_report(2), options={"num_users": 70})
    with pytest.raises(ConfigError, match="num_users is 50 and 70"):
        compare(a, b)
    assert "num_users is 50 and 70" in compare(a, b, anyway=True).notes[0]


def test_a_failed_run_is_reported() -> None:
    broken = msgspec.structs.replace(load_report(1), verdict="broken", exit_code=1, why="failures 0.1, want <= 0")
    assert "A itself is broken: failures 0.1, want <= 0" in compare(broken, load_report(2)).notes


def test_an_unknown_operation_is_reported_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="WS result, WS submit"):
        compare(load_report(1), load_report(2), operation="resutl")
    assert compare(load_report(1), load_report(2), operation="WS result").operation == "WS result"


def test_the_ramp_up_is_left_out() -> None:
    report = load_report(1)
    windows = [
        msgspec.structs.replace(window, users=10 if number < 4 or number > 20 else 50)
        for number, window in enumerate(report.windows)
    ]
    full = full_load(msgspec.structs.replace(report, windows=windows))
    assert (full[0].start_s, full[-1].start_s) == (25, 100)


def test_neighbours_stay_together_in_a_resample() -> None:
    weights = weights_of(40, 10, np.random.default_rng(1))
    assert weights.sum(axis=1).tolist() == [40] * len(weights)
    # There are four blocks in a circle, so the number of windows changes at eight places at most.
    changed = (np.diff(np.hstack([weights, weights[:, :1]]), axis=1) != 0).sum(axis=1)
    assert changed.max() <= 8


def test_windows_that_depend_on_each_other_widen_the_interval() -> None:
    """Twelve slow or fast minutes are twelve events, whatever the number of windows in each."""
    runs = [load_report(1, lasts_s=600, rate_per_s=30), load_report(2, lasts_s=600, rate_per_s=30, slower=3)]
    rng = np.random.default_rng(5)

    def width(chosen: list[int]) -> float:
        windows = [runs[which].windows[number] for number, which in enumerate(chosen)]
        weights = weights_of(len(windows), block_of(windows, "result"), np.random.default_rng(1))
        found = resample(windows, "result", weights)["mean"].resamples
        return float(np.subtract(*np.quantile(found, [0.975, 0.025])))

    alone = width(rng.integers(0, 2, 120).tolist())
    in_minutes = width(np.repeat(rng.integers(0, 2, 12), 10).tolist())
    assert in_minutes > 2 * alone


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voxpool.loadtest", "compare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def written(folder: Path, report: LoadReport) -> Path:
    folder.mkdir()
    (folder / "report.json").write_bytes(encoded(report))
    return folder


def test_the_command_ends_with_the_verdict_and_writes_it(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", load_report(1)), written(tmp_path / "b", load_report(2, slower=1.3))
    found = run(a, b / "report.json", "--json", tmp_path / "found.json")
    assert found.returncode == 1, found.stderr
    assert "worse (exit 1)" in found.stdout
    reported = msgspec.json.decode((tmp_path / "found.json").read_bytes())
    assert (reported["experiment"], reported["verdict"], reported["exit_code"]) == ("compare", "broken", 1)
    assert {check["name"] for check in reported["checks"] if not check["ok"]} >= {"mean", "p50"}
    assert run(a, b, "--worse-by", "60%").returncode == 0
    assert run(a, b, "--figure", "rate", "--figure", "failures").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.json", "."), "nowhere.json: No such file"),
        ((".",), "Missing argument 'B'"),
        ((".", ".", "--worse-by", "p9=3"), "no figure 'p9'"),
        ((".", ".", "--figure", "p95"), "no figure 'p95'"),
        ((".", ".", "--worse-by", "bytes_a_job=5%"), "give bytes"),
        ((".", ".", "--worse-by", "much"), "'much' is not a share"),
        ((".", ".", "--worse-by", "-1%"), "must be 0 or more"),
        ((".", ".", "--confidence", "2"), "0.5<=x<=0.999"),
    ],
)
def test_wrong_input_is_one_line_and_exit_3(arguments: tuple[str, ...], words: str) -> None:
    found = run(*arguments)
    assert found.returncode == 3
    assert words in found.stderr
    assert found.stderr.count("\n") == 1
    assert found.stdout == ""
