"""Each metric changes with the dispatcher's actions, and the number of series is bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.unit.fakes import make_job
from tests.unit.metrics_rig import MeteredRig, Stopwatch, families, parsed
from tests.unit.rig import AUDIO
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.scripts import ScriptCall, release_job, select_node
from voxpool.scheduler.errors import Rejected, ScriptFailed, StoreUnavailable
from voxpool.scheduler.telemetry.metrics.figures import RECORD_BYTES
from voxpool.scheduler.telemetry.metrics.labels import LATELY_MS, PAIRS_MAX, PairLabels
from voxpool.scheduler.telemetry.metrics.loop_lag import LoopLag
from voxpool.scheduler.telemetry.metrics.store_census import StoreCensus

# The documented names: users' dashboards rely on them.
NAMES = {
    "jobs_submitted_total",
    "jobs_ended_total",
    "jobs_resident",
    "jobs_resident_bytes",
    "jobs_waiting",
    "job_starts_total",
    "oldest_waiting_seconds",
    "keys_waiting",
    "largest_key_part",
    "wait_seconds",
    "service_seconds",
    "dispatches_total",
    "redispatches_total",
    "late_results_total",
    "nodes",
    "slots",
    "nodes_wanted",
    "pool_nodes",
    "script_seconds",
    "script_errors_total",
    "cleanup_removed_total",
    "cleanup_pause_seconds",
    "store_up",
    "store_failures_total",
    "store_keys",
    "store_keys_timestamp_seconds",
    "loop_lag_seconds",
    "build_info",
}


async def test_every_name_of_the_interface_is_exposed() -> None:
    assert {f"voxpool_{name}" for name in NAMES} <= families(await MeteredRig().text())


async def test_all_names_have_the_prefix_and_base_units() -> None:
    for name in families(await MeteredRig().text()):
        assert name.startswith("voxpool_") and not re.search("_(ms|milliseconds|us|kb|mb)(_|$)", name), name


async def test_a_job_from_its_submit_to_its_removal() -> None:
    rig = MeteredRig()
    job = await rig.submit()
    assert await rig.value("jobs_submitted_total", pair="other") == 1
    assert await rig.value("jobs_waiting", pair="other", priority="3") == 1
    assert await rig.value("jobs_resident", state="waiting") == 1
    assert await rig.value("jobs_resident_bytes") == RECORD_BYTES + len(AUDIO)
    assert await rig.value("dispatches_total", result="nobody") == 1

    rig.clock.ms += 1500
    node, _ = await rig.node("ann", slots=2)
    assert await rig.value("dispatches_total", result="sent") == 1
    assert await rig.value("jobs_waiting", pair="zh:en", priority="3") == 0
    assert await rig.value("jobs_resident", state="dispatched") == 1

    rig.clock.ms += 700
    await rig.answer(node, job)
    assert await rig.value("jobs_ended_total", pair="zh:en", state="completed", reason="none") == 1
    assert await rig.value("wait_seconds_sum") == 1.5 and await rig.value("wait_seconds_count") == 1
    assert await rig.value("service_seconds_sum") == pytest.approx(0.7)
    assert await rig.value("jobs_resident", state="completed") == 1
    assert await rig.value("jobs_resident_bytes") == RECORD_BYTES

    rig.clock.ms += 1_000_000
    rig.core.retention.run_once()
    rig.meters.observer.swept(1, 2.0)  # run_forever counts it
    assert await rig.value("jobs_resident", state="completed") == 0
    assert await rig.value("jobs_resident_bytes") == 0
    assert await rig.value("cleanup_removed_total") == 1
    assert await rig.value("cleanup_pause_seconds_sum") == pytest.approx(0.002)


async def test_resident_jobs_are_those_of_the_table_also_past_finished_max() -> None:
    rig = MeteredRig(Settings(finished_max=3))
    for _ in range(7):
        rig.dispatcher.cancel((await rig.submit()).job_id)
    await rig.submit()
    assert await rig.value("jobs_resident", state="cancelled") == 3
    assert await rig.value("jobs_resident", state="waiting") == 1
    assert await rig.value("jobs_ended_total", pair="other", state="cancelled", reason="cancelled") == 7


async def test_abandoned_attempts_and_late_answers() -> None:
    rig = MeteredRig()
    node, _ = await rig.node("ann")
    job = await rig.submit(backoff_ms=0)
    await rig.fail(node, job, retryable=True)
    await rig.answer(node, job, attempt=1)
    assert await rig.value("redispatches_total", reason="error") == 1
    assert await rig.value("late_results_total") == 1
    rig.desk.left(node)
    assert await rig.value("redispatches_total", reason="closed") == 1
    rig.meters.observer.job_redispatched(job, "ann", 1, "a word of tomorrow")
    assert await rig.value("redispatches_total", reason="other") == 1


async def test_an_allocation_of_an_unknown_node_is_stale() -> None:
    rig = MeteredRig()
    rig.meters.observer.stale_allocation(make_job(1), "ann", "old")
    assert await rig.value("dispatches_total", result="stale") == 1


async def test_rejected_submits() -> None:
    rig = MeteredRig(Settings(jobs_max=1))
    await rig.submit()
    with pytest.raises(Rejected):
        await rig.submit()
    assert await rig.value("jobs_rejected_total", reason="jobs_max") == 1


async def test_closed_peers_and_rejected_connections() -> None:
    rig = MeteredRig()
    rig.meters.observer.peer_aborted("peer", "takes_nothing")
    rig.meters.observer.connection_refused("peer", "stopping")
    assert await rig.value("peers_aborted_total", reason="takes_nothing") == 1
    assert await rig.value("connections_refused_total", reason="stopping") == 1


async def test_nodes_and_slots_by_state() -> None:
    rig = MeteredRig()
    await rig.node("ready", slots=3)
    draining, _ = await rig.node("draining", slots=2)
    resting, _ = await rig.node("resting", ["en:de"], slots=1)
    rig.desk.drain(draining, True)
    await rig.settle()
    await rig.submit()
    await rig.busy(resting, await rig.submit("en:de"))
    for state in ("ready", "draining", "resting"):
        assert await rig.value("nodes", state=state) == 1
    assert [await rig.value("slots", state=state) for state in ("used", "free", "closed")] == [1, 2, 3]
    assert await rig.value("pool_nodes", pair="zh:en") == 2
    assert await rig.value("pool_nodes", pair="en:de") == 1
    rig.desk.left(resting)
    assert await rig.value("pool_nodes", pair="en:de") == 0


async def test_the_store_is_up_or_not() -> None:
    rig = MeteredRig()
    assert await rig.value("store_up") == 1
    rig.meters.observer.store_failed("gone")
    assert await rig.value("store_up") == 0
    rig.meters.observer.store_recovered()
    assert await rig.value("store_up") == 1


async def test_a_flush_is_timed_for_each_kind_of_script_in_it() -> None:
    rig = MeteredRig()
    await rig.meters.runner.run([release_job(["a|1"]), release_job(["b|1"]), select_node(1, 1, 2, 9, [])])
    assert await rig.value("script_seconds_sum", script="release_job") == 0.25
    assert await rig.value("script_seconds_count", script="release_job") == 1
    assert await rig.value("script_seconds_count", script="select_node") == 1
    assert await rig.value("script_errors_total", script="select_node") == 0


@pytest.mark.parametrize(
    ("error", "counted"), [(StoreUnavailable("gone"), {"release_job", "select_node"}), (ScriptFailed("x"), None)]
)
async def test_failed_flushes_are_errors_of_their_scripts(error: Exception, counted: set[str] | None) -> None:
    rig = MeteredRig()

    async def fail(calls: Sequence[ScriptCall]) -> list[list[str]]:
        raise error if counted else ScriptFailed("select_node: attempt to index a nil value")

    rig.store.run = fail  # type: ignore[method-assign]
    with pytest.raises((StoreUnavailable, ScriptFailed)):
        await rig.meters.runner.run([release_job(["a|1"]), select_node(1, 1, 2, 9, [])])
    for script in ("release_job", "select_node"):
        failed = script in (counted or {"select_node"})
        assert await rig.value("script_errors_total", script=script) == failed
        assert await rig.value("script_seconds_count", script=script) == 0
    assert await rig.value("store_failures_total", meaning="not_now" if counted else "broken") == 1


def test_the_runner_reports_restarts_of_the_store() -> None:
    rig = MeteredRig()
    rig.store.restarts = 2
    assert rig.meters.runner.restarts == 2


async def test_store_keys_are_missing_while_the_store_does_not_answer() -> None:
    rig = MeteredRig()
    await rig.node("ann")
    answers: list[dict[str, int] | Exception] = [rig.store.census(), StoreUnavailable("gone")]

    class Store:
        async def census(self) -> dict[str, int]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    registry = CollectorRegistry()
    census = StoreCensus(registry, Store(), lambda: 5000)
    await census.run_once()
    found = parsed(generate_latest(registry).decode())
    by_name: dict[str, dict[str, float]] = {}
    for (name, labels), value in found.items():
        by_name.setdefault(name, {})[labels[0][1]] = value
    assert by_name["voxpool_store_keys"] == rig.store.census()
    assert by_name["voxpool_store_keys_timestamp_seconds"] == dict.fromkeys(rig.store.census(), 5.0)
    await census.run_once()
    assert parsed(generate_latest(registry).decode()) == {}


async def test_the_roles_measure_by_themselves_and_stop() -> None:
    rig = MeteredRig()
    await rig.node("ann")
    rig.exporter.start()
    async with asyncio.timeout(10):
        while not await rig.value("loop_lag_seconds_count"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await rig.value("store_keys", family="leases") == 1
    await rig.exporter.stop()
    assert not [task for task in asyncio.all_tasks() if task.get_name() in ("loop lag", "store census")]


async def test_a_blocked_loop_is_lag() -> None:
    registry = CollectorRegistry()
    await LoopLag(registry, Stopwatch(step_s=1.0)).run_once()
    assert parsed(generate_latest(registry).decode())[("voxpool_loop_lag_seconds_sum", ())] == 0.75


async def test_the_number_of_series_is_bounded_for_many_jobs_nodes_and_pairs() -> None:
    """There are 10,000 jobs of 300 pairs on 1,000 nodes with different reasons; later ones add no series."""
    rig = MeteredRig(Settings(retention_s=0))
    observer = rig.meters.observer
    await asyncio.gather(*(rig.node(f"node-{n}", [f"p{n % 300}:en", f"p{(n + 1) % 300}:en"]) for n in range(1000)))

    def play(jobs: range) -> None:
        for place in jobs:
            job = make_job(place, pair=f"p{place % 300}:en")
            observer.job_submitted(job)
            observer.job_rejected(f"x{place}:en", f"reason_{place}")
            observer.connection_refused("peer", f"reason_{place}")
            observer.peer_aborted("peer", f"reason_{place}")
            observer.job_redispatched(job, f"node-{place}", 1, f"reason_{place}")
            job.state, job.reason = ("failed", f"reason_{place}") if place % 2 else ("completed", "")
            observer.job_ended(job)
            observer.job_removed(job)

    play(range(5_000))
    before = await rig.scrape()
    play(range(5_000, 10_000))
    after = await rig.scrape()
    assert set(before) == set(after) and len(after) < 1000
    for name in ("jobs_submitted_total", "pool_nodes"):
        series = {labels: value for (found, labels), value in after.items() if found == f"voxpool_{name}"}
        assert len(series) == PAIRS_MAX + 1 and series[(("pair", "other"),)] > 0
    assert sum(value for (name, _), value in after.items() if name == "voxpool_jobs_submitted_total") == 10_000
    text = await rig.text()
    assert "node-" not in text and "j-1" not in text and "reason_" not in text


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=new", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0"),
    ],
)
async def test_the_text_has_the_requested_format(accept: str, media_type: str) -> None:
    rig = MeteredRig()
    text, message = await rig.exporter.scrape(accept)
    assert message.startswith(media_type)
    assert text.endswith(b"# EOF\n") == message.startswith("application/openmetrics")


async def test_simultaneous_scrapes_are_complete() -> None:
    rig = MeteredRig()
    texts = await asyncio.gather(*(rig.text() for _ in range(5)))
    assert len({frozenset(parsed(text)) for text in texts}) == 1


def test_served_pairs_have_a_label_until_no_node_has_served_them_for_long() -> None:
    now_ms = [0]
    forgotten: list[str] = []
    labels = PairLabels(lambda: now_ms[0], forgotten.append)
    labels.serve(f"p{n}:en" for n in range(PAIRS_MAX))
    labels.serve(["new:en"])
    assert (labels.of("p0:en"), labels.of("new:en"), labels.of("invented:en")) == ("p0:en", "other", "other")
    now_ms[0] = LATELY_MS
    labels.serve(["p0:en"])
    labels.serve(["new:en"])
    assert forgotten == ["p1:en"]
    assert (labels.of("p0:en"), labels.of("p1:en"), labels.of("new:en")) == ("p0:en", "other", "new:en")
    assert len(labels) == PAIRS_MAX


async def test_a_pair_that_loses_its_label_loses_its_series() -> None:
    rig = MeteredRig()
    node, _ = await rig.node("ann", ["a:b"])
    await rig.submit(pair="a:b")
    rig.desk.left(node)
    rig.clock.ms += LATELY_MS
    rig.meters.observer.pairs.serve(f"p{n}:en" for n in range(PAIRS_MAX))
    found = await rig.scrape()
    assert ("voxpool_jobs_submitted_total", (("pair", "a:b"),)) not in found
    rig.clock.ms += LATELY_MS
    await rig.node("bob", ["a:b"])
    await rig.submit(pair="a:b")
    assert await rig.value("jobs_submitted_total", pair="a:b") == 1
