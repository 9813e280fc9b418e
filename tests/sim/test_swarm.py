"""A swarm at a small size: what is drawn, what is found, what is kept, and that every seed can be played again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from scheduler.errors import ConfigError
from scheduler.scripts import select_node
from scheduler.stores.memory import MemoryStore
from sim.before.canaries import NeverTells, TellsTwice, replaced
from sim.faults import FAULTS
from sim.scenario import parse_scenario
from sim.swarm import kept, one_seed
from sim.swarm.branches import all_blocks, blocks_run, marked_scripts
from sim.swarm.drawn import LARGE, SMALL, draw_scenario
from sim.swarm.hashes import differing, hashes_elsewhere
from sim.swarm.one_seed import SeedResult, play_seed
from sim.swarm.swarm_report import soak_seeds
from tests.sim.test_determinism import other_python


def test_every_option_comes_from_the_seed_and_every_drawn_scenario_is_one_that_a_file_could_hold() -> None:
    for size in (SMALL, LARGE):
        for seed in range(1, 30):
            drawn = draw_scenario(seed, size)
            assert drawn == draw_scenario(seed, size)
            assert parse_scenario(msgspec.to_builtins(drawn), "drawn") == drawn
            assert sum(group.count for group in drawn.nodes) <= size.nodes_max
    kinds = {fault.kind for seed in range(1, 30) for fault in draw_scenario(seed).faults}
    assert kinds == set(FAULTS)
    assert any(not draw_scenario(seed).faults for seed in range(1, 30))


def test_a_small_swarm_breaks_nothing() -> None:
    report = soak_seeds(first=1, count=12, size="small", store="memory", jobs=2, keep_in=None)
    assert report.exit_code == 0, report.notes
    assert report.extra["coverage"]["transitions"]["waiting -> dispatched"] > 100
    assert "script blocks" in report.extra["never_reached"]


def test_seeds_of_the_large_swarm_have_one_trace_hash_in_other_processes_with_other_hash_seeds() -> None:
    seeds = [1, 3, 4]
    here = {seed: play_seed(seed, "large").trace_hash for seed in seeds}
    assert all(here.values())
    assert hashes_elsewhere(seeds, "large", 1) == here
    other = other_python()
    if other is not None:
        assert hashes_elsewhere(seeds[:2], "large", 1, other) == {seed: here[seed] for seed in seeds[:2]}
    assert differing(here, {**here, 3: "another"}) == [3]


def test_a_process_that_gives_no_hash_is_a_difference() -> None:
    assert hashes_elsewhere([1], "no such size", 1) == {1: ""}


def test_a_broken_run_is_kept_with_its_options_its_scenario_and_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[int] = []

    def play_with_a_bug(seed: int, *args: object, **options: object) -> SeedResult:
        played.append(seed)
        return play_seed(seed, variant=replaced(dispatcher=TellsTwice), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(kept, "play_seed", play_with_a_bug)
    monkeypatch.setattr("sim.swarm.swarm.play_seed", play_with_a_bug)
    report = soak_seeds(first=3, count=1, size="small", store="memory", jobs=1, keep_in=tmp_path)
    assert report.exit_code == 1 and played == [3, 3]
    (failure,) = report.extra["failures"]
    assert failure["again"] == "voxpool-sim soak --seed 3 --seeds 1"
    assert any("voxpool-sim soak --seed 3 --seeds 1" in note for note in report.notes)
    folder = tmp_path / "seed-3"
    options = json.loads((folder / "options.json").read_text())
    assert options["seed"] == 3 and "exactly once" in options["broken"][0]
    assert parse_scenario(json.loads((folder / "scenario.json").read_text()), "kept") == draw_scenario(3)
    assert len(json.loads((folder / "trace.json").read_text())) > 10


def test_a_run_that_crashes_or_never_ends_is_a_finding() -> None:
    lost = play_seed(2, variant=replaced(dispatcher=NeverTells))
    assert lost.failed and "TimeoutError" in lost.broken[0] and "Traceback" in lost.error


def test_a_run_that_stands_still_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_seed, "REAL_S_MAX", 0.02)
    assert "NeverEnds" in play_seed(1).broken[0]


def test_wrong_options_are_one_line() -> None:
    with pytest.raises(ConfigError, match="size 'smal'"):
        soak_seeds(first=1, count=1, size="smal", store="memory", jobs=1, keep_in=None)
    with pytest.raises(ConfigError, match="store 'memry'"):
        soak_seeds(first=1, count=1, size="small", store="memry", jobs=1, keep_in=None)


def test_marks_name_the_blocks_that_ran_and_change_no_answer() -> None:
    plain, marked = MemoryStore(), MemoryStore(marked_scripts())
    call = select_node(1, 1, 2, 10, [])
    assert marked.run_now([call]) == plain.run_now([call])
    run = blocks_run(marked, marked_scripts())
    assert "select_node.lua:1" in run and len(run) < 5
    assert set(run) <= set(all_blocks()) and len(all_blocks()) > 80
