"""Users of every kind against real schedulers: one in order, with tokens and TLS; one that lies; one that crashes."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.certificates import make_certificate
from tests.live.processes import Scheduler, wait_until
from tests.live.secured import Keys
from tests.loadtest.load_run import LoadRun

pytestmark = pytest.mark.alone

CLIENTS = {"HTTP submit", "HTTP job", "HTTP result", "WS connect", "WS submit", "WS result", "WS utterance"}
NODES = {"NODE register", "NODE heartbeat", "NODE work"}


STALL_S = 1.5


class Lying(Scheduler):
    """One that lies in every way that users must notice."""

    program = (sys.executable, "-m", "tests.loadtest.lying_scheduler")


@pytest.fixture
def runs() -> Iterator[list[LoadRun]]:
    """Runs that are killed at the end, if they have not ended."""
    started: list[LoadRun] = []
    yield started
    for run in started:
        if run.popen.poll() is None:
            run.popen.kill()
            run.popen.wait()


def test_all_kinds_of_users_with_tokens_and_tls(tmp_path: Path) -> None:
    """Clients of three kinds, nodes, and users that misbehave: no failure, and each job has its one right result."""
    certificate = make_certificate(tmp_path)
    keys = Keys(tmp_path)
    flags = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    scheduler = Scheduler(tmp_path, "memory", "--token-file", str(keys.file), *flags)
    try:
        secrets = keys.secrets
        run = LoadRun(
            tmp_path,
            scheduler.url,
            *("-u", "12", "-r", "100", "-t", "4s", "--rate-per-user", "3", "--misbehaving", "6", "--nodes", "4"),
            *("--http-share", "0.34", "--ca-file", str(certificate.cert), "--client-token", secrets["ann"]),
            *("--node-token", secrets["gpu"], "--admin-token", secrets["root"]),
        )
        code = run.end()
    finally:
        scheduler.stop()
    assert code == 0, run.text
    jobs = run.report["jobs"]
    assert run.errors() == {}
    assert jobs["submitted"] == jobs["completed"] > 50
    assert (jobs["lost"], jobs["twice"], jobs["wrong"]) == (0, 0, 0)
    names = set(run.operations())
    misbehaved = {name for name in names if "misbehave:" in name}
    assert names - misbehaved - {"NODE cancel"} == CLIENTS | NODES
    assert len(misbehaved) > 5
    assert run.report["arrivals"]["sent"] == jobs["submitted"]


def test_a_scheduler_that_lies_is_found_out(tmp_path: Path) -> None:
    """A result that never comes, comes twice or is wrong; too many jobs for a node; a pair that it doesn't serve."""
    scheduler = Lying(tmp_path, "memory")
    try:
        run = LoadRun(
            tmp_path,
            scheduler.url,
            *("-u", "12", "-r", "100", "-t", "3s", "--rate-per-user", "4", "--nodes", "4", "--slots", "1"),
            *("--work-ms", "70", "--result-timeout-s", "2", "--memory", "off"),
        )
        code = run.end()
    finally:
        scheduler.stop()
    assert code == 1, run.text
    errors = run.errors()
    for expected in (
        "WS result: no_result",
        "WS result: twice",
        "WS result: wrong_result",
        "HTTP result: wrong_result",
        "WS utterance: piece_failed",
        "NODE assign: over_slots",
        "NODE assign: wrong_pair",
    ):
        assert errors.get(expected, 0) > 0, (expected, errors)
    assert run.report["verdict"] == "broken"


def test_after_a_crash_of_the_scheduler_its_sessions_ask_again(tmp_path: Path, runs: list[LoadRun]) -> None:
    """It is killed and comes back with nothing: lost connections are told, and every job still has one result."""
    scheduler = Scheduler(tmp_path, "memory")
    try:
        flags = ("-u", "10", "-r", "100", "-t", "4s", "--rate-per-user", "2", "--http-share", "0", "--memory", "off")
        runs.append(LoadRun(tmp_path, scheduler.url, *flags, "--work-ms", "200"))
        wait_until(lambda: len(scheduler.node_ids()) == 20)
        wait_until(lambda: scheduler.get("/v1/jobs?state=completed")["jobs"])
        scheduler.signal(signal.SIGKILL)
        scheduler.end()
        scheduler = Scheduler(tmp_path, "memory", port=scheduler.port, name="again")
        code = runs[0].end()
    finally:
        scheduler.stop()
    run = runs[0]
    errors = run.errors()
    assert code == 1, run.text
    assert errors["WS connect: connection_lost"] >= 1
    assert errors["NODE register: connection_lost"] >= 20
    assert run.operations()["WS result"]["failures"] == 0
    assert run.operations()["WS result"]["requests"] > 20
    assert run.report["jobs"]["lost"] == 0


def test_a_stall_of_the_scheduler_shows_in_the_latencies(tmp_path: Path, runs: list[LoadRun]) -> None:
    """It stands still for STALL_S of 4 s: whoever was to ask then has waited, though nobody could be asked meanwhile.

    Users that wait for an answer before they ask again would have had ten slow submits out of hundreds.
    """
    scheduler = Scheduler(tmp_path, "memory")
    try:
        flags = ("-u", "10", "-r", "100", "-t", "4s", "--rate-per-user", "10", "--http-share", "0", "--memory", "off")
        runs.append(LoadRun(tmp_path, scheduler.url, *flags, "--work-ms", "5"))
        wait_until(lambda: scheduler.get("/v1/jobs?state=completed")["jobs"])
        scheduler.signal(signal.SIGSTOP)
        try:
            stalled_s = time.monotonic()  # how long it stands still is what is measured
            wait_until(lambda: time.monotonic() > stalled_s + STALL_S)
        finally:
            scheduler.signal(signal.SIGCONT)
        code = runs[0].end()
    finally:
        scheduler.stop()
    run = runs[0]
    assert code == 0, run.text
    submits = run.operations()["WS submit"]
    assert submits["requests"] > 200
    assert submits["latency_s"]["p90"] > 0.5
    assert submits["latency_s"]["max"] > STALL_S - 0.2


RETRIES = """
name = "retries"
duration_s = 60
[[nodes]]
count = 2
pairs = ["zh:en"]
slots = 2
[[nodes]]
count = 1
pairs = ["en:zh"]
slots = 2
speed = 2.0
name = "fast"
[[traffic]]
pair = "zh:en"
rate_per_s = 20.0
work_s = 0.05
retries = 100
[[traffic]]
pair = "en:zh"
rate_per_s = 10.0
work_s = 0.05
arrivals = "bursts"
burst = 5
retries = 100
"""


def test_a_scenario_is_played_and_what_is_refused_for_now_is_submitted_again(tmp_path: Path) -> None:
    """Three unfinished jobs are allowed: bursts of five are refused with a time to retry, and all get done."""
    scenario = tmp_path / "retries.toml"
    scenario.write_text(RETRIES)
    scheduler = Scheduler(tmp_path, "memory", "--jobs-max", "3", "--retry-after-s", "0.1")
    try:
        flags = ("-u", "6", "-r", "100", "-t", "3s", "--scenario", str(scenario), "--memory", "off")
        run = LoadRun(tmp_path, scheduler.url, *flags)
        code = run.end()
        metrics = httpx.get(scheduler.url + "/metrics", trust_env=False).text
    finally:
        scheduler.stop()
    assert code == 0, run.text
    refused = re.search(r'^voxpool_jobs_rejected_total{reason="jobs_max"} (.+)$', metrics, re.MULTILINE)
    assert refused is not None and float(refused[1]) > 0
    jobs = run.report["jobs"]
    assert jobs["submitted"] == jobs["completed"] > 30
    assert {group["pair"]: group["nodes"] for group in run.report["pools"]["groups"]} == {"zh:en": 2, "en:zh": 1}
