"""The load test options of `leak-measured`, and its errors when the load test fails."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.report.report import Curves, WatchReport
from voxpool.loadtest.commands import _leak_measured as _leak_measured
from voxpool.loadtest.commands._cli import cli
from voxpool.loadtest.commands._leak_measured import SCENARIO, LoadFailed, Wanted, command, measure
from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.report._records import Generator, LoadReport, encoded
from voxpool.scheduler.config import Settings
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.report.report import WITH, WITHOUT
from voxpool.sim.scenario.scenario import load_scenario


def words_of(side: str, out: Path = Path("out")) -> list[str]:
    return command(Wanted(out), load_scenario(SCENARIO), side)


def flags_of(side: str) -> list[str]:
    (flags,) = [word.partition("=")[2] for word in words_of(side) if word.startswith("--serve-flags=")]
    return shlex.split(flags)


def test_both_sides_get_the_same_load_and_differ_in_the_clean_up_alone() -> None:
    without, with_ = words_of(WITHOUT), words_of(WITH)
    differing = {i for i, (one, other) in enumerate(zip(without, with_, strict=True)) if one != other}
    assert [without[i].partition("=")[0] for i in sorted(differing)] == ["--serve-flags", f"out/{WITHOUT}"]
    assert "--cleanup-interval-s=0.0" in flags_of(WITHOUT) and "--cleanup-interval-s=3" in flags_of(WITH)
    assert "--retention-s=15" in flags_of(WITHOUT) and "--retention-s=15" in flags_of(WITH)


def test_only_existing_options_are_used() -> None:
    options = {f"--{name.replace('_', '-')}" for name in LoadOptions.__struct_fields__}
    settings = {f"--{name.replace('_', '-')}" for name in Settings.__struct_fields__}
    used = {word.partition("=")[0] for word in words_of(WITH) if word.startswith("--")}
    assert used <= options | {"--headless", "--only-summary"}
    assert {flag.partition("=")[0] for flag in flags_of(WITH)} <= settings


def test_a_scenario_without_a_clean_up_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "off.toml"
    file.write_text('name = "off"\nduration_s = 60\n[settings]\ncleanup_interval_s = 0\n')
    with pytest.raises(ConfigError, match="cleanup_interval_s is 0: both sides would be the same"):
        measure(Wanted(tmp_path, file))


def test_wrong_input_is_one_line(tmp_path: Path) -> None:
    for words in (["--variant", "neither"], ["--least", "0"], ["--leak-limit", "-1"]):
        result = CliRunner().invoke(cli, ["leak-measured", "--out", str(tmp_path), *words])
        assert result.exit_code == 2 and "Invalid value" in result.output


def fake_load(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Replace the load test by a small program."""
    monkeypatch.setattr(_leak_measured, "command", lambda *_: [sys.executable, "-c", script])


def test_a_load_test_without_a_report_is_reported_with_its_last_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_load(monkeypatch, "print('no room\\n'); raise SystemExit(3)")
    with pytest.raises(LoadFailed, match=r"without: the load test wrote no report \(exit code 3\): no room"):
        measure(Wanted(tmp_path))


def test_an_old_report_is_not_taken_for_a_new_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / WITHOUT).mkdir()
    (tmp_path / WITHOUT / "report.json").write_bytes(encoded(load_report([1.0])))
    fake_load(monkeypatch, "")
    with pytest.raises(LoadFailed, match="wrote no report"):
        measure(Wanted(tmp_path))


def test_a_load_test_without_memory_figures_is_reported_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = msgspec.structs.replace(load_report([]), why="the admin's token was refused")
    (tmp_path / "found.json").write_bytes(encoded(found))
    fake_load(
        monkeypatch, f"import shutil; shutil.copy({str(tmp_path / 'found.json')!r}, {str(tmp_path / WITHOUT)!r} + "
        "'/report.json')",
    )  # fmt: skip
    with pytest.raises(LoadFailed, match="has read no memory: the admin's token was refused"):
        measure(Wanted(tmp_path))


def test_readings_begin_with_zero_and_leave_out_failed_ones() -> None:
    readings = _leak_measured._readings(load_report([1.0, None, 3.0]))
    assert readings.at_s == [0, 2] and readings.allocated == [1.0, 3.0]
    assert readings.ended == [0, 20] and readings.finished == [7, 9]


def load_report(allocated: list[Any]) -> LoadReport:
    """Return a load test's report with these allocated bytes."""
    number = len(allocated)
    curves = Curves(
        t_s=[float(i) for i in range(number)],
        age_s=[0.1] * number,
        work=[100 + 10 * i for i in range(number)],
        rss_bytes=[0] * number,
        allocated_bytes=allocated,
        held_bytes=[None] * number,
        store_bytes=[None] * number,
        kept=[7 + i for i in range(number)],
        in_flight=[0] * number,
        objects=[0] * number,
    )
    finding = MemoryFinding(verdict="no leak", reason="")
    memory = WatchReport(finding=finding, curves=curves if number else None)
    return LoadReport(
        verdict="holds", exit_code=0, why="all checks hold", host="", started="", duration_s=1.0, ended_by="time",
        options={}, versions={}, generator=Generator(was_limit=False, reasons=[]), memory=memory,
    )  # fmt: skip
