"""Users of every kind against real schedulers: a healthy one with tokens and TLS, a lying one, a crashing one."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import httpx

from tests.certificates import make_certificate
from tests.e2e.processes import Scheduler, wait_until
from tests.e2e.secured import Keys
from tests.load.locust_run import LocustRun
from voxpool.loadtest.report._records import LoadReport

CLIENTS = {"HTTP submit", "HTTP job", "HTTP result", "WS connect", "WS submit", "WS result", "WS utterance"}
NODES = {"NODE register", "NODE heartbeat", "NODE work"}


class Lying(Scheduler):
    """A scheduler with every kind of error that users must notice."""

    program = (sys.executable, "-m", "tests.load.lying_scheduler")


def load(folder: Path, scheduler: Scheduler, *flags: str) -> LocustRun:
    """Start a run without a page, whose users are spawned at once."""
    return LocustRun(folder, "--headless", "-r", "100", "--memory", "off", "--host", scheduler.url, *flags)


def operations(report: LoadReport) -> dict[str, int]:
    """Return the number of each operation, by "type name"."""
    return {f"{one.type} {one.name}": one.requests for one in report.operations}


def errors(report: LoadReport) -> dict[str, int]:
    """Return the number of each failure, by "type name: reason"."""
    return {f"{one.type} {one.name}: {one.reason}": one.count for one in report.errors}


def test_all_kinds_of_users_with_tokens_and_tls(tmp_path: Path) -> None:
    """Clients of three kinds, nodes, and misbehaving users: no failure, and each job has exactly one right result.

    The watchers of the scheduler are authorized, too, and no secret is written.
    """
    certificate = make_certificate(tmp_path)
    keys = Keys(tmp_path)
    flags = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    scheduler = Scheduler(tmp_path, "memory", "--access-file", str(keys.file), *flags)
    try:
        secrets = keys.secrets
        file = tmp_path / "admin-token"
        file.write_text(secrets["root"])
        with load(
            *(tmp_path, scheduler, "-u", "12", "-t", "4s", "--rate-per-user", "3", "--misbehaving", "6"),
            *("--nodes", "4", "--http-share", "0.34", "--ca-file", str(certificate.cert)),
            *("--client-token", secrets["ann"], "--node-token", secrets["gpu"], "--admin-token", f"@{file}"),
            *("--memory", "watch", "--memory-interval-s", "0.5"),
        ) as run:
            assert run.end() == 0, run.text
    finally:
        scheduler.stop()
    report = run.report()
    assert errors(report) == {}
    jobs = report.jobs
    assert jobs is not None and report.arrivals is not None
    assert report.arrivals.sent == jobs.submitted == jobs.completed > 50
    assert (jobs.lost, jobs.twice, jobs.wrong) == (0, 0, 0)
    names = set(operations(report))
    misbehaved = {name for name in names if "misbehave:" in name}
    assert names - misbehaved - {"NODE cancel"} == CLIENTS | NODES
    assert len(misbehaved) > 5
    assert report.pools is not None and not report.pools.unreadable
    assert report.memory is not None and report.memory.curves is not None, "the admin's doors were open"
    for written in (run.log, run.folder / "report.json", run.folder / "report.html"):
        assert keys.shown_in(written.read_bytes()) == []


def test_a_lying_scheduler_is_found(tmp_path: Path) -> None:
    """A result is missing, repeated or wrong; a node gets too many jobs, or a pair that it doesn't serve."""
    scheduler = Lying(tmp_path, "memory")
    try:
        with load(
            *(tmp_path, scheduler, "-u", "12", "-t", "3s", "--rate-per-user", "4", "--nodes", "4", "--slots", "1"),
            *("--work-ms", "70", "--result-timeout-s", "2"),
        ) as run:
            assert run.end() == 1, run.text
    finally:
        scheduler.stop()
    found = errors(run.report())
    for expected in (
        "WS result: no_result",
        "WS result: twice",
        "WS result: wrong_result",
        "HTTP result: wrong_result",
        "WS utterance: piece_failed",
        "NODE assign: over_slots",
        "NODE assign: wrong_pair",
    ):
        assert found.get(expected, 0) > 0, (expected, found)
    assert run.report().verdict == "broken"


def test_after_a_crash_of_the_scheduler_sessions_submit_again(tmp_path: Path) -> None:
    """It is killed and restarted without its state: lost connections are counted, every job has one result."""
    scheduler = Scheduler(tmp_path, "memory")
    try:
        flags = ("-u", "10", "-t", "7s", "--rate-per-user", "2", "--http-share", "0", "--work-ms", "200")
        with load(tmp_path, scheduler, *flags) as run:
            wait_until(lambda: len(scheduler.node_ids()) == 20)
            wait_until(lambda: scheduler.get("/v1/jobs?state=completed")["jobs"])
            scheduler.signal(signal.SIGKILL)
            scheduler.end()
            scheduler = Scheduler(tmp_path, "memory", port=scheduler.port, name="again")
            assert run.end() == 1, run.text
    finally:
        scheduler.stop()
    report = run.report()
    found = errors(report)
    assert found["WS reconnect: connection_lost"] >= 1
    assert found["NODE register: connection_lost"] >= 20
    assert not [error for error in found if error.startswith("WS result")]
    assert operations(report)["WS result"] > 20
    assert report.jobs is not None and report.jobs.lost == 0


SCENARIO = """
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


def test_a_scenario_is_played_with_changing_nodes(tmp_path: Path) -> None:
    """Temporarily rejected jobs are submitted again: three unfinished jobs are allowed, and bursts of five are
    completed. Clients cancel some jobs, which end as cancelled.

    Nodes leave in good order or not, and return as other processes; no job is lost.
    """
    scenario = tmp_path / "retries.toml"
    scenario.write_text(SCENARIO)
    scheduler = Scheduler(tmp_path, "memory", "--jobs-max", "3", "--retry-after-s", "0.1")
    try:
        flags = ("-u", "6", "-t", "3s", "--scenario", str(scenario), "--shape", "churn", "--cancel-share", "0.3")
        with load(tmp_path, scheduler, *flags, "--churn-stay-s", "1", "--churn-away-s", "0.1") as run:
            assert run.end() == 0, run.text
        metrics = httpx.get(scheduler.url + "/metrics", trust_env=False).text
    finally:
        scheduler.stop()
    refused = re.search(r'^voxpool_jobs_rejected_total{reason="jobs_max"} (.+)$', metrics, re.MULTILINE)
    assert refused is not None and float(refused[1]) > 0
    report = run.report()
    jobs, pools = report.jobs, report.pools
    assert jobs is not None and pools is not None
    assert jobs.submitted == jobs.completed + jobs.cancelled
    assert jobs.completed > 20 and jobs.cancelled > 0
    assert {"HTTP cancel", "WS cancel"} <= set(operations(report))
    assert {group.pair: group.nodes for group in pools.groups} == {"zh:en": 2, "en:zh": 1}
    assert operations(report)["NODE register"] > 3
