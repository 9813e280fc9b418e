"""The files of Prometheus and Alertmanager: their own tools read them, and alerts go where they should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ops.rules import CRITICAL, RULES, WARNING
from tests.ops.monitoring import ALERTMANAGER_FILE, OPS, PROMETHEUS_FILE, alertmanager_config

RECEIVERS = {CRITICAL: "voxpool-critical", WARNING: "voxpool-warning"}


def test_promtool_reads_the_configuration_and_the_rules_that_it_names(tmp_path: Path) -> None:
    assert run("promtool", "check", "config", str(PROMETHEUS_FILE)) == 0
    shutil.copy(PROMETHEUS_FILE, tmp_path)
    assert run("promtool", "check", "config", str(tmp_path / PROMETHEUS_FILE.name)) != 0, "its rules are not there"


def test_amtool_reads_the_configuration(tmp_path: Path) -> None:
    assert run("amtool", "check-config", str(ALERTMANAGER_FILE)) == 0
    (tmp_path / "wrong.yml").write_text(
        ALERTMANAGER_FILE.read_text().replace("receiver: voxpool-critical", "receiver: x")
    )
    assert run("amtool", "check-config", str(tmp_path / "wrong.yml")) != 0
    (tmp_path / "scaled.yml").write_text(alertmanager_config("http://127.0.0.1:1/", 1 / 300))
    assert run("amtool", "check-config", str(tmp_path / "scaled.yml")) == 0


@pytest.mark.parametrize("severity", RECEIVERS)
def test_critical_alerts_page_and_warnings_do_not(severity: str) -> None:
    for receiver in RECEIVERS.values():
        words = ("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER_FILE}")
        said = run(*words, f"--verify.receivers={receiver}", f"severity={severity}", "alertname=VoxpoolAny")
        assert (said == 0) == (receiver == RECEIVERS[severity])


def test_what_is_silenced_by_its_cause_is_an_alert() -> None:
    """The names in inhibit_rules are those of the rules."""
    names = {word.strip("|") for line in ALERTMANAGER_FILE.read_text().split('"') for word in line.split("|")}
    named = {name for name in names if name.startswith("Voxpool") and name.isalnum()}
    assert named and named <= {rule.name for rule in RULES}


def run(*command: str) -> int:
    """Return the exit code."""
    return subprocess.run(command, capture_output=True, cwd=OPS, check=False).returncode
