"""Faults of the scheduler: its jobs in memory are lost, and every request still ends once."""

from __future__ import annotations

import pytest

from voxpool.sim.world.world import World


def test_a_crash_loses_the_jobs_and_every_request_ends_once(world: World) -> None:
    world.add_nodes(2, pairs=["zh:en"])
    first = [world.submit("zh:en", work_s=5) for _ in range(4)]
    world.run(for_s=2)
    world.crash_scheduler()
    world.run(for_s=3)
    assert len(world.core.table) == 0
    assert {request.request_id for request in world.clients.open.values()} == {job.request_id for job in first}
    world.start_scheduler()
    world.run_until(lambda: not world.clients.open)
    assert world.recorder.ended["completed"] == 4
    assert world.recorder.died_unfinished == 4
    again = world.core.table.find_request(first[0].request_id)
    assert again is not None and again.job_id.startswith("s2-")


def test_work_of_a_dead_scheduler_is_cancelled_at_the_register(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.submit("zh:en", work_s=300, timeout_s=100)
    world.run(for_s=2)
    world.crash_scheduler()
    world.run(for_s=1)
    assert list(node.running) == ["s1-1"]  # it doesn't know that nobody waits for the job
    world.start_scheduler()
    world.run(for_s=1.5)
    assert "s1-1" not in node.running


@pytest.mark.parametrize("ahead_s", [-300, 300])
def test_leftovers_of_a_dead_scheduler_are_removed_with_their_leases_or_when_drawn(world: World, ahead_s: int) -> None:
    """The node dies with the scheduler, and the wall clock of the next scheduler may be wrong by minutes."""
    node, other = world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    world.crash_scheduler()
    node.crash()
    world.start_scheduler(clock_offset_ms=1000 * ahead_s)
    world.run(for_s=2)
    jobs = [world.submit("zh:en", work_s=0.1) for _ in range(20)]
    world.run(for_s=5)
    assert {job.node_id for job in jobs} == {other.node_id}
    assert world.recorder.stale_allocations <= 1


def test_a_result_in_flight_to_its_client_is_lost_with_the_scheduler() -> None:
    world = World(delay_ms=1000)
    world.add_nodes(1, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=1)
    world.run_until(lambda: job.ended)
    world.crash_scheduler()
    world.start_scheduler()
    world.run_until(lambda: not world.clients.open)
    assert world.recorder.ended["completed"] == 2 and world.recorder.notified == 1
    assert world.finish() == []


def test_a_stall_loses_nothing_and_no_lease_ends_by_it(world: World) -> None:
    """Its process is frozen for longer than a lease: the heartbeats are in the sockets when it continues."""
    world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    job = world.submit("zh:en", work_s=5)
    world.run(for_s=1)
    world.do(world.faults.begin, "scheduler_stall")
    world.run(for_s=50)
    assert job.state == "dispatched" and world.nodes[0].running == world.nodes[1].running == {}
    world.do(world.faults.heal)
    world.run(for_s=1)
    assert (job.state, job.attempt) == ("completed", 1) and len(world.core.node_registry) == 2
