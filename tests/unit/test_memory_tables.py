"""The tables of a scheduler in its memory report: each one is found, and the dashboard's history has its bound."""

from __future__ import annotations

import random

import pytest

from tests.unit.fakes import HandClock
from tests.unit.rig import Rig
from voxpool.leakgate.inside.allocators import AllocatedBytes
from voxpool.leakgate.inside.tables import find_tables
from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.telemetry.dashboard.history import QUANTILE_WINDOW_S, SECONDS_KEPT, DashboardHistory
from voxpool.sim.observing.census import entries


async def test_every_container_of_a_full_walk_is_among_the_tables() -> None:
    """The full walk (of the simulation) visits each entry; other containers that it finds are inside records."""
    rig = Rig()
    node, _ = await rig.node("n-1", ["zh:en"], slots=2)
    for number in range(5):
        await rig.submit("zh:en", session_id=f"s-{number}", affinity=True)
    assert len(node.reservations) == 2
    sizes = find_tables({"core": rig.core}, ["voxpool.scheduler"]).entries
    found = {f"core.{path}": count for path, count in entries(rig.core).items()}
    inside = {path for path in found for table in sizes if path.startswith(f"{table}.")}
    assert found.keys() - inside <= sizes.keys()
    assert {path: sizes[path] for path in found.keys() - inside} == {
        path: found[path] for path in found.keys() - inside
    }
    assert sizes["core.table._by_id"] == 5 and sizes["core.node_registry.nodes"] == 1


@pytest.mark.parametrize("jobs_a_second", [0, 20, 250])
def test_the_declared_size_of_a_history_record_is_right(jobs_a_second: int) -> None:
    """A history that fills grows by its declared size."""
    clock, chance, meter = HandClock(1_000_000), random.Random(7), AllocatedBytes(collect=True)
    history = DashboardHistory(clock)
    before = meter.read().allocated
    for _ in range(SECONDS_KEPT):
        for _ in range(jobs_a_second):
            job = history_job(clock.ms, served_ms=chance.randrange(50, 2000))
            history.job_ended(job)
        clock.ms += 1000
        history.advance()

    grown = meter.read().allocated - before
    bounds = history.bounds("dashboard")
    table = bounds["table dashboard._past"]
    assert table.entries == SECONDS_KEPT + QUANTILE_WINDOW_S and table.entry_bytes is not None
    assert grown == pytest.approx(SECONDS_KEPT * table.entry_bytes, rel=0.1, abs=40_000)
    assert (
        bounds["type voxpool.scheduler.telemetry.dashboard.history._Second"].entries >= SECONDS_KEPT + QUANTILE_WINDOW_S
    )


def history_job(now_ms: int, served_ms: int) -> Job:
    """Return a job that completed now."""
    job = Job("j", "r", "s", "a:b", 0, now_ms - served_ms, None, 0)
    job.state, job.dispatched_ms, job.ended_ms = COMPLETED, now_ms - served_ms, now_ms
    return job


async def test_the_history_is_among_the_tables_under_its_declared_name() -> None:
    history = DashboardHistory(HandClock(1_000_000))
    tables = find_tables({"dashboard": history}, ["voxpool.scheduler"])
    declared = {name.removeprefix("table ") for name in history.bounds("dashboard") if name.startswith("table ")}
    assert declared <= tables.entries.keys()
    assert {path: tables.bounds[path] for path in declared} == {"dashboard._past": SECONDS_KEPT + QUANTILE_WINDOW_S}
