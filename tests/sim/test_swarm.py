"""A swarm at a small size: drawn options, findings, stored cases, and that every seed can be played again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.sim.test_determinism import other_python
from voxpool.scheduler.core.scripts import select_node
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.small_file import read_json
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.sim.faults import FAULTS
from voxpool.sim.planted.bugs import NeverReports, ReportsTwice, replaced
from voxpool.sim.replay.case import Case, Found, run_case
from voxpool.sim.scenario.scenario import parse_scenario
from voxpool.sim.swarm import kept, one_seed
from voxpool.sim.swarm.branches import all_blocks, blocks_run, marked_scripts
from voxpool.sim.swarm.generated import LARGE, SMALL, draw_scenario
from voxpool.sim.swarm.hashes import differing, hashes_elsewhere
from voxpool.sim.swarm.one_seed import SeedResult, play_seed
from voxpool.sim.swarm.task import Task
from voxpool.sim.sweep.run import Where
from voxpool.sim.sweep.soak_report import soak_seeds


def test_every_option_comes_from_the_seed_and_every_drawn_scenario_is_valid() -> None:
    for size in (SMALL, LARGE):
        for seed in range(1, 30):
            drawn = draw_scenario(seed, size)
            assert drawn == draw_scenario(seed, size)
            assert parse_scenario(msgspec.to_builtins(drawn), "drawn") == drawn
            assert sum(group.count for group in drawn.nodes) <= size.nodes_max
    kinds = {fault.kind for seed in range(1, 30) for fault in draw_scenario(seed).faults}
    assert kinds == set(FAULTS)
    assert any(not draw_scenario(seed).faults for seed in range(1, 30))


def test_a_small_swarm_breaks_nothing(tmp_path: Path) -> None:
    report = soak_seeds(first=1, count=12, size="small", store="memory", where=Where(jobs=2, keep_in=tmp_path))
    assert report.exit_code == 0, report.notes
    assert report.extra["coverage"]["transitions"]["waiting -> dispatched"] > 100
    assert "script blocks" in report.extra["never_reached"]


def test_a_swarm_in_which_no_job_completes_is_unclear() -> None:
    report = soak_seeds(first=59, count=1, size="small", store="memory", where=Where())
    assert report.exit_code == 2
    assert "no job completed in any seed" in report.meaning


def test_seeds_of_the_large_swarm_have_one_trace_hash_in_other_processes_with_other_hash_seeds() -> None:
    seeds = [1, 3, 4]
    here = {seed: play_seed(seed, "large").trace_hash for seed in seeds}
    assert all(here.values())
    assert hashes_elsewhere(seeds, "large", 1) == here
    other = other_python()
    if other is not None:
        assert hashes_elsewhere(seeds[:2], "large", 1, other) == {seed: here[seed] for seed in seeds[:2]}
    assert differing(here, {**here, 3: "another"}) == [3]


def test_a_process_without_a_hash_is_a_difference() -> None:
    assert hashes_elsewhere([1], "no such size", 1) == {1: ""}


def test_a_broken_run_is_stored_as_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def play_with_a_bug(seed: int, *args: object) -> SeedResult:
        return play_seed(seed, variant=replaced(dispatcher=ReportsTwice))

    monkeypatch.setattr("voxpool.sim.swarm.task.play_seed", play_with_a_bug)
    monkeypatch.setattr("voxpool.sim.sweep.run.SHRUNK_MAX", 0)
    report = soak_seeds(first=3, count=1, size="small", store="memory", where=Where(jobs=1, keep_in=tmp_path))
    assert report.exit_code == 1
    (failure,) = report.extra["failures"]
    assert failure["again"] == "voxpool-sim soak --seed 3 --seeds 1"
    assert any("voxpool-sim soak --seed 3 --seeds 1" in note for note in report.notes)
    folder = tmp_path / "swarm-small-3"
    assert failure["folder"] == str(folder)
    assert read_json(folder / "case.json", Case).scenario == draw_scenario(3)
    assert "broken: every request ends exactly once" in read_json(folder / "found.json", Found).signs


def test_a_swarm_stores_and_shrinks_replayable_cases(tmp_path: Path) -> None:
    result = play_seed(4)
    result.broken = ["no such checker: broken 1 times, first at 1 s: nothing"]
    folder = kept.keep(result, Task(0, 4), tmp_path, is_shrunk=False)
    found, _ = run_case(read_json(folder / "case.json", Case))
    assert found.signs == [] and found.trace_hash == result.trace_hash


def test_a_run_that_crashes_or_never_ends_is_a_finding() -> None:
    lost = play_seed(2, variant=replaced(dispatcher=NeverReports))
    assert "never ended" in lost.broken[0] and "a job never ended" in lost.broken[-1] and "Traceback" in lost.error


def test_a_stalled_run_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_ever(*args: object, **options: object) -> None:
        while True:
            pass

    monkeypatch.setattr(one_seed, "CPU_S_MAX", 0.05)
    monkeypatch.setattr(one_seed, "play", for_ever)
    result = play_seed(1)
    assert "NeverEnds" in result.broken[0] and one_seed.NEVER_ENDS in result.error


def test_wrong_options_are_one_line() -> None:
    with pytest.raises(ConfigError, match="size 'smal'"):
        soak_seeds(first=1, count=1, size="smal", store="memory", where=Where())
    with pytest.raises(ConfigError, match="store 'memry'"):
        soak_seeds(first=1, count=1, size="small", store="memry", where=Where())


def test_marks_name_the_blocks_that_ran_and_change_no_answer() -> None:
    plain, marked = MemoryStore(), MemoryStore(marked_scripts())
    call = select_node(1, 1, 2, 10, [])
    assert marked.run_now([call]) == plain.run_now([call])
    run = blocks_run(marked, marked_scripts())
    assert "select_node.lua:1" in run and len(run) < 5
    assert set(run) <= set(all_blocks()) and len(all_blocks()) > 80
