"""Each fault of a link alone: its effect shows, and it heals."""

from __future__ import annotations

import pytest

from tests.sim.test_faults_of_nodes import two_nodes_and_a_job
from voxpool.sim.faults.kind import divert, restore
from voxpool.sim.world.nodes import SimNode
from voxpool.sim.world.world import World


def is_connected(node: SimNode) -> bool:
    """Return whether the node believes that it is connected."""
    return node.connection is not None


def test_a_slow_link_delays_messages_and_keeps_their_order(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    world.do(world.faults.begin, "link_delay", node)
    world.run(for_s=4.05)
    assert job.state == "dispatched"  # its answer is in flight
    world.run(for_s=3)
    assert job.state == "completed"
    world.do(world.faults.heal, node)
    world.run(for_s=5)
    assert node.connection is not None and "send" not in node.connection.__dict__


def test_every_job_ends_and_the_node_returns_after_each_lost_message(world: World) -> None:
    """A lost assign or answer is noticed by two heartbeats, a lost cancel by the next one, a lost register by its
    timeout.
    """
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
def test_duplicated_and_reordered_messages_change_no_job(kind: str) -> None:
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


def test_a_short_partition_only_delays_messages(world: World) -> None:
    """TCP retransmits the lost data."""
    job, node = two_nodes_and_a_job(world)
    world.do(world.faults.begin, "link_partition", node)
    world.run(for_s=20)
    assert (job.state, job.attempt) == ("dispatched", 1)
    world.do(world.faults.heal, node)
    world.run(for_s=1)
    assert (job.state, job.attempt) == ("completed", 1)


def test_both_ends_close_a_connection_in_a_long_partition(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    old = node.connection
    world.do(world.faults.begin, "link_partition", node)
    world.run(for_s=50)
    assert (job.state, job.attempt) == ("dispatched", 2) or job.state == "completed"
    assert not is_connected(node) and len(world.core.node_registry) == 1  # it can't reconnect
    world.do(world.faults.heal, node)
    world.run(for_s=2)
    assert is_connected(node) and node.connection is not old and len(world.core.node_registry) == 2
    world.run(for_s=10)
    assert job.state == "completed"


def test_a_node_that_receives_nothing_loses_its_assigned_jobs(world: World) -> None:
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


def test_a_node_whose_messages_are_lost_lapses(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    world.do(world.faults.begin, "link_cut_to_scheduler", node)
    world.run(for_s=46)
    assert job.attempt == 2 and len(world.core.node_registry) == 1
    world.do(world.faults.heal, node)
    world.run(for_s=10)
    assert job.state == "completed" and len(world.core.node_registry) == 2


def test_a_node_whose_register_was_lost_returns_with_a_heartbeat(world: World) -> None:
    """It sends heartbeats from the register on; otherwise both ends would wait for ever."""
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
