"""Each notebook runs from a clean state on reports of small runs, and shows texts and pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbclient
import nbformat
import pytest

from tests.load import test_leak_report as leak_measured_test
from tests.sim import test_experiment_leak as leak_test
from tests.sim import test_experiment_policy as policy_test
from tests.sim import test_experiment_pools as pools_test
from tests.sim import test_experiment_share as share_test
from tests.sim.calibrate import machine as calibrated
from tests.sim.row_checks import TINY, played
from tests.sim.sweep.small import small
from voxpool.sim.calibrate.compare import Trio, compare
from voxpool.sim.calibrate.play import predict
from voxpool.sim.calibrate.report import report_of as calibration_report
from voxpool.sim.cli.sweep import sweep
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.leak import question as leak
from voxpool.sim.experiments.leak.report import report as leak_report
from voxpool.sim.experiments.policy.nodes import TWO_CHOICES, affinity, failing
from voxpool.sim.experiments.policy.question import report_of as policy_report
from voxpool.sim.experiments.policy.report import Results
from voxpool.sim.experiments.policy.runs import from_empty
from voxpool.sim.experiments.pools import question as pools
from voxpool.sim.experiments.race.question import ABOUT, ROWS
from voxpool.sim.experiments.share import question as share
from voxpool.sim.explore.command import Wanted, explore, find_flow
from voxpool.sim.explore.model.flows import FLOWS
from voxpool.sim.explore.report import report_of
from voxpool.sim.report.report import WITH, WITHOUT, Report
from voxpool.sim.sweep.run import Where

FOLDER = Path(__file__).resolve().parent.parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def small_leak() -> Report:
    whole = leak_test.SMALL
    size = replace(
        whole,
        duration_s=300.0,
        allocated=replace(whole.allocated, sweeps=15, rate_per_s=32.0, nodes=10),
    )
    return leak_report(Options(quick=True), size, list(leak.ROWS), leak_test.played(size))


def small_policy() -> Report:
    size = replace(policy_test.SMALL, jobs=500, affinity_s=15.0, failing_s=10.0)
    common = (1, "memory")
    results = Results(
        [from_empty(size, policy, 0.9, [1], "memory", silent) for policy in size.policies],
        [],
        {side: affinity(size, *common, side, silent) for side in (WITHOUT, WITH)},
        {side: failing(size, *common, side, silent) for side in (WITHOUT, TWO_CHOICES, WITH)},
    )
    return policy_report(Options(quick=True), size, ["C6", "C7", "C8"], results)


def small_search(without: str) -> Report:
    wanted = Wanted("1-timeout-offline", without=without, runs=60, quick=True)
    return report_of(explore(find_flow(FLOWS, wanted.flow), wanted, lambda _: nullcontext(silent)))


def small_leak_measured() -> Report:
    return leak_measured_test.of(leak_measured_test.side(WITHOUT, 1), leak_measured_test.side(WITH, 0))


def small_share() -> Report:
    without, with_ = share_test.made_up(50.0, 20, (100, 100, 100)), share_test.made_up(0.3, 0, (100, 200, 400))
    found = {f"{WITHOUT} {case}": each for case, each in without.items()}
    return share.report_of(Options(quick=True), 90.0, found | {f"{WITH} {case}": each for case, each in with_.items()})


def small_calibration() -> Report:
    costs, lived = calibrated.measured_runs(replace(calibrated.SIZE, rounds=1, run_s=10.0))
    trios = [Trio(each, predict(costs.applied_to(each.run.scenario)), predict(each.run.scenario)) for each in lived]
    return calibration_report(compare(trios), costs, 1, {"quick": True})


def small_sweep() -> Report:
    with TemporaryDirectory() as folder:
        return sweep(small(Path(folder)), ["nodes.0.count=1,2"], first=1, seeds=2, where=Where())


def silent(_: float) -> None:
    """The progress is not shown."""


SMALL_REPORTS: dict[str, Callable[[], Report]] = {
    "leak": small_leak,
    "pools": lambda: pools.report_of(Options(quick=True), pools_test.SMALL, list(pools.ROWS), pools_test.played()),
    "policy": small_policy,
    "explore": lambda: small_search(""),
    "explore-without-R1": lambda: small_search("R1"),
    "leak-measured": small_leak_measured,
    "race": lambda: ROWS.report(Options(quick=True), TINY, list(ABOUT), played(ROWS)),
    "share": small_share,
    "calibrate": small_calibration,
    "sweep": small_sweep,
}


READ_BY = {
    "01_leak": ["leak"],
    "02_pools": ["pools"],
    "03_policy": ["policy"],
    "04_race": ["race"],
    "05_explore": ["explore", "explore-without-R1"],
    "07_calibration": ["calibrate"],
    "06_measured_leak": ["leak-measured"],
    "08_share": ["share"],
    "09_sweep": ["sweep"],
}


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_the_notebook_runs_and_shows_something(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in READ_BY[file.stem]:
        SMALL_REPORTS[name]().write(tmp_path / f"{name}.json")
    monkeypatch.setenv("VOXPOOL_REPORTS", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    notebook = read(file)

    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(FOLDER)}}).execute()

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells)
    shown = [output.get("data", {}) for cell in cells for output in cell.outputs]
    assert any("image/svg+xml" in data for data in shown)
    assert all(data.get("text/markdown", "a picture") for data in shown)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_the_notebook_is_committed_clean_and_without_logic(file: Path) -> None:
    for cell in read(file).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            assert not {"if", "for", "def", "lambda", "while"} & set(cell.source.split())


def read(file: Path) -> Any:
    return nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
