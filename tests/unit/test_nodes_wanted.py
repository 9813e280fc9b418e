"""The nodes that a pair's jobs need: the figure by which a fleet is scaled."""

from __future__ import annotations

import math

import pytest

from tests.unit.metrics_rig import MeteredRig
from voxpool.scheduler.core.admission.wait_times import WANTED_WITHIN_MS, Flow


def flow(nodes: int, slots: int) -> Flow:
    made = Flow(30_000, 0)
    made.serve(0, nodes, slots)
    return made


def come(pair: Flow, waiting: int, running: int) -> None:
    for _ in range(waiting + running):
        pair.came()
    for _ in range(running):
        pair.started(0)


def test_the_slots_of_the_running_jobs_are_wanted() -> None:
    pair = flow(nodes=5, slots=10)
    assert pair.nodes_wanted() == 0
    come(pair, waiting=0, running=7)
    assert math.ceil(pair.nodes_wanted()) == 4


def test_waiting_jobs_share_the_slots_that_start_them_in_time() -> None:
    pair = flow(nodes=1, slots=2)
    come(pair, waiting=0, running=1)
    pair.ended(WANTED_WITHIN_MS // 10, 0, is_served=True)
    come(pair, waiting=40, running=2)
    assert pair.nodes_wanted() == pytest.approx((2 + 40 / 10) / 2)


def test_a_waiting_job_takes_a_slot_when_jobs_are_long_or_none_has_ended() -> None:
    pair = flow(nodes=1, slots=1)
    come(pair, waiting=3, running=1)
    assert pair.nodes_wanted() == 4
    pair.ended(10 * WANTED_WITHIN_MS, 0, is_served=True)
    assert pair.nodes_wanted() == 3


def test_a_pool_that_lost_its_nodes_counts_with_the_slots_that_they_had() -> None:
    pair = flow(nodes=2, slots=8)
    come(pair, waiting=12, running=0)
    pair.serve(0, -2, -8)
    assert pair.nodes_wanted() == 3
    assert Flow(30_000, 0).nodes_wanted() == 0


async def test_the_metric_is_by_pair() -> None:
    rig = MeteredRig()
    node, _ = await rig.node("n", slots=2)
    await rig.busy(node, await rig.submit())
    assert await rig.value("nodes_wanted", pair="zh:en") == 0.5
