"""Each checker finds its planted bug in a small scenario; production passes the same scenario.

A checker that never finds anything proves nothing; all other simulated tests rely on this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from voxpool.scheduler.core import scripts
from voxpool.scheduler.core.jobs.job import Share
from voxpool.scheduler.protocol.messages import Register
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.checkers import CHECKERS
from voxpool.sim.checkers.ends import EveryRequestEndsOnce
from voxpool.sim.faults.nodes import NODE_FAULTS
from voxpool.sim.planted import bugs
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.planted.table import PLANTED, find
from voxpool.sim.world.nodes import SimNode
from voxpool.sim.world.world import World

Scenario = Callable[[World], None]


def some_jobs(world: World) -> None:
    """Ten jobs on two nodes."""
    world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=0.5)
    for _ in range(10):
        world.submit("zh:en", work_s=0.5)
    world.run(for_s=5)


def a_release_that_crosses_a_nobody(world: World) -> None:
    """The node answers while the store's "nobody" for the next job is in flight."""
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=0.5)
    first = world.submit("zh:en", work_s=1)
    world.run(for_s=1.01)
    world.submit("zh:en", work_s=1)
    world.run_until(lambda: first.ended)
    world.run(for_s=5)


def a_job_without_a_node(world: World) -> None:
    """It fails at its timeout."""
    world.submit("zh:en", work_s=1)
    world.run(for_s=20)


def a_job_whose_node_dies(world: World) -> None:
    """Its node crashes; a longer job runs on another node."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=5)
    world.submit("zh:en", work_s=50)
    world.run(for_s=1)
    holder = world.holder(job)
    assert holder is not None
    holder.crash()
    world.run(for_s=1)
    holder.start()
    world.run(for_s=60)


def a_node_that_goes(world: World) -> None:
    """One of two idle nodes closes its connection."""
    node, _ = world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    node.crash()
    world.run(for_s=1)


def a_result_that_crosses_its_cancel(world: World) -> None:
    """The node answers at the time of the timeout: the result meets the next attempt."""
    world.add_nodes(2, pairs=["zh:en"])
    world.submit("zh:en", work_s=4.7)
    world.run(for_s=30)


def leftovers_of_a_dead_scheduler(world: World) -> None:
    """Half the nodes in the store belong to a dead scheduler: they stay until their leases end."""
    for i in range(5):
        dead = scripts.register_node(
            world.clock.now_ms(), 45_000, f"dead-{i}", f"s0-{i}", "p", 1, "", ["zh:en"], "", []
        )
        world.hub.calls_run([dead], world.store.run_now([dead]))
    world.add_nodes(5, pairs=["zh:en"])
    world.run(for_s=1)
    for _ in range(20):
        world.submit("zh:en", work_s=0.1)
        world.run(for_s=0.5)
    world.run(for_s=10)


def a_busy_node(world: World) -> None:
    """The only node answers busy for a while."""
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    node.busy = True
    world.submit("zh:en", work_s=0.5)
    world.run(for_s=0.3)
    node.busy = False
    world.run(for_s=5)


def a_node_that_fails(world: World) -> None:
    """The only node answers each job with an error."""
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    failing(node)
    world.run(for_s=1)
    world.submit("zh:en", work_s=0.1)
    world.run(for_s=10)


def failing(node: SimNode) -> None:
    """Let `node` answer each job with a retryable error."""
    NODE_FAULTS["node_errors"].begin(node, plain_random(1, "failing"))


def a_node_that_registers_again_while_it_is_allocated(world: World) -> None:
    """The allocation is in flight from the store when the node registers anew on the same connection."""
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1.5)
    world.submit("zh:en", work_s=1)
    world.run(for_s=0.03)
    assert node.connection is not None
    node.connection.to_scheduler(Register(node.node_id, "gpu-1.1", ["zh:en"], 1, []))
    world.run(for_s=5)


def a_poisoned_job(world: World) -> None:
    """Each node that gets it crashes."""
    world.add_nodes(8, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=5)
    for _ in range(7):
        world.run(for_s=1)
        holder = world.holder(job)
        if holder is not None:
            holder.crash()
    world.run(for_s=20)


def two_loads(world: World) -> None:
    """Nodes that serve two pairs are full with jobs of one: they are stale entries in the pool of the other."""
    world.add_nodes(6, pairs=["zh:en", "en:fr"])
    world.run(for_s=0.5)
    for _ in range(5):
        world.submit("zh:en", work_s=5)
    world.run(for_s=0.1)
    world.submit("en:fr", work_s=5)
    world.run(for_s=10)


def jobs_that_are_forgotten(world: World) -> None:
    """The retention of all jobs passes."""
    some_jobs(world)
    world.come_to_rest()


def a_node_that_goes_with_its_job(world: World) -> None:
    """Its connection closes during the work; another node is free."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=5)
    world.run(for_s=1)
    holder = world.holder(job)
    assert holder is not None
    holder.crash()
    world.run(for_s=1)


def a_job_that_loses_its_node_comes_again_and_is_cancelled(world: World) -> None:
    """Its client submits it again while it is on its second node, and then cancels it."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=5)
    world.run(for_s=1)
    holder = world.holder(job)
    assert holder is not None
    holder.crash()
    world.run_until(lambda: world.attempts(job) == 2 and world.holder(job) is not None)
    (request,) = world.clients.open.values()
    world.do(world.clients.request_again, request)
    world.run(for_s=0.1)
    world.do(world.clients.cancel, request)
    world.run(for_s=1)


def a_node_that_the_store_forgets(world: World) -> None:
    """One of two nodes is missing from the store; its next heartbeat must restore it."""
    node, _ = world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    (known,) = (each for each in world.core.node_registry.nodes.values() if each.node_id == node.node_id)
    lost = scripts.node_offline(known.node_id, known.generation)
    world.hub.calls_run([lost], world.store.run_now([lost]))
    world.run(for_s=60)


def a_dead_node_that_no_select_meets(world: World) -> None:
    """A dead scheduler has left a node in the store, with a pair that gets no jobs."""
    dead = scripts.register_node(world.clock.now_ms(), 45_000, "dead", "s0-1", "p", 1, "", ["en:fr"], "", [])
    world.hub.calls_run([dead], world.store.run_now([dead]))
    some_jobs(world)
    world.come_to_rest()


def two_pairs(world: World) -> None:
    """Two pairs, each with a node of its own."""
    world.add_nodes(1, pairs=["zh:en"])
    world.add_nodes(1, pairs=["en:fr"])
    for pair in ("zh:en", "en:fr"):
        world.submit(pair, work_s=1)
    world.run(for_s=5)


def two_keys(world: World) -> None:
    """One node; two keys with a backlog, of which the second came later and has three times the weight."""
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=0.5)
    for key, weight in (("a", 1.0), ("b", 3.0)):
        for _ in range(40):
            world.submit("zh:en", work_s=0.1, share=Share(3, key, weight))
    world.run(for_s=20)


def a_key_that_cancels(world: World) -> None:
    """One node; of two keys with a backlog the first cancels half of its jobs."""
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=0.5)
    jobs = [world.submit("zh:en", work_s=0.1, share=Share(3, key, 1.0)) for _ in range(40) for key in ("a", "b")]
    for job in jobs[20:60:2]:
        world.cancel(job)
    world.run(for_s=20)


SLOW_STORE: dict[str, Any] = {"store_delay_ms": 20.0}
SLOW_LINKS: dict[str, Any] = {"delay_ms": 500.0, "settings": {"dispatch_timeout_s": 5.0}}
LINKS: dict[str, Any] = {"delay_ms": 2.0}
FAIR: dict[str, Any] = {"settings": {"order": "fair"}}

SCENARIOS: dict[str, tuple[Scenario, dict[str, Any]]] = {
    "a job that crossed an answer is not selected again (R21)": (a_release_that_crosses_a_nobody, SLOW_STORE),
    "a stale allocation is only released (R22)": (leftovers_of_a_dead_scheduler, SLOW_STORE),
    "a stale allocation is sent (R22)": (a_node_that_registers_again_while_it_is_allocated, SLOW_STORE),
    "attempt numbers are used again (R23)": (a_job_whose_node_dies, {}),
    "busy nodes do not rest (R24)": (a_busy_node, LINKS),
    "a failed job does not pause": (a_node_that_fails, LINKS),
    "every job is sent twice (R9)": (some_jobs, LINKS),
    "keys are ignored": (two_keys, FAIR),
    "weights are ignored": (two_keys, FAIR),
    "a cancelled job is charged": (a_key_that_cancels, FAIR),
    "an end is reported twice": (some_jobs, {}),
    "outputs are mixed up": (some_jobs, {}),
    "audio is swapped": (some_jobs, {}),
    "a failed job has no end": (a_job_without_a_node, {}),
    "a failed job is not counted": (a_job_without_a_node, {}),
    "ages count from the submit (M2)": (some_jobs, {}),
    "any result counts (R4)": (a_result_that_crosses_its_cancel, SLOW_LINKS),
    "redispatches are not counted (R3)": (a_poisoned_job, {}),
    "the pair is not checked (C7)": (two_pairs, LINKS),
    "a map keeps its entries (M7)": (jobs_that_are_forgotten, {}),
    "a pair keeps its empty queue": (jobs_that_are_forgotten, {}),
    "a busy node rests for ever": (a_busy_node, LINKS),
    "a node that comes back is drained": (two_pairs, {}),
    "the answer UNKNOWN is ignored (R6)": (a_node_that_the_store_forgets, {}),
    "leases are never swept": (a_dead_node_that_no_select_meets, {}),
    "a slot is never released": (some_jobs, {}),
    "a job keeps its slot after offline, resubmit, cancel": (
        a_job_that_loses_its_node_comes_again_and_is_cancelled,
        {},
    ),
    "a redispatched job is not queued": (a_job_whose_node_dies, {}),
    "the jobs of a node that leaves are not taken back": (a_node_that_goes_with_its_job, {}),
    "one draw and no other (C1)": (two_loads, {}),
    "full nodes are chosen": (some_jobs, {}),
    "reservations are never released (M8)": (some_jobs, {}),
    "a node that leaves stays in its pools (M5)": (a_node_that_goes, {}),
}
"""Planted bug -> the scenario in which it shows, and the options of its world."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_planted_bug_is_found(name: str) -> None:
    (play, options), bug = SCENARIOS[name], PLANTED[name]
    world = World(variant=bug.make(), **options)
    play(world)
    world.end_checks()
    found = {type(checker) for checker in world.checkers if checker.broken}
    assert bug.checker in found, f"found only {sorted(checker.__name__ for checker in found)}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_production_passes_the_same_scenario(name: str) -> None:
    play, options = SCENARIOS[name]
    world = World(**options)
    play(world)
    assert world.finish() == []


def test_each_checker_has_a_planted_bug_with_a_scenario() -> None:
    assert {PLANTED[name].checker for name in SCENARIOS} == set(CHECKERS)


def test_each_planted_bug_must_be_found_by_a_scenario_or_by_the_swarm() -> None:
    assert {name for name, bug in PLANTED.items() if not bug.seeds} <= set(SCENARIOS)


def test_a_request_that_never_ends_is_found_at_the_end() -> None:
    world = World(variant=replaced(dispatcher=bugs.NeverReports))
    a_job_without_a_node(world)
    world.end_checks()
    (checker,) = (checker for checker in world.checkers if isinstance(checker, EveryRequestEndsOnce))
    assert "never ended" in checker.examples[0]


@pytest.mark.parametrize("name", [name for name, bug in PLANTED.items() if bug.seeds])
def test_a_planted_bug_is_found_in_a_swarm_within_the_stated_number_of_seeds(name: str) -> None:
    """The swarm is not aimed at the bug; `python -m voxpool.sim.planted.table` prints which checkers found it."""
    bug = PLANTED[name]
    found = find(bug)
    assert 1 <= found.seed <= bug.seeds, f"not found in {bug.seeds} seeds; only {found.sentences}"


def test_the_swarm_must_find_a_planted_bug_for_each_checker() -> None:
    assert {bug.checker for bug in PLANTED.values() if bug.seeds} == set(CHECKERS)
