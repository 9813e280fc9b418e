"""Real processes under drawn faults: a short run of `voxpool-load chaos`, and schedulers with planted bugs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from voxpool.loadtest.chaos._report import report
from voxpool.loadtest.chaos._run import run
from voxpool.loadtest.chaos._sizes import Sizes
from voxpool.loadtest.commands._cli import cli

SMALL = Sizes(jobs="memory", schedulers=1, nodes=2, clients=2, duration_s=6, every_s=2, drain_s=5)


@pytest.mark.alone
async def test_the_ledger_finds_planted_bugs(tmp_path: Path) -> None:
    """Results that come twice, never, or with the output of another job."""
    wrong = Sizes(**{**vars(SMALL), "program": ("tests.load.chaos.planted",), "kinds": ("cut_peers",)})
    outcome = await run(wrong, tmp_path)
    assert outcome.found.twice and outcome.found.lost and outcome.found.wrong
    assert report([outcome]).exit_code == 1


def test_the_kinds_of_faults_are_listed() -> None:
    """With the stores that they fit."""
    said = CliRunner().invoke(cli, ["chaos", "--list"], standalone_mode=False)
    assert "fail_over" in said.output and "(cluster)" in said.output and said.return_value == 0


def test_a_fault_that_does_not_fit_the_store_is_refused() -> None:
    """Before anything is started."""
    said = CliRunner().invoke(cli, ["chaos", "--store", "redis", "--fault", "swap"])
    assert "--fault: none of these kinds fits --store redis" in str(said.exception)
