"""The store (Redis, Valkey) may lose all data: no accepted job is lost, and nothing stays in the store for ever."""

from __future__ import annotations

from voxpool.sim.world.world import World


def test_jobs_complete_although_the_store_is_flushed(world: World) -> None:
    """The scheduler fills it again when the first job finds no node, without the nodes' help."""
    world.add_nodes(3, pairs=["zh:en"], slots=2)
    jobs = [world.submit("zh:en", work_s=2) for _ in range(20)]
    world.run(for_s=1)
    world.do(world.store_seam.empty)
    assert world.store_keys() == 0
    world.run_until(lambda: all(job.ended for job in jobs), at_most_s=20)
    assert {(world.state(job), world.attempts(job)) for job in jobs} == {("completed", 1)}


def test_nothing_is_left_in_the_store_when_all_nodes_have_left(world: World) -> None:
    """Everything stored about a node can be reached from its lease, and is removed with it."""
    nodes = world.add_nodes(5, pairs=["zh:en", "en:zh"], slots=2)
    for pair in ("zh:en", "en:zh") * 10:
        world.submit(pair, work_s=1)
    world.run(for_s=20)
    for node in nodes:
        world.do(node.crash)
    world.run(for_s=1)
    assert world.store_keys() == 0
