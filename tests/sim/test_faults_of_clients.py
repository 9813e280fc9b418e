"""Each fault of a client alone: its effect shows, and it heals."""

from __future__ import annotations

from voxpool.sim.faults.clients import Client
from voxpool.sim.world.clients import Request
from voxpool.sim.world.world import World


def a_client_with_a_job(world: World, work_s: float) -> Client:
    """A client that waits for its job."""
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    request = Request("once", "zh:en", work_s, 1000, session_id="s")
    world.do(world.clients.request, request)
    world.run(for_s=1)
    return Client(world.clients, request)


def test_a_reconnected_client_gets_its_result(world: World) -> None:
    client = a_client_with_a_job(world, work_s=5)
    world.do(world.faults.begin, "client_disconnect", client)
    world.run(for_s=10)
    assert world.recorder.ended["completed"] == 1 and world.recorder.notified == 0
    world.do(world.faults.heal, client)
    world.run(for_s=1)
    assert world.recorder.notified == 1 and world.recorder.submitted == 1


def test_the_job_of_an_absent_client_is_given_up_and_started_anew_on_its_return() -> None:
    world = World(settings={"session_grace_s": 30.0})
    client = a_client_with_a_job(world, work_s=50)
    world.do(world.faults.begin, "client_disconnect", client)
    world.run(for_s=31)
    assert world.recorder.ended["cancelled"] == 1 and world.nodes[0].running == {}
    world.do(world.faults.heal, client)
    world.run(for_s=52)
    assert world.recorder.ended["completed"] == 1 and world.recorder.notified == 1


def test_a_second_submit_is_the_same_job(world: World) -> None:
    client = a_client_with_a_job(world, work_s=5)
    world.do(world.faults.begin, "client_resubmit", client)
    world.run(for_s=10)
    assert (world.recorder.submitted, world.recorder.notified, world.recorder.run_twice) == (1, 1, 0)


def test_a_cancel_ends_the_job_on_its_node(world: World) -> None:
    client = a_client_with_a_job(world, work_s=50)
    world.do(world.faults.begin, "client_cancel", client)
    world.run(for_s=1)
    assert world.recorder.ended["cancelled"] == 1 and world.nodes[0].running == {}
    assert world.recorder.notified == 1


def test_after_the_retention_a_repeated_submit_is_done_again() -> None:
    """A request id names one job while that job is retained, and no longer."""
    world = World(settings={"retention_s": 2.0, "cleanup_interval_s": 1.0})
    client = a_client_with_a_job(world, work_s=5)
    world.do(world.faults.begin, "client_disconnect", client)
    world.run(for_s=10)
    assert len(world.core.table) == 0
    world.do(world.faults.heal, client)
    world.run(for_s=6)
    assert (world.recorder.submitted, world.recorder.notified) == (2, 1)
    assert world.finish() == []
