"""Each fault of the store alone: its effect shows, and it heals."""

from __future__ import annotations

import pytest

from voxpool.scheduler.errors import Rejected
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.world.world import World


def flush(world: World) -> None:
    world.store.clear()
    world.hub.store_emptied()


class Failures(Watcher):
    """Counts the flushes that got no answer."""

    def __init__(self) -> None:
        self.flushes = 0

    def store_failed(self, detail: str) -> None:
        self.flushes += 1


@pytest.mark.parametrize("kind", ["store_down", "store_answer_lost", "store_cut", "store_emptied"])
def test_a_flush_without_an_answer_is_repeated_until_it_has_one(world: World, kind: str) -> None:
    failures = Failures()
    world.hub.add([failures])
    world.add_nodes(2, pairs=["zh:en"], slots=2)
    world.run(for_s=1)
    before = [world.submit("zh:en", work_s=5) for _ in range(2)]
    world.run(for_s=1)
    world.do(world.faults.begin, kind)
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=5)
    assert failures.flushes > 3 and job.state == "waiting"
    assert {other.state for other in before} == {"completed"}  # nodes answer without the store
    world.do(world.faults.heal)
    world.run(for_s=3)
    assert job.state == "completed" and world.core.queue.idle


def test_a_store_without_its_data_is_filled_within_a_flush(world: World) -> None:
    world.add_nodes(3, pairs=["zh:en"], slots=2)
    world.run(for_s=1)
    job = world.submit("zh:en", work_s=5)
    world.run(for_s=1)
    world.do(world.faults.begin, "store_emptied")
    assert world.store_keys() == 0
    world.run(for_s=1)
    world.do(world.faults.heal)
    world.run(for_s=2.5)
    dump = world.store_dump()
    assert len(dump["nodes"]) == 3 and [hold for hold, _ in dump["reservations"]] == [job.reservation]
    world.run(for_s=2)
    assert (job.state, job.attempt) == ("completed", 1)


def test_a_silently_flushed_store_is_filled_by_the_first_job(world: World) -> None:
    """After FLUSHALL the scripts and the process are still there. The next heartbeat is seconds away."""
    world.add_nodes(3, pairs=["zh:en"], slots=2)
    world.run(for_s=1)
    world.do(flush, world)
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=1.1)
    assert (job.state, job.attempt) == ("completed", 1) and len(world.store_dump()["nodes"]) == 3


def test_outages_stop_the_timeout_of_waiting_jobs_and_new_ones_are_rejected(world: World) -> None:
    """The outage lasts a minute, the waiting timeout is ten seconds."""
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    world.do(world.faults.begin, "store_down")
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=60)
    with pytest.raises(Rejected, match="has not answered"):
        world.submit("zh:en", work_s=1)
    assert job.state == "waiting"
    world.do(world.faults.heal)
    world.run(for_s=3)
    assert job.state == "completed"


def test_a_store_without_its_scripts_makes_all_nodes_register_again(world: World) -> None:
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    generation = world.core.node_registry.nodes[node.node_id].generation
    world.do(world.faults.begin, "store_noscript")
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=2)
    assert world.core.node_registry.nodes[node.node_id].generation != generation
    assert job.state == "completed"


def test_a_slow_store_slows_the_dispatch(world: World) -> None:
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    world.do(world.faults.begin, "store_slow")
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=0.2)
    assert job.state == "waiting"
    world.run(for_s=5)
    world.do(world.faults.heal)
    world.run(for_s=3)
    other = world.submit("zh:en", work_s=1)
    world.run(for_s=1.01)
    assert (job.state, other.state) == ("completed", "completed")


def test_late_calls_of_a_dead_scheduler_are_cleaned_up() -> None:
    """Its select is in flight when it dies: the reservation has no owner, and ends when it is due."""
    world = World(store_delay_ms=200.0)
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1.5)
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=0.1)
    world.crash_scheduler()
    world.run(for_s=1)
    assert [hold for hold, _ in world.store_dump()["reservations"]] == [f"{job.job_id}|1"]
    world.start_scheduler()
    world.run_until(lambda: not world.clients.open)
    assert world.recorder.ended["completed"] == 1
    assert world.finish() == []
