"""A bug found by injected faults: a node that had just answered busy was sent a job that was being allocated to it."""

from __future__ import annotations

from voxpool.sim.world.world import World


def test_an_allocation_that_crosses_a_busy_answer_is_given_back() -> None:
    world = World(delay_ms=10.0, store_delay_ms=20.0)
    (node,) = world.add_nodes(1, pairs=["zh:en"], slots=2)
    world.run(for_s=0.5)
    node.busy = True
    first = world.submit("zh:en", work_s=1)
    world.run(for_s=0.035)
    second = world.submit("zh:en", work_s=1)  # its select is in flight when the busy answer to the first job arrives
    world.run(for_s=0.2)
    assert (first.attempt, first.state) == (1, "waiting")
    assert (second.attempt, second.state) == (1, "waiting")
    assert world.recorder.dispatches[node.node_id] == 1
    node.busy = False
    world.run(for_s=3)
    assert (first.state, second.state) == ("completed", "completed")
    assert world.finish() == []
