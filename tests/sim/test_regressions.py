"""Runs and schedules that failed once are stored, and played before the next swarm or search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.small_file import read_json
from voxpool.sim.checkers import OneAssignmentAnAttempt
from voxpool.sim.cli.regressions import regressions_command
from voxpool.sim.explore.command import Explored, Wanted, explore
from voxpool.sim.explore.kept import play_kept as play_schedules
from voxpool.sim.explore.model.flows import FLOWS
from voxpool.sim.explore.report import report_of
from voxpool.sim.replay.case import Case, Found
from voxpool.sim.replay.regressions import SHIPPED, add, play_kept
from voxpool.sim.report.report import Report
from voxpool.sim.sweep.run import Where
from voxpool.sim.sweep.soak_report import soak_seeds

SENTENCE = OneAssignmentAnAttempt.sentence


@pytest.fixture
def only_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for stored runs; the packaged ones are not played."""
    for module in ("sweep.soak_report", "explore.command", "cli.regressions"):
        monkeypatch.setattr(f"voxpool.sim.{module}.SHIPPED", tmp_path / "none")
    monkeypatch.setattr("voxpool.sim.sweep.run.SHRUNK_MAX", 0)
    return tmp_path / "kept"


@contextmanager
def every_job_sent_twice() -> Iterator[None]:
    """Plant a bug in production: every assign is sent twice."""
    send = Dispatcher._send

    def twice(self: Dispatcher, job: Job, node: Node) -> None:
        send(self, job, node)
        send(self, job, node)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "_send", twice)
        yield


def soak(first: int, kept: Path) -> Report:
    return soak_seeds(first=first, count=2, size="small", store="memory", where=Where(jobs=1, keep_in=kept))


def figure(report: Report, name: str) -> object:
    return next(line.with_ for line in report.lines if line.name.startswith(name))


def explored(kept: Path) -> Explored:
    def no_bar(title: str) -> AbstractContextManager[None]:
        return nullcontext()

    return explore(FLOWS["1-timeout-offline"], Wanted("1-timeout-offline", runs=5, random=True), no_bar, kept)


def test_earlier_failures_pass() -> None:
    """These are the packaged cases: runs of the model and of the wire, and schedules."""
    runs = [*play_kept(SHIPPED), *play_schedules(FLOWS, (SHIPPED,))]
    assert {run.file.parent.name: run.signs for run in runs if run.signs} == {}
    assert all(run.about and "not played" not in run.about for run in runs)
    assert {run.file.parent.name for run in runs} == {folder.name for folder in SHIPPED.iterdir()}


def test_a_failing_seed_is_kept_and_played_first_by_the_next_swarm(only_kept: Path) -> None:
    with every_job_sent_twice():
        assert soak(3, only_kept).exit_code == 1
        first = only_kept / "swarm-small-3" / "case.json"
        assert first.is_file()
        again = soak(100, only_kept)
        assert again.exit_code == 1
        assert figure(again, "kept runs that fail") == len(list(only_kept.iterdir()))
        assert figure(again, "seeds") == 0
        assert f"fails again: {first}: broken: {SENTENCE}" in again.notes
    mended = soak(3, only_kept)
    assert mended.exit_code == 0 and figure(mended, "kept runs that fail") == 0 and figure(mended, "seeds") == 2


def test_a_failing_schedule_is_kept_and_played_first_by_the_next_search(only_kept: Path) -> None:
    with every_job_sent_twice():
        found = explored(only_kept)
        assert found.kept == only_kept / "explore-1-timeout-offline" / "schedule.json"
        assert f"kept: {found.kept}" in report_of(found).notes
        again = explored(only_kept)
        assert [run.file for run in again.again] == [found.kept] and again.tallies == []
        report = report_of(again)
        assert report.exit_code == 1 and f"fails again: {found.kept}" in report.notes[0]
        listed = CliRunner().invoke(regressions_command, ["--kept", str(only_kept)], standalone_mode=False)
        assert listed.return_value == 1 and f"({found.kept})" in listed.output
    assert explored(only_kept).again == []


def test_a_kept_run_is_added_with_its_reason(only_kept: Path, tmp_path: Path) -> None:
    with every_job_sent_twice():
        soak(3, only_kept)
    place = add(only_kept / "swarm-small-3", "every job was sent twice", tmp_path / "store")
    assert read_json(place / "case.json", Case).seed == 3
    found = read_json(place / "found.json", Found)
    assert (found.why, found.signs[0]) == ("every job was sent twice", f"broken: {SENTENCE}")
    (run,) = play_kept(tmp_path / "store")
    assert (run.signs, run.about) == ([], "every job was sent twice")
    with pytest.raises(ConfigError, match="exists already"):
        add(only_kept / "swarm-small-3", "again", tmp_path / "store")
    with pytest.raises(ConfigError, match=r"has neither case\.json nor schedule\.json"):
        add(tmp_path, "nothing", tmp_path / "store")
