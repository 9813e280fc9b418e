"""The command line of `voxpool-sim`: commands, exit codes, one line for each error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from voxpool.sim.cli import root as cli
from voxpool.sim.faults import FAULTS
from voxpool.sim.faults.wire import WIRE_FAULTS

SMALL = """
name = "small"
duration_s = 60
[[nodes]]
count = 2
pairs = ["zh:en"]
[[traffic]]
pair = "zh:en"
rate_per_s = 0.5
work_s = 1.0
[expect]
lost_jobs = "== 0"
"""


def voxpool_sim(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["voxpool-sim", *words])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # a failing run leaves a folder
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_a_run_that_passes(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    code = voxpool_sim(
        "run", str(small), "--seed", "5", "--json", str(report), "--out", str(out), monkeypatch=monkeypatch
    )
    assert code == 0
    assert "holds (exit 0)" in capsys.readouterr().out
    content = json.loads(report.read_text())
    assert (content["experiment"], content["seed"], content["verdict"], content["exit_code"]) == ("run", 5, "holds", 0)
    assert {check["name"] for check in content["checks"]} > {"lost_jobs", "broken: nothing is lost"}
    page = (out / "report.html").read_text()
    assert page.index('class="key"') < page.index('alt="Jobs and nodes"') < page.index("<table")
    run = content["variants"]["with"]
    assert run["jobs"]["submitted"] == run["jobs"]["completed"] > 10
    assert sorted(path.name for path in out.iterdir()) == [
        *("finished.svg", "jobs.svg", "report.html", "report.json", "trace.json")
    ]


def test_a_failing_run_prints_one_line_to_paste(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write_text(SMALL.replace('lost_jobs = "== 0"', '"wait_s.mean" = "> 5"'))
    code = voxpool_sim("run", str(small), "--quick", monkeypatch=monkeypatch)
    assert code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "again: voxpool-sim replay out/failed/small-1"
    assert any(line.startswith("options: scenario ") for line in lines)


def test_limits_of_a_load_run_are_checked_in_a_simulation_that_has_the_figure(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = """"result.p99" = "< 900 ms"\nfailures = "<= 0.1 %"\n"submit.p95" = "< 50 ms\""""
    small.write_text(SMALL.replace('lost_jobs = "== 0"', limits))
    report = tmp_path / "report.json"
    assert voxpool_sim("run", str(small), "--json", str(report), monkeypatch=monkeypatch) == 1
    content = json.loads(report.read_text())
    lines = {line["name"]: line for line in content["lines"]}
    late, failures = lines["result.p99"], lines["failures"]
    assert (late["unit"], late["limit"]) == ("ms", "< 900") and late["with"] >= 1000  # a job takes a second
    assert (failures["with"], failures["unit"], failures["limit"]) == (0, "%", "<= 0.1")
    assert "only a load run has the figure: submit.p95 < 50 ms" in " ".join(content["notes"])


def test_a_run_without_a_fix_fails(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voxpool_sim("run", str(small), "--without", "R9", monkeypatch=monkeypatch) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "again: voxpool-sim replay out/failed/small-1-without-R9"
    assert any(line.startswith("one assignment an attempt: broken") for line in lines)
    assert voxpool_sim("run", str(small), "--without", "R99", monkeypatch=monkeypatch) == 3
    assert capsys.readouterr().err.startswith("voxpool-sim: there is no variant for the defect 'R99'")


def test_a_run_without_an_expected_figure_is_unclear(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SMALL.replace("rate_per_s = 0.5", "rate_per_s = 0.0").replace('lost_jobs = "== 0"', '"wait_s.mean" = "< 5"')
    small.write_text(text)
    assert voxpool_sim("run", str(small), monkeypatch=monkeypatch) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "rush.tml"], "voxpool-sim: rush.tml: there is no such file or scenario; did you mean rush?"),
        (["run"], "voxpool-sim run: Missing argument 'SCENARIO'."),
        (["run", "quiet", "--sed", "1"], "voxpool-sim run: No such option '--sed'"),
        (["run", "quiet", "--seed", "x"], "voxpool-sim run: Invalid value for '--seed'"),
        (["run", "quiet", "--store", "redus"], "voxpool-sim: store 'redus' is not known: use memory, fakeredis"),
        (["ran", "quiet"], "voxpool-sim: no command 'ran'; did you mean run?"),
        (["list", "fault"], "voxpool-sim list: Invalid value for"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_exit_3(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voxpool_sim(*words, monkeypatch=monkeypatch) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_wrong_scenario_is_one_line_and_exit_3(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write_text(SMALL.replace("rate_per_s = 0.5", "rate_per_s = -0.5"))
    assert voxpool_sim("run", str(small), monkeypatch=monkeypatch) == 3
    captured = capsys.readouterr()
    assert captured.err == f"voxpool-sim: {small}: traffic[0].rate_per_s = -0.5: must be at least 0\n"


def test_list_shows_scenarios_and_experiments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voxpool_sim("list", monkeypatch=monkeypatch) == 0
    everything = capsys.readouterr().out
    for word in ("node_freeze", "nothing is lost", "rush", "experiments:"):
        assert word in everything
    assert voxpool_sim("list", "faults", monkeypatch=monkeypatch) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*FAULTS, "faults", *WIRE_FAULTS]


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "voxpool.sim", "run", "nothing"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("voxpool-sim: nothing: there is no such file or scenario")


def test_each_experiment_is_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from voxpool.sim.experiments import catalogue
    from voxpool.sim.experiments.experiment import Experiment, Options
    from voxpool.sim.report.report import Line, Report

    asked: list[Options] = []

    def measure(options: Options, rows: list[str]) -> Report:
        asked.append(options)
        assert rows == ["X1"]
        lines = [Line("X1", "what is left", "", without=5, with_=3, limit="== 0")]
        run: dict[str, dict[str, int]] = {"without": {}, "with": {}}
        return Report("probe", "Is anything left?", options.seed, options.shown(), lines, run)

    probe = Experiment("probe", "Is anything left?", {"X1": "leftovers"}, measure)
    monkeypatch.setattr(catalogue, "BY_NAME", {"probe": probe})
    code = voxpool_sim("probe", "--seed", "9", "--quick", "--without", "X1", monkeypatch=monkeypatch)
    assert code == 1
    assert (asked[0].seed, asked[0].quick, asked[0].without, asked[0].variant) == (9, True, "X1", "both")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "again: voxpool-sim probe --seed 9 --variant both --without X1 --quick --store memory"
    assert voxpool_sim("probe", "--without", "X2", monkeypatch=monkeypatch) == 3
    assert capsys.readouterr().err == "voxpool-sim: probe has no defect 'X2': it has X1\n"


def test_an_unwritable_report_is_one_line(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code = voxpool_sim("run", str(small), "--json", str(tmp_path / "file" / "report.json"), monkeypatch=monkeypatch)
    assert code == 3
    assert capsys.readouterr().err.count("\n") == 1
