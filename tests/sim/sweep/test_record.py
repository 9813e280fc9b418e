"""A sweep that was stopped goes on where it stopped, to the same table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.sim.sweep.small import tasks
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.swarm.swarm import Done
from voxpool.sim.swarm.task import Task
from voxpool.sim.sweep import run
from voxpool.sim.sweep.record import journal_of, open_journal
from voxpool.sim.sweep.run import Where, run_tasks

OPTIONS = {"seeds": 4}


class Killed(BaseException):
    """The sweep is stopped in the middle."""


def test_a_stopped_sweep_goes_on_to_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = tasks(tmp_path, 4)
    whole, resumed = tmp_path / "whole.parquet", tmp_path / "resumed.parquet"
    run_tasks(todo, Where(table=whole), OPTIONS, None)
    played: list[int] = []

    def play(missing: Sequence[Task], jobs: int) -> Iterator[Done]:
        for task in missing:
            if len(played) == 2:
                raise Killed
            played.append(task.number)
            yield task, task.play()

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run, "play_tasks", play)
        run_tasks(todo, Where(table=resumed), OPTIONS, None)
    assert not resumed.exists()
    with journal_of(resumed).open("ab") as journal:
        journal.write(b'{"number": 3, "res')  # the line that a killed process was writing

    played.clear()
    played_before = len(journal_of(resumed).read_bytes().splitlines()) - 2
    assert played_before == 2
    shares: list[float] = []
    run_tasks(todo, Where(table=resumed), OPTIONS, shares.append)

    assert shares == [0.75, 1.0]
    assert resumed.read_bytes() == whole.read_bytes()
    assert not journal_of(resumed).exists()


def test_the_table_has_a_row_for_each_run(tmp_path: Path) -> None:
    todo = tasks(tmp_path, 3)
    finished = run_tasks(todo, Where(table=tmp_path / "t.parquet"), OPTIONS, None)
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["seed"] for row in rows] == [1, 2, 3]
    assert [row["trace_hash"] for row in rows] == [each.result.trace_hash for each in finished]
    assert all(row["a.b"] == "1" and row["completed"] > 20 and row["jobs.completed"] > 20 for row in rows)


def test_a_journal_of_another_sweep_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    with (
        open_journal(table, OPTIONS),
        pytest.raises(ConfigError, match="another sweep writes to it"),
        open_journal(table, OPTIONS),
    ):
        pass
    with pytest.raises(ConfigError, match="belongs to a sweep with other options"), open_journal(table, {"seeds": 5}):
        pass
    assert journal_of(table).exists()


def test_a_failing_run_is_kept_and_named_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SHRUNK_MAX", 0)
    (task,) = tasks(tmp_path, 1)
    assert task.scenario is not None
    task.scenario.expect["jobs.completed"] = "== 0"
    (found,) = run_tasks([task], Where(table=tmp_path / "t.parquet", keep_in=tmp_path / "kept"), OPTIONS, None)
    assert found.result.broken == ["expected: jobs.completed == 0"]
    (row,) = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert row["failed"] and row["kept"] == "small-1-a.b=1"
    assert (tmp_path / "kept" / row["kept"] / "case.json").exists()
