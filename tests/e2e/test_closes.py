"""After connections broke at every point of the protocol, a scheduler and its store are as they were before (M7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.closes import FLAGS, OPEN_BYTES_MAX, WARM_UP, Closes, closes
from tests.e2e.processes import LeakyScheduler, Scheduler
from tests.e2e.test_processes import started
from tests.e2e.torn import POINTS
from tests.servers import BOTH, redis_server


def torn(
    folder: Path, count: int, kind: type[Scheduler] = Scheduler, warm_up: int = WARM_UP, jobs: str = "memory"
) -> Closes:
    """Break `count` connections at a scheduler of its own with a redis-server of its own."""
    flags = [*FLAGS, "--jobs", jobs]
    with redis_server() as server, started(kind(folder, server.url, *flags, patience_s=60)) as scheduler:
        report = closes(scheduler, server.url, count, warm_up)
        assert scheduler.get("/readyz") == {"status": "ready"}
    print(report)
    assert report.most_bytes > 0 and report.bytes_under_load < OPEN_BYTES_MAX, "nothing waits to be released"
    assert report.torn.total() == count and len(report.torn) == 2 * len(POINTS), "each point, by RST and by FIN"
    assert scheduler.events("http_server") == [] and scheduler.events("scheduler_failed") == []
    return report


@pytest.mark.alone
@pytest.mark.parametrize(("jobs", "count"), [("memory", 1000), ("redis", 400)])
def test_many_broken_connections_leave_nothing(folder: Path, jobs: str, count: int) -> None:
    assert torn(folder, count, warm_up=20 * len(POINTS), jobs=jobs).more == {}


@pytest.mark.large
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("jobs", BOTH)
def test_a_hundred_thousand_broken_connections_leave_nothing(folder: Path, jobs: str) -> None:
    assert torn(folder, 100_000, jobs=jobs).more == {}


def test_planted_leaks_of_connections_are_found(folder: Path) -> None:
    """The planted leaks are a table, a task, an object, bytes and a key of the store that grow."""
    more = torn(folder, 20 * len(POINTS), LeakyScheduler, warm_up=2 * len(POINTS)).more
    found = {name: count for name, count in more.items() if "kept" in name or name.split()[0] in ("task", "allocated")}
    assert set(found) == {"table sessions.kept", "task _for_ever", "key vp:{0}:kept", "allocated bytes"}, more
    assert more["object voxpool.scheduler.web.sessions.session.Session"] == more["table sessions.kept"] > len(POINTS)
