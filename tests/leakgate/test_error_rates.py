"""The error rates of the verdict, on simulated processes whose truth is known: a small bench.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from voxpool.leakgate.judging import trend
from voxpool.leakgate.judging.bench import LOOK_S, LOOKS, main, play, power_of, row_of
from voxpool.leakgate.judging.judge import judge_memory
from voxpool.leakgate.judging.noise import measured_noise
from voxpool.leakgate.judging.shapes import SHAPES, leaking
from voxpool.leakgate.judging.simulated import Setting, series_of
from voxpool.leakgate.report.charts import notes_of
from voxpool.leakgate.report.report import report_of

QUICK = Setting(every_s=1.5)
"""Half the readings of a real watch: faster, and harder to judge."""
SHAPE = {shape.name: shape for shape in SHAPES}
HEALTHY = [shape for shape in SHAPES if shape.truth == "healthy"]
LEAKS = [shape for shape in SHAPES if "leak" in shape.truth]


@pytest.mark.parametrize("seed", range(2))
def test_no_healthy_shape_is_a_leak_and_no_leak_is_healthy(seed: int) -> None:
    assert len(HEALTHY) >= 15 and len(LEAKS) >= 15
    verdicts = {shape.name: judge_memory(*series_of(shape, QUICK, seed)).verdict for shape in SHAPES}
    assert [shape.name for shape in HEALTHY if verdicts[shape.name] == "leak"] == []
    assert [shape.name for shape in LEAKS if verdicts[shape.name] == "no leak"] == []


@pytest.mark.parametrize("shape", ["hidden cache fills", "byte warm-up of 60 s"])
def test_without_settling_healthy_shapes_are_not_passed(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def passed() -> int:
        return [judge_memory(*series_of(SHAPE[shape], QUICK, seed)).verdict for seed in range(4)].count("no leak")

    assert passed() == 4
    monkeypatch.setattr(trend, "SETTLING", 0.0)
    assert passed() == 0


def test_without_the_tests_of_steps_and_speeds_wandering_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [series_of(SHAPE["wild random walk"], QUICK, seed) for seed in range(60)]

    def alarms() -> int:
        return [judge_memory(*one).verdict for one in made].count("leak")

    assert alarms() <= 1
    monkeypatch.setattr(trend._Judge, "_is_steady", lambda *_: True)
    monkeypatch.setattr(trend._Judge, "_is_alike", lambda *_: True)
    assert alarms() >= 8


def test_a_run_ends_when_its_verdict_stays_clear_or_at_its_longest_time() -> None:
    clear = play(SHAPE["500 B hidden"], QUICK, 1)
    assert (clear.finding.verdict, clear.seconds) == ("leak", QUICK.seconds + (LOOKS - 1) * LOOK_S)
    noisy = replace(QUICK, wander_bytes=500e3)
    unclear = play(SHAPE["flat"], noisy, 1, most_s=380)
    assert (unclear.finding.verdict, unclear.seconds) == ("unclear", 380)
    assert unclear.series.last is not None and unclear.series.last.t_s <= 380


def test_the_printed_power_is_correct() -> None:
    power = power_of(QUICK, 8)
    assert power.broken == [] and power.runs == 8 and power.found >= 7, power
    assert 50 < power.median_bytes < 500


def test_an_optimistic_power_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxpool.leakgate.judging.judge.smallest_found", lambda *_, **__: 30.0)
    assert power_of(QUICK, 4).broken


def test_a_leak_called_healthy_is_broken_unless_it_was_below_the_sensitivity() -> None:
    missed = row_of(replace(leaking(40.0), allocated_bytes=4000.0), QUICK, 2)
    assert missed.no_leak == 1.0 and any("far above the printed power" in text for text in missed.broken)
    assert row_of(leaking(40.0), QUICK, 2).broken == []


def test_the_printed_sentence_has_the_measured_figure() -> None:
    healthy = play(SHAPE["flat"], QUICK, 1)
    finding = judge_memory(healthy.series, healthy.source, with_power=True)
    assert finding.power_bytes is not None
    want = (
        f"this run would have found growth of allocated bytes by {finding.power_bytes:,.0f} B a request with 95 % power"
    )
    assert want in notes_of(finding)


def test_the_noise_of_a_run_is_measured_from_its_report(tmp_path: Path) -> None:
    """The report is of a run that was simulated with other noise than ours."""
    truth = Setting(seconds=700, noise_bytes=200e3, noise_memory_s=5.0, wander_bytes=10e3, kept_bytes=3000.0, rate=60.0)
    series, source = series_of(SHAPE["flat"], truth, 3)
    report = report_of(judge_memory(series, source), source, series)
    path = tmp_path / "report.json"
    reports: list[object] = [report, {"verdict": "holds", "memory": report}]
    for content in reports:
        path.write_bytes(msgspec.json.encode(content))
        found = measured_noise(path)
        assert found.noise_bytes == pytest.approx(200e3, rel=0.25)
        assert found.noise_memory_s == pytest.approx(5.0, rel=0.5)
        assert found.wander_bytes < 30e3
        assert found.kept_bytes == pytest.approx(3000, rel=0.15)
        assert found.rate == pytest.approx(60, rel=0.05) and found.every_s == pytest.approx(0.75, rel=0.1)
        assert (found.interval_s, found.retention_s) == (source.interval_s, source.retention_s)
    empty: list[object] = [{"memory": None}, [], {"memory": {"finding": {"verdict": "unclear", "reason": ""}}}]
    for content in empty:
        path.write_bytes(json.dumps(content).encode())
        with pytest.raises(ValueError):
            measured_noise(path)


def test_the_command_prints_a_table_and_the_missed_goals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bench.json"
    words = ["--runs", "1", "--no-power", "--json", str(out), "--shapes", "flat", "500 B hidden"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "| flat | nothing grows | 0 % | 100 % | 0 % | 364 |" in text and "NOT MET" not in text
    assert [row["leak"] for row in json.loads(out.read_text())["rows"]] == [0.0, 1.0]
    short = ["--runs", "1", "--no-power", "--seconds", "20", "--most", "20", "--shapes", "100 B hidden", "500 B hidden"]
    assert main(short) == 1
    assert "NOT MET: 500 B hidden: leak 0.0%, want at least 95%" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--shapes", "round"], ["--runs", "0"], ["--most", "10"], ["--noise", "/no/such/file.json"]]
)
def test_wrong_input_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and capsys.readouterr().err.count("error:") == 1


def test_the_same_seed_gives_the_same_series() -> None:
    first, again, other = (series_of(SHAPES[0], QUICK, seed)[0].readings for seed in (1, 1, 2))
    assert first == again != other
