"""`voxpool-sim scenario --new` writes a file that `voxpool-sim run` plays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from voxpool.sim.cli import root


def voxpool_sim(*words: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run the command in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["voxpool-sim", *words])
    with pytest.raises(SystemExit) as ended:
        root.main()
    return ended.value.code


def test_a_new_scenario_runs_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    assert voxpool_sim("scenario", "--new", str(file), monkeypatch=monkeypatch) == 0
    assert voxpool_sim("run", str(file), "--quick", monkeypatch=monkeypatch) == 0
    assert "holds (exit 0)" in capsys.readouterr().out
    assert voxpool_sim("scenario", "--new", str(file), monkeypatch=monkeypatch) == 3
    assert "exists already" in capsys.readouterr().err
