"""Three times as many jobs as the nodes can do: accepted ones end in a bounded time, others may retry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.overload import FULL, GROWTH_BYTES_MAX, ROUNDED_S, Overload, Shape, overload
from tests.e2e.processes import Scheduler
from tests.e2e.test_processes import started

SMALL = Shape(slots=4, service_s=0.4, waiting_max=10)
"""Three times what this node can do is a small load for the scheduler: a slow machine can generate it in time, too."""


async def played(folder: Path, shape: Shape, seconds: float) -> Overload:
    """Play the overload and check what must hold at any size."""
    with started(Scheduler(folder, "embedded", *shape.flags)) as scheduler:
        report = await overload(scheduler, seconds, shape)
        assert scheduler.get("/readyz") == {"status": "ready"}
    assert dict(report.states) == {"completed": report.accepted}, "everything accepted ends"
    assert set(report.refused) == {"waiting_max"} and report.without_retry == 0, "everything refused is told when"
    assert sum(report.refused.values()) > report.accepted > 0.2 * report.seconds * shape.capacity_per_s
    assert max(report.ahead) <= shape.ahead_max, "no accepted job has more before it than may wait"
    assert len(report.bounds_s) == report.accepted
    assert report.p99_s <= report.predicted_s + ROUNDED_S, "nor does it take longer than those before it explain"
    return report


@pytest.mark.alone
async def test_overload_for_five_seconds(folder: Path) -> None:
    await played(folder, SMALL, 5)


@pytest.mark.large
@pytest.mark.timeout(300)
async def test_overload_for_a_minute_with_its_memory_and_its_times(folder: Path) -> None:
    report = await played(folder, FULL, 60)
    print(report)
    assert report.growth_bytes < GROWTH_BYTES_MAX, report
