"""One snapshot serves all viewers, none is made without viewers, and their number is bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.unit.rig import Rig
from voxpool.scheduler.config import FAIR, Settings
from voxpool.scheduler.core.jobs.job import FINAL_STATES, Share
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.scheduler.telemetry.dashboard import fleet as fleet_view
from voxpool.scheduler.telemetry.dashboard.history import DashboardHistory
from voxpool.scheduler.telemetry.dashboard.snapshot import Dashboard


class Watched:
    """A rig with snapshots of the dashboard; `taken` counts them."""

    def __init__(self, viewers_max: int = 2, order: str = "submit") -> None:
        self.rig = Rig(settings=Settings(order=order))
        self.seconds = 0.0
        self.history = history = DashboardHistory(self.rig.clock)
        history.attach(self.rig.core, lambda: (0.0, 0.0))
        finished = dict.fromkeys(FINAL_STATES, 0)
        settings = Settings(viewers_max=viewers_max)
        self.dashboard = Dashboard(
            settings,
            self.rig.core,
            history,
            finished,
            lambda: (True, ""),
            self.rig.clock.now_ms,
            lambda: self.seconds,
        )

    async def snapshot(self) -> dict[str, Any]:
        """Return the next snapshot, as a viewer receives it."""
        number = self.dashboard._number
        await self.dashboard.run_once()
        newer = await self.dashboard.after(number)
        assert newer is not None
        found: dict[str, Any] = msgspec.json.decode(newer[1])
        return found


async def test_nothing_is_computed_without_viewers() -> None:
    dashboard = Watched().dashboard
    tasks = asyncio.all_tasks()
    dashboard.enter()
    dashboard.enter()
    assert len(asyncio.all_tasks() - tasks) == 1
    assert await dashboard.after(0) == await dashboard.after(0)
    dashboard.leave()
    assert len(asyncio.all_tasks() - tasks) == 1
    dashboard.leave()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    dashboard.enter()
    newer = await dashboard.after(1)
    assert newer is not None and newer[0] == 2
    dashboard.leave()


async def test_a_viewer_that_connects_as_the_last_one_leaves_waits_for_the_next_snapshot() -> None:
    """The end of the old role must not wake the new viewer again and again: that loop would block the event loop."""
    dashboard = Watched().dashboard
    dashboard.enter()
    await dashboard.after(0)
    dashboard.leave()
    dashboard.enter()
    for _ in range(5):
        await asyncio.sleep(0)
    assert dashboard._number == 2 and not dashboard._published.is_set(), "who asks for the third one must wait"
    third = asyncio.create_task(dashboard.after(2))
    await asyncio.sleep(0)
    assert not third.done()
    await dashboard.run_once()
    newer = await third
    assert newer is not None and newer[0] == 3
    dashboard.leave()


async def test_viewers_beyond_the_limit_get_a_time_to_retry() -> None:
    dashboard = Watched(viewers_max=2).dashboard
    dashboard.enter()
    dashboard.enter()
    with pytest.raises(Rejected) as refused:
        dashboard.enter()
    assert refused.value.reason == "viewers_max" and refused.value.retry_after_ms
    dashboard.leave()
    dashboard.enter()
    dashboard.leave()
    dashboard.leave()


async def test_a_stopping_scheduler_ends_its_streams() -> None:
    dashboard = Watched().dashboard
    dashboard.enter()
    await dashboard.after(0)
    waiting = asyncio.create_task(dashboard.after(10**9))
    await asyncio.sleep(0)
    dashboard.stop()
    assert await waiting is None
    dashboard.leave()
    with pytest.raises(Rejected):
        dashboard.enter()


async def test_a_bug_in_the_snapshot_reaches_the_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not look like an idle scheduler."""
    dashboard = Watched().dashboard

    async def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(dashboard, "run_once", broken)
    dashboard.enter()
    with pytest.raises(ZeroDivisionError):
        await dashboard.after(0)
    dashboard.leave()


async def test_nodes_pools_and_jobs_are_counted() -> None:
    watched = Watched()
    watched.dashboard.stopping = True
    rig = watched.rig
    await rig.node("a", pairs=["zh:en", "en:zh"], slots=3)
    b, _ = await rig.node("b", pairs=["zh:en"], slots=2)
    rig.desk.drain(b, True)
    for _ in range(4):
        await rig.submit("zh:en")
    rig.clock.ms += 700
    found = await watched.snapshot()
    fleet = found["fleet"]
    assert fleet["states"] == {"ready": 1, "draining": 1}
    assert fleet["slots"] == {"used": 3, "free": 0, "closed": 2}
    assert {row[0]: row[1:] for row in fleet["pools"]} == {
        "zh:en": [2, 1, 5, 3, 0, 3, 1],
        "en:zh": [1, 1, 3, 3, 0, 0, 0],
    }
    assert fleet["nodes"] == [["a", "ready", 3, 3, 700, 0, 0], ["b", "draining", 0, 2, 700, 0, 1]]
    assert fleet["pair_lists"] == [[["zh:en", "en:zh"], 2], [["zh:en"], 1]]
    assert found["ended"] == [] and found["stopping"] and found["store_up"]
    assert found["jobs"] == {"waiting": 1, "dispatched": 3, "completed": 0, "failed": 0, "cancelled": 0}


async def test_waiting_jobs_are_counted_by_priority_and_the_largest_key_has_no_name() -> None:
    watched = Watched(order=FAIR)
    watched.dashboard.enter()
    for key, priority in (("loud", 5), ("loud", 5), ("loud", 5), ("quiet", 1)):
        await watched.rig.submit(share=Share(priority, key, 1.0))
    snapshot = await watched.snapshot()
    assert snapshot["waiting"] == {"priorities": {"1": 1, "5": 3}, "keys": 2, "largest_part": 0.75}
    assert "loud" not in str(snapshot)
    watched.dashboard.leave()


async def test_of_many_nodes_those_that_need_attention_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_view, "NODES_SHOWN_MAX", 2)
    monkeypatch.setattr(fleet_view, "POOLS_SHOWN_MAX", 1)
    watched = Watched()
    rig = watched.rig
    for name in ("a", "b", "c"):
        node, _ = await rig.node(name, pairs=["aa:bb", f"{name}:x"])
        rig.clock.ms += 100
    rig.desk.drain(node, True)
    await rig.submit("x:y")
    fleet = (await watched.snapshot())["fleet"]
    assert [row[0] for row in fleet["nodes"]] == ["c", "a"]
    assert fleet["nodes_total"] == 3 and fleet["states"] == {"ready": 2, "draining": 1}
    assert [row[0] for row in fleet["pools"]] == ["x:y"] and fleet["pools_total"] == 5


async def test_the_last_ended_jobs_are_shown_without_outputs_while_they_are_kept() -> None:
    watched = Watched()
    rig = watched.rig
    await rig.node("n")
    for output in ("first", "second"):
        job = await rig.submit()
        rig.clock.ms += 250
        rig.desk.result(rig.core.node_registry.nodes["n"], NodeResult(job.job_id, job.attempt, output=output))
        watched.history.job_ended(job)
        await rig.settle()
    ended = (await watched.snapshot())["ended"]
    assert [one["job_id"] for one in ended] == ["test-2", "test-1"]
    assert ended[0] == {
        "job_id": "test-2",
        "pair": "zh:en",
        "state": "completed",
        "reason": "",
        "node_id": "n",
        "attempts": 1,
        "waited_ms": 0,
        "served_ms": 250,
        "ended_ms": rig.clock.ms,
    }
    rig.core.table.remove_ended_before(rig.clock.ms)
    assert [one["job_id"] for one in (await watched.snapshot())["ended"]] == ["test-2"]
