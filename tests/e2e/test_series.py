"""The number of time series is bounded for any number of jobs, nodes, sessions and pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.processes import LeakyScheduler, Scheduler
from tests.e2e.series import FLAGS, LABELS, PAIRS, TOLD_APART_MAX, Grown, series
from tests.e2e.test_processes import started


async def grown(folder: Path, jobs: int, nodes: int, sessions: int, kind: type[Scheduler] = Scheduler) -> Grown:
    """Measure the series of a scheduler of its own."""
    with started(kind(folder, "embedded", *FLAGS)) as scheduler:
        report = await series(scheduler, jobs, nodes, sessions)
    print(report)
    return report


async def bounded(folder: Path, jobs: int, nodes: int, sessions: int) -> None:
    """Check that many jobs, nodes and sessions add no series, and that pairs add a bounded number."""
    report = await grown(folder, jobs, nodes, sessions)
    assert report.added == frozenset()
    assert {label for _, labels in report.paired for label, _ in labels} <= LABELS
    told_apart = {name: len(report.pairs_of(name)) for name in report.paired_names}
    assert told_apart["voxpool_jobs_submitted_total"] == TOLD_APART_MAX < PAIRS
    assert max(told_apart.values()) <= TOLD_APART_MAX
    assert len(report.paired) - len(report.warm) <= len(told_apart) * TOLD_APART_MAX


async def test_two_thousand_jobs_and_a_hundred_nodes_and_sessions_add_no_series(folder: Path) -> None:
    await bounded(folder, jobs=2000, nodes=100, sessions=100)


@pytest.mark.large
@pytest.mark.timeout(300)
async def test_ten_thousand_jobs_and_a_thousand_nodes_and_sessions_add_no_series(folder: Path) -> None:
    await bounded(folder, jobs=10_000, nodes=1000, sessions=1000)


async def test_a_planted_series_for_each_node_is_found(folder: Path) -> None:
    """It tests the check itself."""
    report = await grown(folder, 200, 50, 20, LeakyScheduler)
    assert {name for name, _ in report.added} == {"voxpool_dispatches_by_node_total"}
    assert 20 < len(report.added) <= 50
