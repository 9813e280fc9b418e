"""Each fault of a link, alone: what it breaks is seen, and it heals."""

from __future__ import annotations

import pytest

from tests.sim.test_faults_of_nodes import two_nodes_and_a_job
from voxpool.sim.faults.kind import divert, restore
from voxpool.sim.world.nodes import SimNode
from voxpool.sim.world.world import World


def is_connected(node: SimNode) -> bool:
    """Whether it believes that it has a connection."""
    return node.connection is not None


def test_a_slow_link_keeps_the_order_and_takes_its_time(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    world.do(world.faults.begin, "link_delay", node)
    world.run(for_s=4.05)
    assert job.state == "dispatched"  # its answer is on its way
    world.run(for_s=3)
    assert job.state == "completed"
    world.do(world.faults.heal, node)
    world.run(for_s=5)
    assert node.connection is not None and "send" not in node.connection.__dict__


def test_whatever_a_link_loses_every_job_ends_and_the_node_comes_back(world: World) -> None:
    """An assign, an answer: two beats without it. A cancel: the next beat. A register: the greeting's time-out."""
    _, node = two_nodes_and_a_job(world)
    world.do(world.faults.begin, "link_loss", node)
    jobs = []
    for _ in range(20):
        jobs.append(world.submit("zh:en", work_s=1))
        world.run(for_s=5)
    world.do(node.crash)
    world.do(node.start)
    world.run(for_s=60)
    assert sum(job.redispatches for job in jobs) > 0
    world.do(world.faults.heal, node)
    world.run(for_s=60)
    assert {job.state for job in jobs} == {"completed"}
    assert [each.state for each in world.core.node_registry.nodes.values()] == ["ready", "ready"]


@pytest.mark.parametrize("kind", ["link_duplication", "link_reordering"])
def test_copies_and_overtaking_change_no_job(kind: str) -> None:
    world = World(seed=4, delay_ms=5.0)
    world.add_nodes(2, pairs=["zh:en"], slots=2)
    world.run(for_s=1)
    for node in world.nodes:
        world.do(world.faults.begin, kind, node)
    jobs = []
    for _ in range(30):
        jobs.append(world.submit("zh:en", work_s=1))
        world.run(for_s=2)
    assert (world.recorder.late_results > 0) == (kind == "link_duplication")
    for node in world.nodes:
        world.do(world.faults.heal, node)
    world.run(for_s=30)
    assert {job.state for job in jobs} == {"completed"}
    assert world.finish() == []


def test_a_short_partition_only_delays(world: World) -> None:
    """TCP sends again what did not come through."""
    job, node = two_nodes_and_a_job(world)
    world.do(world.faults.begin, "link_partition", node)
    world.run(for_s=20)
    assert (job.state, job.attempt) == ("dispatched", 1)
    world.do(world.faults.heal, node)
    world.run(for_s=1)
    assert (job.state, job.attempt) == ("completed", 1)


def test_a_long_partition_is_given_up_by_both_ends(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    old = node.connection
    world.do(world.faults.begin, "link_partition", node)
    world.run(for_s=50)
    assert (job.state, job.attempt) == ("dispatched", 2) or job.state == "completed"
    assert not is_connected(node) and len(world.core.node_registry) == 1  # it can't connect anew
    world.do(world.faults.heal, node)
    world.run(for_s=2)
    assert is_connected(node) and node.connection is not old and len(world.core.node_registry) == 2
    world.run(for_s=10)
    assert job.state == "completed"


def test_a_node_that_hears_nothing_loses_what_it_was_sent(world: World) -> None:
    _, node = two_nodes_and_a_job(world)
    world.run(for_s=5)
    world.do(world.faults.begin, "link_cut_to_node", node)
    jobs = [world.submit("zh:en", work_s=1) for _ in range(2)]
    world.run(for_s=1.5)
    assert sorted(job.state for job in jobs) == ["completed", "dispatched"]
    world.run(for_s=50)
    assert {job.state for job in jobs} == {"completed"} and node.connection is None
    world.do(world.faults.heal, node)
    world.run(for_s=2)
    assert len(world.core.node_registry) == 2


def test_a_node_that_is_not_heard_lapses(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    world.do(world.faults.begin, "link_cut_to_scheduler", node)
    world.run(for_s=46)
    assert job.attempt == 2 and len(world.core.node_registry) == 1
    world.do(world.faults.heal, node)
    world.run(for_s=10)
    assert job.state == "completed" and len(world.core.node_registry) == 2


def test_a_node_that_lost_every_word_of_its_register_is_back_with_a_beat(world: World) -> None:
    """It beats from the register on: else it would wait for ever for an answer, and the scheduler for a beat."""
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    connection = node.connection
    assert connection is not None
    divert(connection, send=lambda message: None)
    world.run(for_s=50)
    restore(connection, "send")
    world.run(for_s=16)
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=2)
    assert job.state == "completed" and node.connection is connection
