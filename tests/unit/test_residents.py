"""Little's law for the table: the prediction is right while the clean-up runs, and shows when it does not."""

from __future__ import annotations

import math

import pytest

from tests.unit.metrics_rig import MeteredRig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.telemetry.metrics.bound import resident_bound, resident_mean

RETENTION_S, INTERVAL_S = 30.0, 10.0


def test_the_mean_is_the_rate_times_the_mean_stay() -> None:
    assert resident_mean(20, 0, 300, 60) == 6600  # 20 jobs a second, kept for 300 s, swept every 60 s
    assert resident_mean(20, 2, 300, 60) == 6640
    assert resident_mean(20, 2, 300, 0) == 6040


def test_the_bound_is_above_the_maximum_before_a_sweep() -> None:
    most = 20 * 360
    assert most + 6 * math.sqrt(most) < resident_bound(20, 0, 300, 60) < 1.2 * most
    assert resident_bound(0, 0, 300, 60) == 0


def settings(cleanup_interval_s: float = INTERVAL_S) -> Settings:
    """There are no nodes: waiting jobs are cancelled."""
    return Settings(retention_s=RETENTION_S, cleanup_interval_s=cleanup_interval_s, no_node_grace_s=1e6)


async def end_jobs(rig: MeteredRig, count: int) -> None:
    for _ in range(count):
        rig.dispatcher.cancel((await rig.submit()).job_id)


async def run_for(rig: MeteredRig, seconds: int, jobs_a_second: int, sweep_every_s: float = INTERVAL_S) -> list[float]:
    """Let time pass and jobs end; return the finished jobs minus the bound for each second."""
    above = []
    for second in range(1, seconds + 1):
        rig.clock.ms += 1000
        await end_jobs(rig, jobs_a_second)
        if sweep_every_s and not second % sweep_every_s:
            while rig.core.retention.run_once():
                pass
        rig.exporter.residents.run_once()
        above.append(len(rig.core.table) - rig.exporter.residents.predict()[1])
    return above


async def test_changing_traffic_stays_below_the_bound_while_the_clean_up_runs() -> None:
    rig = MeteredRig(settings())
    for jobs_a_second in (5, 20, 0, 0, 40, 1):
        assert max(await run_for(rig, 60, jobs_a_second)) <= 0


async def test_the_prediction_is_the_mean_of_resident_jobs() -> None:
    rig = MeteredRig(settings())
    await run_for(rig, 50, 10)
    there = []
    for _ in range(40):
        await run_for(rig, 1, 10, 0)
        if rig.clock.ms % 10_000 == 0:
            while rig.core.retention.run_once():
                pass
        there.append(len(rig.core.table))
    assert sum(there) / len(there) == pytest.approx(rig.exporter.residents.predict()[0], rel=0.03)


@pytest.mark.parametrize("then_jobs", [0, 10])
async def test_a_disabled_clean_up_is_found_with_and_without_new_jobs(then_jobs: int) -> None:
    rig = MeteredRig(settings(cleanup_interval_s=0))
    assert max(await run_for(rig, 30, 10, 0)) <= 0
    assert (await run_for(rig, 35, then_jobs, 0))[-1] > 0


async def test_unfinished_jobs_are_no_leak() -> None:
    rig = MeteredRig(settings())
    for _ in range(50):
        await rig.submit()
    assert await rig.value("jobs_resident_predicted") == await rig.value("jobs_resident_bound") == 50


async def test_the_readings_are_bounded() -> None:
    rig = MeteredRig()
    for _ in range(1000):
        rig.clock.ms += 4000
        rig.exporter.residents.run_once()
    assert len(rig.exporter.residents._looks) < 110


async def test_settings_and_the_last_run_are_reported() -> None:
    rig = MeteredRig(settings())
    assert await rig.value("cleanup_last_run_timestamp_seconds") == 1000
    assert await rig.value("cleanup_interval_seconds") == INTERVAL_S
    assert await rig.value("retention_seconds") == RETENTION_S
    rig.clock.ms += 5000
    rig.meters.observer.swept(0, 0.1)
    assert await rig.value("cleanup_last_run_timestamp_seconds") == 1005


async def test_jobs_removed_before_their_retention_are_counted() -> None:
    rig = MeteredRig(Settings(finished_max=3))
    await end_jobs(rig, 7)
    assert await rig.value("jobs_evicted_total") == 4
