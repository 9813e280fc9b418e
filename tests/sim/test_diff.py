"""`voxpool-sim run --events` and `diff`: the first event at which two runs differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from voxpool.sim.cli.root import cli

SCENARIO = """
name = "two"
duration_s = 20
{ends}
[[nodes]]
count = 2
pairs = ["zh:en"]
[[traffic]]
pair = "zh:en"
rate_per_s = 1.0
work_s = {{ dist = "exponential", mean = {mean} }}
"""


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, arguments, standalone_mode=False, catch_exceptions=False)
    return done.return_value, done.output


def events_of(folder: Path, name: str, *, mean: float = 0.5, ends: str = "", seed: int = 1) -> Path:
    scenario, events = folder / f"{name}.toml", folder / f"{name}.txt"
    scenario.write_text(SCENARIO.format(ends=ends, mean=mean))
    code, output = run("run", str(scenario), "--seed", str(seed), "--events", str(events))
    assert code == 0 and str(events) in output
    return events


@pytest.mark.parametrize("ends", ["", 'ends = "wire"'])
def test_two_runs_of_one_seed_are_the_same(tmp_path: Path, ends: str) -> None:
    """All events are compared with their times, up to the last one."""
    one, other = events_of(tmp_path, "one", ends=ends), events_of(tmp_path, "other", ends=ends)
    assert run("diff", str(one), str(other)) == (0, "the runs are the same\n")
    words = [line.split()[1] for line in one.read_text().splitlines()]
    assert words.count("submit") == words.count("told") == words.count("remove") > 5
    assert words.index("register") < words.index("submit")


def test_the_first_difference_is_shown_with_the_events_before(tmp_path: Path) -> None:
    """The arrivals are those of the seed; the first work with another duration makes the difference."""
    one, other = events_of(tmp_path, "one"), events_of(tmp_path, "other", mean=0.6)
    code, output = run("diff", str(one), str(other))
    assert code == 1
    lines = output.splitlines()
    at = int(lines[0].removeprefix("the runs part at event "))
    assert one.read_text().splitlines()[: at - 1] == other.read_text().splitlines()[: at - 1]
    assert lines[1 : lines.index(f"{one}:")] == [
        f"    {line}" for line in one.read_text().splitlines()[at - 6 : at - 1]
    ]
    assert " done " in lines[lines.index(f"{one}:") + 1]


def test_a_run_that_ends_early_differs_at_its_end(tmp_path: Path) -> None:
    """The output names the run that ended."""
    one = events_of(tmp_path, "one")
    shorter = tmp_path / "shorter.txt"
    shorter.write_text("".join(one.read_text().splitlines(keepends=True)[:-3]))
    code, output = run("diff", str(one), str(shorter))
    assert code == 1 and output.endswith(f"{shorter}:\n    (has ended)\n")


def test_files_that_cannot_be_compared_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One is missing, one is empty."""
    from voxpool.scheduler.errors import ConfigError

    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(ConfigError, match="can't be read"):
        run("diff", str(tmp_path / "none.txt"), str(empty))
    with pytest.raises(ConfigError, match="have no events"):
        run("diff", str(empty), str(empty))
