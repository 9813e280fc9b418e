"""Each notebook runs from a clean state on reports of small runs, and shows words and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from sim.experiments import Options, leak
from sim.experiments.leak_report import report as leak_report
from sim.experiments.pools import measure_at as measure_pools
from sim.experiments.race import ABOUT, ROWS
from sim.report import Report
from tests.sim import test_experiment_leak as leak_test
from tests.sim import test_experiment_pools as pools_test
from tests.sim.row_checks import TINY, played

FOLDER = Path(__file__).resolve().parent.parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def small_leak() -> Report:
    results = leak_test.results.__wrapped__()  # type: ignore[attr-defined]
    return leak_report(Options(quick=True), leak_test.SMALL, list(leak.ROWS), results)


SMALL_REPORTS: dict[str, Callable[[], Report]] = {
    "leak": small_leak,
    "pools": lambda: measure_pools(Options(quick=True), pools_test.SMALL),
    "race": lambda: ROWS.report(Options(quick=True), TINY, list(ABOUT), played(ROWS)),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small report of each experiment that the notebooks read."""
    folder = tmp_path_factory.mktemp("reports")
    for name, small in SMALL_REPORTS.items():
        small().write(folder / f"{name}.json")
    return folder


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_runs_and_shows_something(file: Path, reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPOOL_REPORTS", str(reports))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    notebook = read(file)

    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(FOLDER)}}).execute()

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells)
    shown = [output.get("data", {}) for cell in cells for output in cell.outputs]
    assert any("image/png" in data for data in shown)
    assert all(data.get("text/markdown", "a picture") for data in shown)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_is_committed_clean_and_without_logic(file: Path) -> None:
    for cell in read(file).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            assert not {"if", "for", "def", "lambda", "while"} & set(cell.source.split())


def read(file: Path) -> Any:
    return nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
