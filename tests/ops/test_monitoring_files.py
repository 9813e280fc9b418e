"""The files of Prometheus and Alertmanager: their own tools accept them, and alerts are routed as intended."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ops.render import ALERTS
from ops.rules import CRITICAL, RULES, WARNING
from tests.e2e.processes import wait_until
from tests.ops.monitoring import ALERTMANAGER_FILE, OPS, PROMETHEUS_FILE, Receiver, alertmanager, alertmanager_config

RECEIVERS = {CRITICAL: "voxpool-critical", WARNING: "voxpool-warning"}


@pytest.mark.parametrize("name", ["prometheus", "three-schedulers", "kubernetes"])
def test_promtool_reads_each_configuration_its_token_and_the_rules_that_it_names(name: str, tmp_path: Path) -> None:
    text = PROMETHEUS_FILE.with_stem(name).read_text().replace("/etc/voxpool-metrics/", f"{tmp_path}/")
    assert str(tmp_path) in text
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "token").write_text("a secret")
    assert run("promtool", "check", "config", str(tmp_path / "prometheus.yml")) != 0, "its rules are not there"
    shutil.copy(ALERTS, tmp_path)
    assert run("promtool", "check", "config", str(tmp_path / "prometheus.yml")) == 0
    (tmp_path / "token").unlink()
    assert run("promtool", "check", "config", str(tmp_path / "prometheus.yml")) != 0, "its token is not there"


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
        message = run(*words, f"--verify.receivers={receiver}", f"severity={severity}", "alertname=VoxpoolAny")
        assert (message == 0) == (receiver == RECEIVERS[severity])


def test_inhibited_alerts_exist() -> None:
    """The names in inhibit_rules are those of the rules."""
    names = {word.strip("|") for line in ALERTMANAGER_FILE.read_text().split('"') for word in line.split("|")}
    named = {name for name in names if name.startswith("Voxpool") and name.isalnum()}
    assert named and named <= {rule.name for rule in RULES}


CAUSES = {
    "VoxpoolDown": ["VoxpoolLoopLag", "VoxpoolStoreDown"],
    "VoxpoolStoreDown": ["VoxpoolWaitingGrows", "VoxpoolWaitP99", "VoxpoolJobsFail"],
    "VoxpoolPartitionsFailing": ["VoxpoolStoreDown"],
    "VoxpoolPoolWithoutNodes": ["VoxpoolWaitingGrows", "VoxpoolJobsFail"],
}
HERE = {"job": "voxpool", "instance": "a:5010", "pair": "zh:en"}
"""The labels of the cause; a consequence is silent there, and reported for another scheduler or pair."""
ELSEWHERE = {
    "VoxpoolDown": {**HERE, "instance": "b:5010"},
    "VoxpoolStoreDown": {**HERE, "instance": "b:5010"},
    "VoxpoolPartitionsFailing": {**HERE, "instance": "b:5010"},
    "VoxpoolPoolWithoutNodes": {**HERE, "pair": "en:de"},
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_consequence_is_only_silent_beside_its_cause(cause: str, tmp_path: Path) -> None:
    def reported() -> set[tuple[str, ...]]:
        return {tuple(notice.labels[name] for name in ("alertname", *HERE)) for notice in receiver.notices}

    def post(alert: str, place: dict[str, str]) -> tuple[str, ...]:
        labels = {"alertname": alert, **place}
        httpx.post(f"http://{address}/api/v2/alerts", json=[{"labels": labels}], trust_env=False).raise_for_status()
        return tuple(labels.values())

    with closing(Receiver()) as receiver, alertmanager(tmp_path, receiver, scale=1 / 300) as address:
        expected = {post(cause, HERE)}
        wait_until(lambda: reported() == expected)
        for consequence in CAUSES[cause]:
            post(consequence, HERE)  # its group waits as long as the next one, so it would be received before
            expected.add(post(consequence, ELSEWHERE[cause]))
        wait_until(lambda: reported() >= expected)
        assert reported() == expected


def run(*command: str) -> int:
    """Run a command; return its exit code."""
    return subprocess.run(command, capture_output=True, cwd=OPS, check=False).returncode
