"""Each checker finds the bug that was planted for it, in a small story; production passes the same story.

A checker that never bites proves nothing, so this file is what the others rest on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from voxpool.scheduler.core import scripts
from voxpool.scheduler.protocol.messages import Register
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.checkers.a_busy_node_rests import ABusyNodeRests
from voxpool.sim.checkers.a_failed_job_pauses import AFailedJobPauses
from voxpool.sim.checkers.a_live_node_with_room_is_found import ALiveNodeWithRoomIsFound
from voxpool.sim.checkers.allocations_go_to_their_generation import AllocationsGoToTheirGeneration
from voxpool.sim.checkers.an_old_result_changes_nothing import AnOldResultChangesNothing
from voxpool.sim.checkers.attempts_are_bounded import AttemptsAreBounded
from voxpool.sim.checkers.every_request_ends_once import EveryRequestEndsOnce
from voxpool.sim.checkers.every_store_key_has_a_living_owner import EveryStoreKeyHasALivingOwner
from voxpool.sim.checkers.every_table_is_empty_at_the_end import EveryTableIsEmptyAtTheEnd
from voxpool.sim.checkers.littles_law import LittlesLaw
from voxpool.sim.checkers.no_node_idles_beside_a_waiting_job import NoNodeIdlesBesideAWaitingJob
from voxpool.sim.checkers.no_reservation_beyond_the_slots import NoReservationBeyondTheSlots
from voxpool.sim.checkers.nothing_is_lost import NothingIsLost
from voxpool.sim.checkers.one_assignment_an_attempt import OneAssignmentAnAttempt
from voxpool.sim.checkers.the_chosen_node_serves_the_pair import TheChosenNodeServesThePair
from voxpool.sim.faults.nodes import NODE_FAULTS
from voxpool.sim.planted import bugs as canaries
from voxpool.sim.planted import table as canary_table
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.world.nodes import SimNode
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

Story = Callable[[World], None]


def some_jobs(world: World) -> None:
    """Ten jobs on two nodes."""
    world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=0.5)
    for _ in range(10):
        world.submit("zh:en", work_s=0.5)
    world.run(for_s=5)


def a_release_that_crosses_a_nobody(world: World) -> None:
    """The node answers while the store's "nobody" for the next job is on its way."""
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=0.5)
    first = world.submit("zh:en", work_s=1)
    world.run(for_s=1.01)
    world.submit("zh:en", work_s=1)
    world.run_until(lambda: first.ended)
    world.run(for_s=5)


def a_job_without_a_node(world: World) -> None:
    """It fails for its time-out."""
    world.submit("zh:en", work_s=1)
    world.run(for_s=20)


def a_job_whose_node_dies(world: World) -> None:
    """Its node crashes; a longer job of another node goes on beside it."""
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
    """The node answers just as its time-out strikes: the result meets the next attempt."""
    world.add_nodes(2, pairs=["zh:en"])
    world.submit("zh:en", work_s=4.7)
    world.run(for_s=30)


def leftovers_of_a_dead_scheduler(world: World) -> None:
    """Half the nodes in the store belong to a scheduler that died: they live until their leases end."""
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
    """Have `node` answer each job with an error that may be tried again."""
    NODE_FAULTS["node_errors"].begin(node, plain_random(1, "failing"))


def a_node_that_registers_again_while_it_is_allocated(world: World) -> None:
    """The allocation is on its way back from the store when the node registers anew on the same connection."""
    (node,) = world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1.5)
    world.submit("zh:en", work_s=1)
    world.run(for_s=0.03)
    assert node.connection is not None
    node.connection.to_scheduler(Register(node.node_id, "gpu-1.1", ["zh:en"], 1, []))
    world.run(for_s=5)


def a_poisoned_job(world: World) -> None:
    """Whatever node takes it dies."""
    world.add_nodes(8, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=5)
    for _ in range(7):
        world.run(for_s=1)
        holder = world.holder(job)
        if holder is not None:
            holder.crash()
    world.run(for_s=20)


def two_loads(world: World) -> None:
    """Nodes that serve two pairs are full with jobs of one: they stand in the pool of the other as stale entries."""
    world.add_nodes(6, pairs=["zh:en", "en:fr"])
    world.run(for_s=0.5)
    for _ in range(5):
        world.submit("zh:en", work_s=5)
    world.run(for_s=0.1)
    world.submit("en:fr", work_s=5)
    world.run(for_s=10)


def jobs_that_are_forgotten(world: World) -> None:
    """All retention passes."""
    some_jobs(world)
    world.come_to_rest()


def a_node_that_goes_with_its_job(world: World) -> None:
    """Its connection closes while it works; another node is free."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=5)
    world.run(for_s=1)
    holder = world.holder(job)
    assert holder is not None
    holder.crash()
    world.run(for_s=1)


def a_node_that_the_store_forgets(world: World) -> None:
    """One of two nodes is no longer in the store; its next beat must bring it back."""
    node, _ = world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    (known,) = (each for each in world.core.node_registry.nodes.values() if each.node_id == node.node_id)
    lost = scripts.node_offline(known.node_id, known.generation)
    world.hub.calls_run([lost], world.store.run_now([lost]))
    world.run(for_s=60)


def a_dead_node_that_no_select_meets(world: World) -> None:
    """A scheduler that died has left a node in the store, of a pair that gets no jobs."""
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


class Canary(NamedTuple):
    """A planted bug, the checker that must find it, the story in which it shows, and what the world needs for it."""

    variant: Variant
    checker: type[Checker]
    story: Story
    options: dict[str, Any]


SLOW_STORE: dict[str, Any] = {"store_delay_ms": 20.0}
SLOW_LINKS: dict[str, Any] = {"delay_ms": 500.0, "settings": {"dispatch_timeout_s": 5.0}}
LINKS: dict[str, Any] = {"delay_ms": 2.0}

CANARIES = [
    Canary(
        replaced(waiting=canaries.ForgetsWhatCrossed),
        NoNodeIdlesBesideAWaitingJob,
        a_release_that_crosses_a_nobody,
        SLOW_STORE,
    ),
    Canary(
        replaced(dispatcher=canaries.OnlyReleasesStaleAllocations),
        AllocationsGoToTheirGeneration,
        leftovers_of_a_dead_scheduler,
        SLOW_STORE,
    ),
    Canary(
        replaced(dispatcher=canaries.SendsStaleAllocations),
        AllocationsGoToTheirGeneration,
        a_node_that_registers_again_while_it_is_allocated,
        SLOW_STORE,
    ),
    Canary(replaced(dispatcher=canaries.ReusesAttemptNumbers), OneAssignmentAnAttempt, a_job_whose_node_dies, {}),
    Canary(replaced(node_events=canaries.BusyNodesDoNotRest), ABusyNodeRests, a_busy_node, LINKS),
    Canary(replaced(dispatcher=canaries.DoesNotPause), AFailedJobPauses, a_node_that_fails, LINKS),
    Canary(replaced(dispatcher=canaries.SendsTwice), OneAssignmentAnAttempt, some_jobs, LINKS),
    Canary(replaced(dispatcher=canaries.TellsTwice), EveryRequestEndsOnce, some_jobs, {}),
    Canary(replaced(dispatcher=canaries.NeverTells), NothingIsLost, a_job_without_a_node, {}),
    Canary(replaced(job_table=canaries.LosesTrackOfFailures), NothingIsLost, a_job_without_a_node, {}),
    Canary(replaced(job_table=canaries.AgesFromNowhere), LittlesLaw, some_jobs, {}),
    Canary(
        replaced(node_events=canaries.TakesAnyAttempt),
        AnOldResultChangesNothing,
        a_result_that_crosses_its_cancel,
        SLOW_LINKS,
    ),
    Canary(replaced(dispatcher=canaries.NeverCounts), AttemptsAreBounded, a_poisoned_job, {}),
    Canary(replaced(dispatcher=canaries.GivesToWhoeverIsThere), TheChosenNodeServesThePair, two_pairs, LINKS),
    Canary(replaced(job_table=canaries.KeepsRequestIds), EveryTableIsEmptyAtTheEnd, jobs_that_are_forgotten, {}),
    Canary(replaced(waiting=canaries.KeepsEmptyQueues), EveryTableIsEmptyAtTheEnd, jobs_that_are_forgotten, {}),
    Canary(replaced(node_registry=canaries.RestsForEver), EveryTableIsEmptyAtTheEnd, a_busy_node, LINKS),
    Canary(replaced(node_registry=canaries.DrainsWhoComesBack), EveryTableIsEmptyAtTheEnd, two_pairs, {}),
    Canary(
        replaced(node_registry=canaries.IgnoresUnknown), EveryTableIsEmptyAtTheEnd, a_node_that_the_store_forgets, {}
    ),
    Canary(replaced(leases=canaries.NeverSweeps), EveryTableIsEmptyAtTheEnd, a_dead_node_that_no_select_meets, {}),
    Canary(replaced(dispatcher=canaries.DoesNotRelease), EveryStoreKeyHasALivingOwner, some_jobs, {}),
    Canary(replaced(dispatcher=canaries.ForgetsToQueue), EveryTableIsEmptyAtTheEnd, a_job_whose_node_dies, {}),
    Canary(replaced(node_events=canaries.DoesNotTakeBack), NothingIsLost, a_node_that_goes_with_its_job, {}),
    Canary(canaries.draws_once(), ALiveNodeWithRoomIsFound, two_loads, {}),
    Canary(canaries.overfills(), NoReservationBeyondTheSlots, some_jobs, {}),
    Canary(canaries.keeps_reservations(), NoReservationBeyondTheSlots, some_jobs, {}),
    Canary(canaries.leaves_ghosts(), EveryStoreKeyHasALivingOwner, a_node_that_goes, {}),
]


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.variant.name)
def test_a_planted_bug_is_found(canary: Canary) -> None:
    world = World(variant=canary.variant, **canary.options)
    canary.story(world)
    world.end_checks()
    found = {type(checker) for checker in world.checkers if checker.broken}
    assert canary.checker in found, f"found only {sorted(checker.__name__ for checker in found)}"


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.variant.name)
def test_production_passes_the_same_story(canary: Canary) -> None:
    world = World(**canary.options)
    canary.story(world)
    assert world.finish() == []


def test_each_checker_has_a_planted_bug() -> None:
    assert {canary.checker for canary in CANARIES} == set(CHECKERS)


def test_a_request_that_never_ends_is_found_at_the_end() -> None:
    world = World(variant=replaced(dispatcher=canaries.NeverTells))
    a_job_without_a_node(world)
    world.end_checks()
    (checker,) = (checker for checker in world.checkers if isinstance(checker, EveryRequestEndsOnce))
    assert "never ended" in checker.examples[0]


@pytest.mark.parametrize("name", canary_table.CANARIES)
def test_a_planted_bug_is_found_in_a_swarm_within_the_stated_number_of_seeds(name: str) -> None:
    """Nobody has told the swarm where to look: `python -m voxpool.sim.planted.table` prints who found it."""
    canary = canary_table.CANARIES[name]
    found = canary_table.bite(canary)
    assert 1 <= found.seed <= canary.seeds, f"not found in {canary.seeds} seeds; only {found.sentences}"


def test_the_table_has_a_planted_bug_for_each_checker() -> None:
    assert {canary.checker for canary in canary_table.CANARIES.values()} == set(CHECKERS)
