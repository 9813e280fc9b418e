"""The comparison with other queues: how its windows are judged, and how a run of it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.peers import turn
from bench.peers.__main__ import main
from bench.peers.cpu import Sample
from bench.peers.figures import line, ratio, speed_ratio
from bench.peers.subjects import SUBJECTS
from bench.peers.turn import Phase, Turn

CORES = 2
WINDOW_NS = 250_000_000


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: CORES)


def samples(others: list[float], own: float = 0.5) -> list[Sample]:
    """Return samples of windows in each of which other processes took a share of the machine."""
    taken = [Sample(0, {"worker": 0}, 0.0)]
    for share in others:
        last = taken[-1]
        used_s = own * WINDOW_NS / 1e9
        busy_s = last.busy_s + used_s + share * CORES * WINDOW_NS / 1e9
        taken.append(Sample(last.at_ns + WINDOW_NS, {"worker": last.cpu_ns["worker"] + int(used_s * 1e9)}, busy_s))
    return taken


def jobs_at(rates: list[int]) -> list[tuple[int, int]]:
    """Return jobs of 1 ms: so many in each window."""
    jobs = [(1_000_000, 1_000_000)]
    for window, rate in enumerate(rates):
        jobs += [(int((window + (number + 1) / rate) * WINDOW_NS), 1_000_000) for number in range(rate)]
    return jobs


def test_a_window_that_others_disturbed_does_not_count() -> None:
    found = turn._phase(64, jobs_at([100, 100, 10, 100, 10, 100]), samples([0, 0.02, 0.5, 0.05, 0.4, 0]))
    assert (found.windows, found.clean) == (5, 3)
    assert found.per_s == pytest.approx(400)
    assert found.cpu_us["worker"] == pytest.approx(0.5 * 0.25 * 1e6 / 100)
    assert found.is_clean


def test_a_phase_without_clean_windows_is_said_to_be_disturbed() -> None:
    found = turn._phase(64, jobs_at([100] * 6), samples([0.5] * 6))
    assert not found.is_clean
    assert found.others == pytest.approx(0.5)


def a_turn(subject: str, per_s: float, *, is_clean: bool = True) -> Turn:
    return Turn(subject, (Phase(64, 100, per_s, 1.0, 2.0, {"client": 3.0}, 0.0, 9, 9 if is_clean else 0),), None)


def test_medians_are_of_the_clean_rounds() -> None:
    turns = [a_turn("ours", 900), a_turn("ours", 1000), a_turn("ours", 1100), a_turn("ours", 1, is_clean=False)]
    found = line(turns, "ours", 64)
    assert found is not None
    assert (found.per_s, found.clean, found.rounds) == (1000, 3, 4)
    assert line(turns, "ours", 1) is None


def test_the_interval_of_a_ratio_covers_it_and_is_left_out_for_few_rounds() -> None:
    found = ratio([300.0, 310.0, 290.0, 305.0, 295.0], [100.0, 101.0, 99.0, 100.0, 102.0])
    assert found.low is not None
    assert found.high is not None
    assert 2.8 < found.low <= found.ratio <= found.high < 3.2
    assert ratio([300.0], [100.0]).low is None
    assert speed_ratio([a_turn("ours", 300)], "ours", "theirs", 64) is None


def test_names_are_unique_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    names = [one.name for one in SUBJECTS]
    assert len(set(names)) == len(names)
    done = CliRunner().invoke(main, ["nothing", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "no such subject: nothing" in done.output


def test_a_run_writes_what_it_measured_and_ends_with_1_when_a_turn_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = SUBJECTS[0].name
    words = [name, "--rounds", "1", "--seconds", "1.5", "--in-flight", "8", "--out", str(tmp_path)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "peers.json").read_text())
    (phase,) = written["turns"][0]["phases"]
    assert phase["per_s"] > 0
    assert set(phase["cpu_us"]) == {"scheduler", "store", "worker", "client"}
    assert name in (tmp_path / "peers.svg").read_text()

    monkeypatch.setattr(turn, "CLIENT_S", 0.01)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "failed" in done.output
