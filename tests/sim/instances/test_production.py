"""Several schedulers of production code in virtual time: they scale, survive faults of each, and are deterministic."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from voxpool.scheduler.core.jobs.job import COMPLETED
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.shared.partition import audio_calls, calls
from voxpool.sim.instances.costs import read_costs
from voxpool.sim.instances.production.report import (
    FAULTY,
    Length,
    instances,
    measure,
    report_of,
    sizes_of,
    survive,
)
from voxpool.sim.instances.production.servers import Shard
from voxpool.sim.instances.production.world import Instances, Sizes
from voxpool.sim.instances.store import PartitionStore
from voxpool.sim.virtual_time.loop import VirtualLoop

ROOT = Path(__file__).resolve().parents[3]
COSTS = read_costs(ROOT / "docs" / "reports" / "shared-costs.toml")
SHORT = Length(0.15, 0.15, 6.0, 1)
BOUNDS = calls.Bounds(10**6, 10**9, 10**6)


def test_two_schedulers_with_own_nodes_carry_nearly_twice_the_jobs() -> None:
    cheap_redis = msgspec.structs.replace(COSTS, own_us={"1": 20.0, "16": 11.0, "256": 10.0})
    one, two = (measure(Sizes(number, in_flight=32), cheap_redis, SHORT, 1) for number in (1, 2))
    assert one.jobs_per_s == pytest.approx(1e6 / COSTS.scheduler_us, rel=0.1), "its core is the bound"
    assert two.jobs_per_s > 1.8 * one.jobs_per_s and two.wrong == []


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("own", [True, False], ids=["own", "elsewhere"])
def test_a_life_of_jobs_costs_the_server_what_was_measured(own: bool, batch: int) -> None:
    """The flushes of `python -m bench.shared_jobs`, with audio at 16 jobs, cost what it measured."""
    has_audio = batch == 16
    store, shard = PartitionStore(0), Shard(VirtualLoop(), COSTS)
    names = [f"0.{number}" for number in range(batch)]
    spent_s = 0.0

    def flush(*sent: ScriptCall) -> list[str]:
        nonlocal spent_s
        answers = [store.run(call) for call in sent]
        spent_s += shard.cost_s(sent, answers)
        return answers[-1]

    rows = [calls.Submit(name, "en:fr", own, 0, 3, 4, "content", "", name, "") for name in names]
    kept = [audio_calls.keep_audio(name, b"1234", 600) for name in names if has_audio]
    dropped = [audio_calls.drop_audio(names)] if has_audio else []
    flush(*kept, calls.submit("a", 1, 0, 60_000, BOUNDS, rows))
    if not own:
        flush(calls.take("b", 1, 0, [("en:fr", batch, False)]))
        if has_audio:
            flush(audio_calls.read_audio(names))
    ends = [(name, 1, "c", "a text") for name in names]
    answer = flush(*dropped, calls.finish("a" if own else "b", 1, ends))
    assert answer[::2] == [calls.Said.OK] * batch
    if not own:
        flush(calls.mail("a", "", batch))
    measured_us = (COSTS.own_us if own else COSTS.elsewhere_us)[str(batch)] + has_audio * COSTS.audio_own_us
    assert 1e6 * spent_s / batch == pytest.approx(measured_us, rel=0.1)


def test_a_busy_redis_is_the_bound() -> None:
    dear_redis = msgspec.structs.replace(COSTS, own_us=dict.fromkeys(("1", "16", "256"), 1000.0))
    found = measure(Sizes(2), dear_redis, SHORT, 1)
    assert found.jobs_per_s == pytest.approx(1000, rel=0.15) and found.redis_busy > 0.9


@pytest.mark.parametrize("seed", [1, 2])
def test_faults_of_each_scheduler_lose_nothing(seed: int) -> None:
    found = survive(FAULTY, COSTS, SHORT, seed)
    assert (found.lost, found.wrong) == (0, [])
    assert found.done > 50 and {"kill", "stall", "cut"} & set(found.faults)


def test_the_ledger_finds_what_is_lost_and_what_is_wrong() -> None:
    world = Instances(FAULTY, COSTS)
    try:
        world.run(1.0)
        (request_id, *_) = world.open
        scheduler = world.schedulers[world.open[request_id]]
        job = scheduler.core.table.find_request(request_id, "")
        assert job is not None
        job.output, job.state = "another's", COMPLETED
        world.ended(scheduler, job)
        assert any("has the result" in text for text in world.wrong)
        for each in world.schedulers:
            each.die()
        assert not world.settle(5.0) and world.open
    finally:
        world.close()


def test_the_same_seed_gives_the_same_run() -> None:
    once, again = (survive(FAULTY, COSTS, SHORT._replace(faulty_s=3.0), 3) for _ in range(2))
    assert once == again


def test_the_report_has_the_goals_and_a_slow_fleet_misses_them() -> None:
    report = instances(1, COSTS, {}, length=SHORT, seed=1)
    assert report.exit_code == 0 and report.tables[0].rows
    one = measure(Sizes(1), COSTS, SHORT, 1)
    slow = report_of([one, one._replace(sizes=Sizes(4))], [], {}, COSTS, 1, 0.0)
    assert slow.exit_code == 1
    assert {line.limit for line in slow.lines} >= {">= 3"}
    assert Sizes(8, 4, 16) in sizes_of(8) and Sizes(8, elsewhere=True) in sizes_of(8)
