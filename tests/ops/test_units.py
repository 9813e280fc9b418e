"""The units of systemd: systemd-analyze accepts them, and their times and limits fit the settings."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ops.command_lines import flags_of, settings_of
from tests.ops.monitoring import OPS
from voxpool.scheduler.cli.exits import EXIT_WRONG_INPUT
from voxpool.scheduler.config import Settings

UNITS = ("voxpool.service", "voxpool-node@.service")
PROGRAM = "/opt/voxpool/bin/voxpool"
EXPOSURE_MAX = 20
"""The exposure on a scale of 100, by systemd's own weights."""


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_units(unit: str, tmp_path: Path) -> None:
    assert verify(unit, tmp_path, "") == ""
    assert "Lmit" in verify(unit, tmp_path, "LmitNOFILE=1\n"), "or it sees nothing"


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_are_sandboxed(unit: str, tmp_path: Path) -> None:
    file = runnable(unit, tmp_path)
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", str(file)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_scheduler_has_time_to_stop_and_enough_files() -> None:
    unit = options("voxpool.service")
    settings = settings_of(shlex.split(unit["ExecStart"])[1:], {"VOXPOOL_STATE_DIR": "/var/lib/voxpool"})
    assert int(unit["TimeoutStopSec"]) > settings.drain_s + settings.stop_s
    assert int(unit["LimitNOFILE"]) > Settings().connections_max
    assert unit["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert unit["KillMode"] == "mixed"


def test_a_node_has_time_to_finish() -> None:
    unit = options("voxpool-node@.service")
    line = unit["ExecStart"].replace("${PAIRS}", "zh:en,en:zh").replace("${SLOTS}", "2").replace("%i", "gpu-1")
    node = flags_of(shlex.split(line)[1:])
    assert (node["node_id"], node["slots"]) == ("gpu-1", 2)
    assert int(unit["TimeoutStopSec"]) > node["drain_s"]


@pytest.mark.parametrize("unit", UNITS)
def test_wrong_input_is_not_retried(unit: str) -> None:
    assert int(options(unit)["RestartPreventExitStatus"]) == EXIT_WRONG_INPUT
    assert options(unit)["User"] == "voxpool" and options(unit)["ExecStart"].startswith(PROGRAM)


def options(unit: str) -> dict[str, str]:
    """Return name -> value of a unit; the last value of a repeated name."""
    lines = (OPS / "systemd" / unit).read_text().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def runnable(unit: str, folder: Path, more: str = "") -> Path:
    """Write `unit` with a program of this machine, and `more` lines for its service."""
    text = (OPS / "systemd" / unit).read_text().replace(PROGRAM, sys.executable)
    file = folder / unit.replace("@.", "@gpu-1.")
    file.write_text(text.replace("[Service]\n", "[Service]\n" + more))
    return file


def verify(unit: str, folder: Path, more: str) -> str:
    """Return the complaints of systemd about `unit`."""
    command = ["systemd-analyze", "verify", "--man=no", str(runnable(unit, folder, more))]
    message = subprocess.run(command, capture_output=True, text=True, check=False)
    return message.stderr + ("" if message.returncode == 0 else f"exit code {message.returncode}")
