"""The history of the charts, on a core with a manual clock."""

from __future__ import annotations

from tests.unit.fakes import HandClock
from tests.unit.rig import Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.scheduler.telemetry.dashboard.history import ENDED_KEPT, QUANTILE_WINDOW_S, SECONDS_KEPT, DashboardHistory


def rig_with_history() -> tuple[Rig, DashboardHistory]:
    history = DashboardHistory(HandClock(1_000_000))
    rig = Rig(observer=history, settings=Settings(lease_s=10_000))
    history._clock = rig.clock
    history.attach(rig.core, lambda: (7.0, 9.0))
    return rig, history


async def run_job(rig: Rig, history: DashboardHistory, served_ms: int, output: str = "done") -> None:
    """Submit a job to the only node and end it after `run_ms`."""
    job = await rig.submit()
    rig.clock.ms += served_ms
    node = rig.core.node_registry.nodes["n"]
    rig.desk.result(node, NodeResult(job.job_id, job.attempt, output=output))
    await rig.settle()


async def test_a_job_counts_in_the_second_of_its_end() -> None:
    rig, history = rig_with_history()
    await rig.node("n")
    await run_job(rig, history, served_ms=2500)
    rig.clock.ms += 600
    history.advance()
    points = list(history.points())
    assert [(point.second, point.submitted, point.completed) for point in points] == [
        (1000, 1, 0),
        (1001, 0, 0),
        (1002, 0, 1),
    ]
    assert points[0].unfinished == 1 and points[1].unfinished == 1
    last = points[-1]
    assert (last.unfinished, last.resident, last.predicted, last.bound) == (0, 1, 7.0, 9.0)
    assert last.wait_ms == [0.0] * 3 and last.service_ms is not None and abs(last.service_ms[0] - 2500) < 40
    assert history.newest() == last
    assert history.totals(60) == {"submitted": 1, "completed": 1, "failed": 0, "cancelled": 0, "redispatched": 0}


async def test_a_point_covers_the_last_seconds_only() -> None:
    rig, history = rig_with_history()
    await rig.node("n")
    await run_job(rig, history, served_ms=0)
    rig.clock.ms += (QUANTILE_WINDOW_S + 5) * 1000
    history.advance()
    reported = [point.service_ms is not None for point in history.points()]
    assert reported == [True] * QUANTILE_WINDOW_S + [False] * 5
    assert history.newest().service_ms is None


async def test_each_point_is_the_newest_one_of_its_time() -> None:
    """The history computed for a new viewer equals what a viewer saw who was connected all the time."""
    rig, history = rig_with_history()
    await rig.node("n")
    seen = []
    for second in range(2 * QUANTILE_WINDOW_S):
        if second % 3 == 0:
            await run_job(rig, history, served_ms=10 * second)
        rig.clock.ms = (1001 + second) * 1000
        history.advance()
        seen.append(history.newest())
    assert list(history.points()) == seen


async def test_the_history_is_bounded_in_time_and_jobs() -> None:
    rig, history = rig_with_history()
    await rig.node("n")
    for _ in range(SECONDS_KEPT + 50):
        await run_job(rig, history, served_ms=1000)
    history.advance()
    points = list(history.points())
    assert len(points) == SECONDS_KEPT and len(history._past) <= SECONDS_KEPT + QUANTILE_WINDOW_S
    assert all(point.completed == 1 for point in points)
    assert len(history.ended) == ENDED_KEPT


async def test_failed_and_cancelled_jobs_and_lost_nodes_are_counted() -> None:
    rig, history = rig_with_history()
    node, _ = await rig.node("n")
    job = await rig.submit()
    rig.desk.left(node)
    await rig.settle()
    rig.dispatcher.cancel(job.job_id)
    await rig.submit()
    await rig.pass_time(11)
    history.advance()
    assert history.totals(60) == {"submitted": 2, "completed": 0, "failed": 1, "cancelled": 1, "redispatched": 1}
    assert (list(history.ended), list(history.failed)) == (["test-1", "test-2"], ["test-2"])
    assert history.newest().wait_ms is None
