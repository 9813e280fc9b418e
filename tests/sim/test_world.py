"""Whole lives of jobs and nodes, by the production core on virtual time: each test is one scenario."""

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


def test_a_job_survives_the_death_of_its_node(world: World) -> None:
    """Its node dies, the job goes to another one at once, and the client gets one result."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=30)
    world.run_until(lambda: world.holder(job) is not None)
    holder = world.holder(job)
    assert holder is not None
    holder.crash()  # its socket closes
    world.run(for_s=35)
    assert world.state(job) == "completed"
    assert world.attempts(job) == 2
    assert world.broken_checkers() == []


def test_a_silent_node_loses_its_jobs_at_the_end_of_its_lease(world: World) -> None:
    first, second = world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=1)
    world.run_until(lambda: world.holder(job) is not None)
    silent = world.holder(job)
    assert silent is not None
    silent.vanish()
    world.run(for_s=44)
    assert world.holder(job) is silent
    world.run(for_s=3)
    assert world.state(job) == "completed"
    assert job.node_id == (second if silent is first else first).node_id


def test_a_frozen_node_goes_on_where_it_stood(world: World) -> None:
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


def test_a_node_frozen_beyond_its_lease_registers_again_and_its_old_work_is_cancelled(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"], slots=2)
    job = world.submit("zh:en", work_s=30)
    world.run(for_s=1)
    node.freeze()
    world.run(for_s=50)
    assert world.state(job) == "waiting"
    node.thaw()
    world.run(for_s=1)
    assert (world.state(job), world.attempts(job)) == ("dispatched", 2)
    assert [work.attempt for work in node.running.values()] == [2]


def test_a_node_that_comes_back_as_another_process_takes_its_name_over(world: World) -> None:
    """Its machine is gone, the old socket still stands open: the old connection no longer answers a probe."""
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    node.vanish()
    world.run(for_s=3)
    node.start()
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=8)
    assert world.state(job) == "completed"
    assert len(world.core.node_registry) == 1


def test_a_second_process_under_a_living_name_is_refused(world: World) -> None:
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


def test_a_node_that_restarts_in_order_ends_what_it_runs(world: World) -> None:
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


def test_a_job_waits_for_a_node_and_gives_up_in_time(world: World) -> None:
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=9.9)
    assert world.state(job) == "waiting"
    world.run(for_s=0.2)
    assert (world.state(job), job.reason) == ("failed", "no_node")


def test_a_cancelled_job_frees_its_node(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    job, other = world.submit("zh:en", work_s=50), world.submit("zh:en", work_s=1)
    world.run(for_s=1)
    world.cancel(job)
    world.run(for_s=1.5)
    assert (world.state(job), world.state(other)) == ("cancelled", "completed")
    assert node.running == {}


def test_a_busy_node_rests_until_its_next_beat(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    node.busy = True
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=0.5)
    node.busy = False
    world.run(for_s=3)
    assert (world.state(job), job.redispatches) == ("completed", 0)


def test_a_refused_submit_keeps_nothing() -> None:
    world = World(settings={"jobs_max": 1})
    world.submit("zh:en", work_s=1)
    with pytest.raises(Rejected):
        world.submit("zh:en", work_s=1)
    world.run(for_s=11)
    assert world.finish() == []
    assert world.recorder.rejected == 1


def test_one_request_id_is_one_job(world: World) -> None:
    world.add_nodes(1, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=1, request_id="once")
    world.run(for_s=2)
    again = world.core.dispatcher.submit(pair="zh:en", audio=bytes(1000), request_id="once")
    assert again is job
    assert world.recorder.submitted == 1


def test_links_and_store_with_delays_lose_nothing() -> None:
    world = World(delay_ms=20.0, store_delay_ms=3.0)
    world.add_nodes(3, pairs=["zh:en"], slots=2)
    jobs = [world.submit("zh:en", work_s=0.5) for _ in range(30)]
    world.run(for_s=5)
    assert {world.state(job) for job in jobs} == {"completed"}
    assert world.finish() == []


def test_a_crash_while_the_register_is_under_way_leaves_no_node_behind() -> None:
    world = World(delay_ms=20.0, store_delay_ms=30.0)
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=0.03)
    node.crash()
    world.run(for_s=5)
    assert len(world.core.node_registry) == 0
    assert world.store_keys() == 0
    assert world.finish() == []


def test_run_until_says_who_waits_when_its_condition_never_holds(world: World) -> None:
    with pytest.raises(TimeoutError, match=r"not within 5 virtual seconds.*Timeouts.run_forever"):
        world.run_until(lambda: False, at_most_s=5)
