"""The experiment `audio` at a small size: the result of each side, and cases without evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from voxpool.sim.experiments.audio.question import FREED, SideRun, Size, report_of, run_side
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.report.report import Outcome

SMALL = Size(
    duration_s=400.0, rate_per_s=4.0, nodes=12, audio_bytes=1000, crashes_per_node_h=60.0, retention_s=60.0,
    interval_s=20.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def side_runs() -> dict[str, SideRun]:
    return {side: run_side(SMALL, 2, "memory", side, lambda _: None) for side in ("without", FREED, "with")}


def outcome(side_runs: Mapping[str, SideRun]) -> Outcome:
    return report_of(Options(), SMALL, side_runs).outcome


def test_audio_kept_until_the_sweep_takes_as_much_as_in_littles_law(side_runs: dict[str, SideRun]) -> None:
    assert max(side_runs["without"].bytes) == pytest.approx(SMALL.kept, rel=0.2)
    assert side_runs["without"].bytes[-1] == 0


def test_audio_freed_at_dispatch_is_missing_at_every_redispatch(side_runs: dict[str, SideRun]) -> None:
    freed = side_runs[FREED]

    assert freed.redispatches > 10
    assert freed.share == 100.0
    assert freed.run["failed_for"]["no_audio"] == freed.redispatches


def test_audio_freed_at_the_end_takes_little_and_is_available_when_needed(side_runs: dict[str, SideRun]) -> None:
    with_ = side_runs["with"]

    assert with_.redispatches > 10
    assert with_.share == 0.0
    assert max(with_.bytes) < SMALL.limit < max(side_runs["without"].bytes)
    assert with_.bytes[-1] == 0
    assert with_.broken == []


def test_the_whole_report_holds(side_runs: dict[str, SideRun]) -> None:
    found = report_of(Options(), SMALL, side_runs)

    assert found.outcome is Outcome.HOLDS, found.checks
    assert found.as_dict()["variants"]["without"]["freed_at_dispatch"]["jobs"]["failed"] > 0


def test_without_alone_is_broken_and_with_alone_holds(side_runs: dict[str, SideRun]) -> None:
    without = {side: side_runs[side] for side in ("without", FREED)}

    assert report_of(Options(variant="without"), SMALL, without).exit_code == 1
    assert report_of(Options(variant="with"), SMALL, {"with": side_runs["with"]}).exit_code == 0


@pytest.mark.parametrize("side", ["without", FREED])
def test_a_without_side_that_shows_nothing_proves_nothing(side_runs: dict[str, SideRun], side: str) -> None:
    assert outcome({**side_runs, side: side_runs["with"]}) is Outcome.UNCLEAR


def test_no_redispatch_at_all_proves_nothing(side_runs: dict[str, SideRun]) -> None:
    calm = replace(side_runs[FREED], redispatches=0, without_audio=0)

    assert outcome({**side_runs, FREED: calm}) is Outcome.UNCLEAR


def test_a_fix_that_keeps_audio_is_broken(side_runs: dict[str, SideRun]) -> None:
    assert outcome({**side_runs, "with": side_runs["without"]}) is Outcome.BROKEN
