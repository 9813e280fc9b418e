"""A failing run leaves a folder: it can be replayed, is shrunk, and shows the history of a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.small_file import read_json
from voxpool.sim.experiments import without as rows
from voxpool.sim.replay import case as cases
from voxpool.sim.replay.case import Case, Found, run_case
from voxpool.sim.replay.command import keep_failing, replay_folder, shrink_folder
from voxpool.sim.replay.shrink import shrink
from voxpool.sim.scenario.scenario import parse_scenario

CROWDED = {
    "name": "crowded",
    "duration_s": 40.0,
    "settings": {"retention_s": 20.0, "cleanup_interval_s": 5.0},
    "links": {"delay_ms": 2.0},
    "nodes": [
        {"count": 6, "pairs": ["zh:en", "en:zh"], "slots": 2},
        {"count": 3, "pairs": ["ja:en"], "name": "other"},
    ],
    "traffic": [
        {"pair": "zh:en", "rate_per_s": 2.0, "work_s": {"dist": "exponential", "mean": 1.0}},
        {"pair": "en:zh", "rate_per_s": 1.0, "work_s": 0.5, "sessions": 3, "affinity": True},
        {"pair": "ja:en", "rate_per_s": 0.5, "work_s": 0.5},
    ],
    "faults": [
        {"kind": "node_crash", "per_target_per_h": 30.0, "lasts_s": [1.0, 3.0]},
        {"kind": "node_freeze", "per_target_per_h": 10.0, "lasts_s": [1.0, 3.0]},
    ],
}
"""Parts that are unrelated to a job that is sent twice (R9)."""


@contextmanager
def silent(title: str) -> Iterator[Any]:
    yield lambda part: None


@pytest.fixture(scope="module")
def failed() -> tuple[Case, Found]:
    case = Case(parse_scenario(CROWDED, "crowded"), seed=4, without="R9")
    found, _ = run_case(case)
    return case, found


def test_a_passing_run_has_no_signs() -> None:
    found, played = run_case(Case(parse_scenario(CROWDED, "crowded"), seed=4))
    assert played is not None
    assert (found.signs, found.details) == ([], [])


def test_a_failing_run_is_stored_with_its_inputs(failed: tuple[Case, Found], tmp_path: Path) -> None:
    case, found = failed
    assert "broken: one assignment an attempt" in found.signs
    lines = keep_failing(case, found, wall_s=0.1, progress=silent, folder=tmp_path)
    assert lines[-1] == f"again: voxpool-sim replay {tmp_path}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case.json", "found.json", "shrunk.json", "trace.json"]
    assert read_json(tmp_path / "case.json", Case) == case
    assert json.loads((tmp_path / "trace.json").read_text())


def test_a_long_run_is_stored_without_shrinking(failed: tuple[Case, Found], tmp_path: Path) -> None:
    keep_failing(*failed, wall_s=10_000, progress=silent, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case.json", "found.json"]


def test_replay_distinguishes_the_same_failure_another_and_none(failed: tuple[Case, Found], tmp_path: Path) -> None:
    case, found = failed
    folder = cases.keep(case, found, tmp_path)
    reported = replay_folder(folder, shrunk=False, job_ids=("s1-2",), progress=silent)
    assert (reported.exit_code, reported.json["trace_hash"]) == (1, found.trace_hash)
    assert (folder / "job-s1-2.svg").read_text().startswith("<svg ")
    assert any("looked at" in line for line in reported.lines)
    cases.write(folder / "found.json", msgspec.structs.replace(found, trace_hash="another"))
    assert replay_folder(folder, shrunk=False, job_ids=(), progress=silent).exit_code == 2
    cases.write(folder / "found.json", msgspec.structs.replace(found, signs=["broken: something else"]))
    assert replay_folder(folder, shrunk=False, job_ids=(), progress=silent).exit_code == 2
    cases.write(folder / "case.json", msgspec.structs.replace(case, without=""))
    assert replay_folder(folder, shrunk=False, job_ids=(), progress=silent).exit_code == 0


def test_unrelated_parts_are_removed_by_shrinking(failed: tuple[Case, Found], tmp_path: Path) -> None:
    case, found = failed
    cases.keep(case, found, tmp_path)
    reported = shrink_folder(tmp_path, progress=silent)
    assert (reported.exit_code, reported.json["is_smallest"]) == (0, True)
    smaller = read_json(tmp_path / "shrunk.json", Case).scenario
    assert (len(smaller.nodes), smaller.nodes[0].count, len(smaller.traffic), smaller.faults) == (1, 1, 1, [])
    assert smaller.settings == {} and smaller.links.delay_ms == 0
    again = replay_folder(tmp_path, shrunk=True, job_ids=(), progress=silent)
    assert again.exit_code == 1


def test_shrinking_reports_that_it_reached_its_bound(failed: tuple[Case, Found]) -> None:
    assert shrink(*failed, runs_max=3).runs == 3
    assert not shrink(*failed, runs_max=3).is_smallest
    assert shrink(*failed, seconds_max=0).case == failed[0]


def test_a_fault_that_is_needed_is_left_as_one_with_its_time_and_target() -> None:
    """Without the death of a node no attempt is ever repeated."""
    dies = {"kind": "node_vanish", "per_target_per_h": 60.0, "lasts_s": [1.0, 3.0]}
    case = Case(parse_scenario({**CROWDED, "faults": [dies], "expect": {"redispatched_jobs": "== 0"}}, "crowded"), 4)
    found, _ = run_case(case)
    assert found.signs == ["expected: redispatched_jobs == 0"]
    smaller = shrink(case, found)
    (fault,) = smaller.case.scenario.faults
    assert fault.kind == "node_vanish" and fault.target.startswith(("gpu-", "other-"))
    assert fault.at_s is not None and fault.at_s < smaller.case.scenario.duration_s
    assert run_case(smaller.case)[0] == smaller.found


def test_a_crashing_run_is_a_failure_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxpool.scheduler.core.dispatcher import Dispatcher
    from voxpool.sim.planted.bugs import replaced

    class Dies(Dispatcher):
        def job_due(self, job: Any) -> None:
            raise ZeroDivisionError("planted")

    monkeypatch.setitem(rows.VARIANTS, "X1", lambda: replaced(dispatcher=Dies))
    unserved = parse_scenario({**CROWDED, "nodes": [{"count": 1, "pairs": ["xx:yy"]}], "faults": []}, "unserved")
    found, played = run_case(Case(unserved, seed=1, without="X1"))
    assert played is None
    assert found.signs == ["died: ZeroDivisionError"]
    assert "planted" in "".join(found.details)


def test_a_folder_without_a_case_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="be read: No such file"):
        replay_folder(tmp_path, shrunk=False, job_ids=(), progress=silent)
    (tmp_path / "case.json").write_text('{"scenario": 1}')
    with pytest.raises(ConfigError, match=r"case\.json: "):
        replay_folder(tmp_path, shrunk=False, job_ids=(), progress=silent)
