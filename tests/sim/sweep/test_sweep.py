"""The command: killed and resumed, and on a real Dask cluster of which a worker is killed, it writes the same table."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import wait_for
from tests.sim.sweep.small import small
from voxpool.scheduler.errors import CannotStart
from voxpool.sim.cli.sweep import sweep
from voxpool.sim.sweep import on_dask
from voxpool.sim.sweep.record import journal_of
from voxpool.sim.sweep.run import Where

SEEDS = 40
CLUSTER_S = 60.0
"""Time in which the cluster starts: five processes that import the simulation and Dask."""
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("scenario"))


@pytest.fixture(scope="module")
def expected(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of an uninterrupted sweep in one process."""
    table = tmp_path_factory.mktemp("expected") / "t.parquet"
    report = sweep(scenario, (), first=1, seeds=SEEDS, where=Where(table=table))
    assert report.exit_code == 0, report.notes
    return table.read_bytes()


@pytest.mark.alone
def test_a_killed_sweep_is_resumed_to_the_same_table(scenario: Path, expected: bytes, tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    command = sweep_command(scenario, table, "--jobs", "2")
    with process(command) as killed:
        wait_for(lambda: lines(table) > 2)
    assert killed.returncode == -signal.SIGKILL and not table.exists()

    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert again.returncode == 0, again.stderr
    assert table.read_bytes() == expected


@pytest.mark.alone
def test_a_dask_cluster_gives_the_same_table_although_a_worker_is_killed(
    scenario: Path, expected: bytes, tmp_path: Path
) -> None:
    table, at = tmp_path / "t.parquet", tmp_path / "scheduler.json"
    options = ["--scheduler-file", str(at), "--host", "127.0.0.1", "--no-dashboard"]
    worker = [*dask("worker"), *options, "--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path)]
    with process([*dask("scheduler"), *options, "--port", "0"]):
        wait_for(at.exists, CLUSTER_S)
        with process(worker), process(worker) as mortal:
            command = sweep_command(scenario, table, "--on", address_in(at))
            with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
                wait_for(lambda: lines(table) > 2 or running.poll() is not None, CLUSTER_S)
                mortal.send_signal(signal.SIGKILL)
                assert not table.exists()
                _, errors = running.communicate(timeout=100)

    assert running.returncode == 0, errors
    assert table.read_bytes() == expected


def test_without_a_cluster_it_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_dask, "CONNECT_S", 0.5)
    with pytest.raises(CannotStart, match=r"^no Dask scheduler answers at tcp://127.0.0.1:1: [^\n]+$"):
        list(on_dask.play_on("tcp://127.0.0.1:1", []))


def sweep_command(scenario: Path, table: Path, *more: str) -> list[str]:
    module = [sys.executable, "-m", "voxpool.sim", "sweep", str(scenario)]
    return [*module, "--seeds", str(SEEDS), "--table", str(table), *more]


def dask(role: str) -> list[str]:
    return [sys.executable, "-m", f"distributed.cli.dask_{role}"]


def address_in(file: Path) -> str:
    address: str = json.loads(file.read_text(encoding="utf-8"))["address"]
    return address


def lines(table: Path) -> int:
    """Return the number of finished runs in the journal of `table`."""
    journal = journal_of(table)
    return journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0


@contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Yield the process of `command`, which is killed at the end."""
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, text=True) as made:
        try:
            yield made
        finally:
            made.kill()
