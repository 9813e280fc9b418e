"""The memory watch on real schedulers: a planted leak is found, a healthy saw-tooth passes, problems are reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from tests.e2e.processes import Scheduler, wait_until
from tests.e2e.secured import Keys, Secured
from tests.load.watched import SETTINGS, clear_after, leaking, measured, steady_load, until_clear, watch
from tests.servers import RedisServer
from voxpool.leakgate.report.report import WatchReport
from voxpool.loadtest.memory import _source

pytestmark = pytest.mark.early


def test_a_planted_leak_of_200_bytes_a_job_is_found(tmp_path: Path) -> None:
    report = measured(tmp_path, 200.0, readings=60, patience_s=60)
    finding = report.finding
    assert (finding.verdict, finding.kind) == ("leak", "counts"), finding
    assert "type tuple" in [one.name for one in finding.growing], "in its chain of tuples"
    assert (
        finding.allocated is not None and finding.allocated.a_unit is not None and 130 < finding.allocated.a_unit < 350
    )
    assert finding.rss is not None, "named beside it"


def test_a_healthy_saw_tooth_passes(tmp_path: Path) -> None:
    report = measured(tmp_path, 0.0, readings=40, patience_s=60, limit_bytes=100.0)
    assert report.finding.verdict == "no leak", report.finding
    assert report.curves is not None and len({round(age_s, 1) for age_s in report.curves.age_s if age_s}) > 3, (
        "readings were taken at any phase of the clean-up"
    )


@pytest.mark.large
@pytest.mark.timeout(2400)
def test_a_healthy_saw_tooth_passes_in_20_of_20_runs(tmp_path: Path) -> None:
    findings = []
    for run in range(20):
        folder = tmp_path / str(run)
        folder.mkdir()
        findings.append(measured(folder, 0.0, readings=120, patience_s=90).finding)
    assert [finding.verdict for finding in findings] == ["no leak"] * 20, findings


def test_a_disabled_clean_up_is_found_by_counting(tmp_path: Path) -> None:
    """It is the leak of the brief, 1.1: records outlive their retention, which is found without a trend."""
    server = Scheduler(tmp_path, "memory", "--cleanup-interval-s", "0", "--retention-s", "2", "--finished-max", "0")
    try:
        with steady_load(server.url), watch(server.url, every_s=0.5) as made:
            finding = until_clear(made, 60, clear_after(3)).finding
    finally:
        server.stop()
    assert (finding.verdict, finding.kind) == ("leak", "kept work"), finding


def test_redis_is_counted_by_family_and_a_key_that_grows_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_source, "COUNT_EVERY_S", 0.5)
    redis = RedisServer(tmp_path)
    redis.start()
    server = Scheduler(tmp_path, redis.url, *SETTINGS)

    def grows(report: WatchReport) -> bool:
        client.rpush("vp:{0}:kept", *range(50))
        return "store members kept" in [one.name for one in report.finding.growing]

    try:
        with Redis.from_url(redis.url) as client, steady_load(server.url), watch(server.url) as made:
            report = until_clear(made, 60, grows)
    finally:
        server.stop()
        redis.kill()
    assert report.finding.verdict == "leak", report.finding
    assert "store members kept" in [one.name for one in report.finding.growing], "the scheduler told where its store is"
    assert report.curves is not None and any(report.curves.store_bytes)


def test_a_restarted_scheduler_is_judged_from_its_restart(tmp_path: Path) -> None:
    server: Scheduler = leaking(0.0)(tmp_path, "memory", *SETTINGS)
    port = server.port
    with watch(server.url) as made:
        wait_until(lambda: made.report().first)
        server.stop()
        server = Scheduler(tmp_path, "memory", *SETTINGS, port=port, name="again")
        try:
            wait_until(lambda: any("was restarted" in note for note in made.report().finding.notes))
            wait_until(lambda: made.report().first)
        finally:
            server.stop()


def test_a_missing_admin_token_is_reported(tmp_path: Path) -> None:
    server = Secured(tmp_path, keys := Keys(tmp_path))
    try:
        with watch(server.url) as made:
            wait_until(lambda: "needs an admin's token" in made.report().finding.reason)
            assert made.report().finding.verdict == "unclear"
        assert keys.shown_in(made.report().finding.reason.encode()) == []
    finally:
        server.stop()
