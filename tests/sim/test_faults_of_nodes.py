"""Each fault of a node alone: its effect shows, and it heals."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.world.nodes import SimNode
from voxpool.sim.world.world import World


def two_nodes_and_a_job(world: World, work_s: float = 5.0) -> tuple[Job, SimNode]:
    """A job that runs on one of two nodes with two pairs."""
    world.add_nodes(2, pairs=["zh:en", "en:zh"])
    world.run(for_s=1)
    job = world.submit("zh:en", work_s=work_s)
    world.run(for_s=1)
    holder = world.holder(job)
    assert holder is not None
    return job, holder


def broken(world: World, kind: str, node: SimNode) -> None:
    """Apply a fault to `node` from outside the run."""
    world.do(world.faults.begin, kind, node)


def test_a_crash_moves_the_job_to_the_other_node_at_once(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    broken(world, "node_crash", node)
    world.run(for_s=0.1)
    assert job.attempt == 2 and job.node_id != node.node_id and node.state == "down"
    world.do(world.faults.heal, node)
    world.run(for_s=1)
    assert node.state == "up" and len(world.core.node_registry) == 2


def test_a_vanished_node_is_noticed_at_the_end_of_its_lease(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    broken(world, "node_vanish", node)
    world.run(for_s=20)
    assert job.attempt == 1
    world.run(for_s=30)
    assert job.attempt == 2 and len(world.core.node_registry) == 1


def test_a_new_id_is_a_new_node_and_the_old_one_leaves_nothing(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    old_id = node.node_id
    broken(world, "node_new_id", node)
    world.run(for_s=1)
    world.do(world.faults.heal, node)
    world.run(for_s=1)
    assert node.node_id != old_id and world.node(old_id) is world.node(node.node_id) is node
    assert set(world.core.node_registry.nodes) == {node.node_id, job.node_id}
    assert old_id not in dict(world.store_dump()["nodes"])


def test_a_pause_of_46_seconds_costs_the_lease_and_one_heartbeat_heals_it(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    broken(world, "node_freeze", node)
    world.run(for_s=46)
    assert job.attempt == 2 and len(world.core.node_registry) == 1
    world.do(world.faults.heal, node)
    world.run(for_s=15)
    assert len(world.core.node_registry) == 2 and node.running == {}


def test_a_slow_node_takes_ten_times_as_long(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    broken(world, "node_slow", node)
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=9)
    assert job.state == "dispatched"
    world.do(world.faults.heal, node)
    world.run(for_s=2)
    other = world.submit("zh:en", work_s=1)
    world.run(for_s=1.5)
    assert (job.state, other.state, node.speed) == ("completed", "completed", 1.0)


def test_a_second_answer_changes_nothing(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    broken(world, "node_answers_twice", node)
    world.run(for_s=6)
    assert job.state == "completed" and world.recorder.late_results == 1
    world.do(world.faults.heal, node)
    world.submit("zh:en", work_s=1)
    world.submit("zh:en", work_s=1)
    world.run(for_s=2)
    assert world.recorder.late_results == 1


def test_a_late_answer_is_counted_and_changes_nothing(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    broken(world, "node_answers_late", node)
    world.run(for_s=60)
    assert (job.state, job.attempt) == ("completed", 2)
    world.do(world.faults.heal, node)
    world.run(for_s=1)
    assert world.recorder.late_results == 1 and world.recorder.run_twice == 1


def test_a_node_that_never_answers_loses_the_job_at_the_timeout(world: World) -> None:
    _, node = two_nodes_and_a_job(world)
    broken(world, "node_never_answers", node)
    world.run(for_s=10)
    jobs = [world.submit("zh:en", work_s=2) for _ in range(2)]
    world.run(for_s=58)
    assert sorted((job.state, job.attempt) for job in jobs) == [("completed", 1), ("dispatched", 1)]
    assert len(node.running) == 1
    world.do(world.faults.heal, node)
    world.run(for_s=10)
    assert sorted((job.state, job.attempt) for job in jobs) == [("completed", 1), ("completed", 2)]
    assert node.running == {}


def test_a_retryable_error_is_retried_and_a_final_one_ends_the_job(world: World) -> None:
    job, node = two_nodes_and_a_job(world)
    broken(world, "node_errors", node)
    world.run(for_s=12)
    assert (job.state, job.attempt, job.redispatches) == ("completed", 2, 1)
    world.do(world.faults.heal, node)
    for each in world.nodes:
        broken(world, "node_final_errors", each)
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=2)
    assert (job.state, job.reason) == ("failed", "bad_audio")
    for each in world.nodes:
        world.do(world.faults.heal, each)
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=2)
    assert job.state == "completed"


def test_a_node_that_fails_at_once_fails_five_jobs_and_rests(world: World) -> None:
    _job, node = two_nodes_and_a_job(world)
    broken(world, "node_fails_at_once", node)
    world.run(for_s=8)
    jobs = []
    for _ in range(15):
        jobs.append(world.submit("zh:en", work_s=0.5))
        world.run(for_s=0.6)
    world.run(for_s=1)
    assert sum(job.redispatches for job in jobs) == 5
    assert [job.state for job in jobs].count("completed") >= 13
    world.do(world.faults.heal, node)
    world.run(for_s=30)  # its rest is over
    jobs = [world.submit("zh:en", work_s=0.5) for _ in range(2)]
    world.run(for_s=1)
    assert {job.node_id for job in jobs} == {each.node_id for each in world.nodes}


def test_a_busy_node_gets_no_jobs_until_it_is_free(world: World) -> None:
    job, _node = two_nodes_and_a_job(world)
    for each in world.nodes:
        broken(world, "node_busy", each)
    other = world.submit("zh:en", work_s=1)
    world.run(for_s=5)
    assert other.state == "waiting" and other.redispatches == 0 and other.attempt > 1
    for each in world.nodes:
        world.do(world.faults.heal, each)
    world.run(for_s=5)
    assert (job.state, other.state) == ("completed", "completed")


def test_a_node_with_fewer_pairs_gets_jobs_of_these_pairs_only(world: World) -> None:
    """R14: it registers again, and leaves the pools of the other pairs."""
    (node,) = world.add_nodes(1, pairs=["zh:en", "en:zh"], slots=2)
    world.run(for_s=1)
    broken(world, "node_fewer_pairs", node)
    world.run(for_s=1)
    (kept,) = node.pairs
    jobs = {pair: world.submit(pair, work_s=1) for pair in ("zh:en", "en:zh")}
    world.run(for_s=2)
    assert {pair for pair, job in jobs.items() if job.state == "completed"} == {kept}
    world.do(world.faults.heal, node)
    world.run(for_s=2)
    assert {job.state for job in jobs.values()} == {"completed"}


def test_the_late_end_of_an_old_connection_does_not_affect_the_new_one(world: World) -> None:
    """R7: the node has reconnected while its old connection is still open at the scheduler."""
    job, node = two_nodes_and_a_job(world, work_s=20)
    old = node.connection
    broken(world, "node_reconnects", node)
    world.run(for_s=2)
    assert node.connection is not old and (job.state, job.attempt, job.node_id) == ("dispatched", 1, node.node_id)
    world.do(world.faults.heal, node)
    world.run(for_s=20)
    assert (job.state, job.attempt) == ("completed", 1) and len(world.core.node_registry) == 2


def test_a_fault_without_effect_is_left_out_and_counted(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    assert world.faults._begin_if_it_can("node_fewer_pairs", node) == 0  # it serves one pair only
    world.do(world.faults.begin, "node_crash", node)
    assert world.faults._begin_if_it_can("node_freeze", node) == 0  # it is down
    assert (world.faults.begun, world.faults.left_out) == (1, 2)
