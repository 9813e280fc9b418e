"""Three times as many jobs as the nodes can do: who is taken is served in a bounded time, who is not is told when."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.overload import AHEAD_MAX, FLAGS, GROWTH_BYTES_MAX, ROUNDED_S, Overload, overload
from tests.e2e.processes import Scheduler
from tests.e2e.test_processes import started


async def played(folder: Path, seconds: float) -> Overload:
    """The overload, and what must hold at any size."""
    with started(Scheduler(folder, "embedded", *FLAGS)) as scheduler:
        report = await overload(scheduler, seconds)
        assert scheduler.get("/readyz") == {"status": "ready"}
    assert dict(report.states) == {"completed": report.accepted}, "everything accepted ends"
    assert set(report.refused) == {"waiting_max"} and report.without_retry == 0, "everything refused is told when"
    assert report.accepted > 0.2 * report.seconds * 100 and sum(report.refused.values()) > report.accepted
    assert max(report.ahead) <= AHEAD_MAX, "no accepted job has more before it than may wait"
    assert len(report.bounds_s) == report.accepted
    assert report.p99_s <= report.predicted_s + ROUNDED_S, "nor does it take longer than those before it explain"
    return report


@pytest.mark.alone
async def test_overload_for_five_seconds(folder: Path) -> None:
    await played(folder, 5)


@pytest.mark.large
@pytest.mark.timeout(300)
async def test_overload_for_a_minute_with_its_memory_and_its_times(folder: Path) -> None:
    report = await played(folder, 60)
    print(report)
    assert report.growth_bytes < GROWTH_BYTES_MAX, report
