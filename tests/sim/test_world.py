"""Jobs and nodes from start to end, on the production core in virtual time: each test is one scenario."""

from __future__ import annotations

import pytest

from voxpool.scheduler.errors import Rejected
from voxpool.sim.world.world import World


def test_a_job_runs_on_a_node(world: World) -> None:
    world.add_nodes(1, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=3)
    world.run(for_s=2.9)
    assert world.state(job) == "dispatched"
    world.run(for_s=0.2)
    assert world.state(job) == "completed"


def test_a_frozen_node_continues_where_it_stopped(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=10)
    world.run(for_s=4)
    node.freeze()
    world.run(for_s=20)
    node.thaw()
    world.run(for_s=5.9)
    assert world.state(job) == "dispatched"
    world.run(for_s=0.2)
    assert (world.state(job), world.attempts(job)) == ("completed", 1)


def test_a_node_that_restarts_as_another_process_takes_over_its_name(world: World) -> None:
    """Its machine has failed while the old socket is still open: the old connection no longer answers a probe."""
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    node.vanish()
    world.run(for_s=3)
    node.start()
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=8)
    assert world.state(job) == "completed"
    assert len(world.core.node_registry) == 1


def test_a_second_process_under_a_name_in_use_is_refused(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    twin = type(node)(world.door, node.node_id, ["zh:en"], 1, 1.0, world._node_random)
    twin._processes = 100
    twin.start()
    world.run(for_s=10)
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=2)
    assert world.state(job) == "completed"
    assert (len(world.core.node_registry), twin.running) == (1, {})
    assert world.core.node_registry.nodes[node.node_id].process_id == "gpu-1.1"
    twin.crash()


def test_a_node_that_restarts_in_order_finishes_its_jobs(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"], slots=2)
    first = world.submit("zh:en", work_s=5)
    world.run(for_s=1)
    world.faults.begin("node_restart", node)
    second = world.submit("zh:en", work_s=1)
    world.run(for_s=4.5)
    assert (world.state(first), world.attempts(first)) == ("completed", 1)
    assert world.state(second) == "waiting"
    world.faults.heal(node)
    world.run(for_s=2)
    assert world.state(second) == "completed"


def test_a_rejected_submit_leaves_nothing_behind() -> None:
    world = World(settings={"jobs_max": 1})
    world.submit("zh:en", work_s=1)
    with pytest.raises(Rejected):
        world.submit("zh:en", work_s=1)
    world.run(for_s=11)
    assert world.finish() == []
    assert world.recorder.rejected == 1


def test_links_and_store_with_delays_lose_nothing() -> None:
    world = World(delay_ms=20.0, store_delay_ms=3.0)
    world.add_nodes(3, pairs=["zh:en"], slots=2)
    jobs = [world.submit("zh:en", work_s=0.5) for _ in range(30)]
    world.run(for_s=5)
    assert {world.state(job) for job in jobs} == {"completed"}
    assert world.finish() == []


def test_a_crash_during_the_register_leaves_no_node_behind() -> None:
    world = World(delay_ms=20.0, store_delay_ms=30.0)
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=0.03)
    node.crash()
    world.run(for_s=5)
    assert len(world.core.node_registry) == 0
    assert world.store_keys() == 0
    assert world.finish() == []


def test_run_until_names_the_waiting_tasks_when_its_condition_never_holds(world: World) -> None:
    with pytest.raises(TimeoutError, match=r"not within 5 virtual seconds.*Timeouts.run_forever"):
        world.run_until(lambda: False, at_most_s=5)
