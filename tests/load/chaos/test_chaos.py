"""Real processes under drawn faults: a short run of `voxpool-load chaos`, and schedulers with planted bugs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxpool.loadtest.chaos._report import report
from voxpool.loadtest.chaos._run import run
from voxpool.loadtest.chaos._sizes import Sizes
from voxpool.loadtest.commands._cli import cli

SMALL = Sizes(schedulers=1, nodes=2, clients=2, duration_s=6, every_s=1.5, drain_s=4)
PLANTED = "tests.load.chaos.planted"


@pytest.mark.alone
def test_a_short_run_loses_nothing(tmp_path: Path) -> None:
    """Three schedulers on one Redis: one dies, a node dies, connections break, and Redis comes back empty."""
    kinds = ("kill_scheduler", "kill_node", "cut_peers", "cut_store", "empty_store", "freeze_scheduler")
    arguments = ["--duration", "12", "--every", "1.5", "--nodes", "4", "--clients", "3", "--out", str(tmp_path)]
    arguments += [word for kind in kinds for word in ("--fault", kind)]
    said = CliRunner().invoke(cli, ["chaos", *arguments], standalone_mode=False)
    report = json.loads((tmp_path / "report.json").read_text())
    broken = [check for check in report["checks"] if not check["ok"]]
    assert not broken and said.return_value == 0, (broken, report["notes"])
    assert (tmp_path / "redis-1" / "report.html").exists() and (tmp_path / "report.html").exists()


@pytest.mark.alone
async def test_the_ledger_finds_results_that_go_wrong(tmp_path: Path) -> None:
    """They come twice, never, or with the output of another job."""
    outcome = await run(replace(SMALL, program=(PLANTED, "results"), kinds=("cut_peers",)), tmp_path)
    assert outcome.found.twice and outcome.found.lost and outcome.found.wrong
    assert report([outcome]).exit_code == 1


@pytest.mark.alone
async def test_without_asking_again_a_redis_that_comes_back_empty_loses_jobs(tmp_path: Path) -> None:
    """With it the short run above loses none."""
    outcome = await run(replace(SMALL, program=(PLANTED, "no_asking_again"), kinds=("empty_store",)), tmp_path)
    assert outcome.found.lost
    assert report([outcome]).exit_code == 1


@pytest.mark.large
@pytest.mark.alone
@pytest.mark.timeout(600)
async def test_fail_overs_with_lost_writes(tmp_path: Path) -> None:
    """Without asking again jobs are lost; with it none. With acknowledgements and two replicas none runs twice."""
    usual = Sizes(store="cluster", nodes=8, duration_s=40, every_s=5, drain_s=20, kinds=("fail_over",))
    variants = {
        "never": replace(usual, program=(PLANTED, "no_asking_again")),
        "again": usual,
        "acks": replace(usual, acks=1),
    }
    found = {name: (await run(sizes, _made(tmp_path / name))).found for name, sizes in variants.items()}
    assert found["never"].lost
    assert not found["again"].lost and not found["again"].twice
    assert not found["acks"].lost and not found["acks"].reruns


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_kinds_of_faults_are_listed() -> None:
    """With the stores that they fit."""
    said = CliRunner().invoke(cli, ["chaos", "--list"], standalone_mode=False)
    assert "fail_over" in said.output and "(cluster)" in said.output and said.return_value == 0


def test_a_fault_that_does_not_fit_the_store_is_refused() -> None:
    """Before anything is started."""
    said = CliRunner().invoke(cli, ["chaos", "--store", "redis", "--fault", "swap"])
    assert "--fault: none of these kinds fits --store redis" in str(said.exception)
