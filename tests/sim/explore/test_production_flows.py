"""Executions of production code: every order of a small flow ends in one completion; draws and commits are steps."""

from __future__ import annotations

import pytest

from voxpool.sim.experiments.without import variant_without
from voxpool.sim.explore.model.execution import MakeExecution
from voxpool.sim.explore.model.flows import COMPLETE, FLOWS, A, B
from voxpool.sim.explore.model.running import run_execution
from voxpool.sim.explore.model.shape import Shape
from voxpool.sim.explore.model.steps import execution_of
from voxpool.sim.explore.search.depth_first import every_end, every_order
from voxpool.sim.explore.search.tally import Budget
from voxpool.sim.explore.search.walks import random_walks

ALL = Budget()
SMALL = {
    "a node goes offline": (Shape(offline=("n1",)), 184),
    "a timeout": (Shape(timeouts=1), 2_034),
    "a busy node": (COMPLETE["1-busy"][1], 3),
    "a node of a dead scheduler, another goes offline": (COMPLETE["1-leftover-offline"][1], 473),
    "an answer of the store is lost, a node goes offline": (COMPLETE["1-offline-lost"][1], 1_531),
    "a cancel, between two hops, too": (Shape(cancels=("j1",), hops=1), 566),
    "fair order, two keys, and an error": (Shape(jobs=3, nodes=1, shares=(A, A, B), waiting=2, errors=1), 360),
}


def make(shape: Shape, without: str = "") -> MakeExecution:
    return execution_of(shape)(variant_without(without))


@pytest.mark.parametrize("what", SMALL)
def test_sleep_sets_reach_the_ends_of_the_plain_search_and_stand_for_all_its_orders(what: str) -> None:
    shape, interleavings = SMALL[what]
    plain = every_order(make(shape), ALL)
    pruned = every_end(make(shape), ALL)
    assert plain.is_complete and pruned.is_complete
    assert plain.runs == pruned.interleavings == interleavings
    assert set(plain.ends) == set(pruned.ends)
    assert pruned.runs < plain.runs
    assert plain.broken == pruned.broken == {}


def test_one_job_two_nodes_a_timeout_and_an_offline_end_in_one_completion() -> None:
    """R1 with production's code: every interleaving, every draw."""
    tally = every_end(make(COMPLETE["1-timeout-offline"][1]), ALL)
    assert tally.is_complete and not tally.broken
    assert (tally.interleavings, tally.runs, len(tally.ends)) == (80_320, 103, 8)
    assert all(str(end).startswith("j1 completed, reported 1x") for end in tally.ends)


def test_one_arrival_between_two_hops_of_the_loop_ends_in_one_completion() -> None:
    tally = every_end(make(COMPLETE["1-timeout-offline-hop"][1]), ALL)
    assert tally.is_complete and not tally.broken
    assert tally.interleavings == 479_192
    assert all(str(end).startswith("j1 completed, reported 1x") for end in tally.ends)


CHECKED = (
    "1-timeout-offline", "1-leftover-offline", "1-timeout-lost",
    pytest.param("1-timeout-offline-resubmit-cancel", marks=pytest.mark.large),
)  # fmt: skip
RANDOM_RUNS = 100


@pytest.mark.parametrize("flow", CHECKED)
def test_random_orders_reach_no_end_that_a_complete_search_has_not(flow: str) -> None:
    """The complete search leaves orders out and claims to reach every end; random orders check that claim
    independently.
    """
    tally = every_end(make(COMPLETE[flow][1]), ALL)
    walks = random_walks(make(COMPLETE[flow][1]), RANDOM_RUNS, 1, ALL)
    assert tally.is_complete and walks.runs >= RANDOM_RUNS
    assert set(walks.ends) <= set(tally.ends)
    assert len(walks.ends) > 1


def test_both_draws_of_a_select_are_open_steps() -> None:
    execution = make(Shape())()
    try:
        execution.open_steps()
        execution.take(execution.open_steps()[0])
        assert [step.label for step in execution.open_steps()] == [
            "commit select j1|1 -> n1",
            "commit select j1|1 -> n2",
        ]
    finally:
        execution.close()


def test_an_execution_without_departures_reads_like_the_history_of_a_job() -> None:
    run = run_execution(make(Shape(timeouts=1, offline=("n2",))), lambda at, steps: steps[0])
    assert [taken.step.label for taken in run.taken] == [
        "client submit j1",
        "commit select j1|1 -> n1",
        "reply select j1|1 -> n1",
        "deliver assign j1|1 to n1",
        "timer work j1|1 on n1",
        "deliver result j1|1 from n1",
        "commit release j1|1",
        "reply release j1|1",
        "fault offline n2",
        "deliver close from n2",
        "commit offline n2",
        "reply offline n2",
    ]
    assert run.end == "j1 completed, reported 1x, 1 attempts, 0 redispatches"


PLANTED = {
    # row: (flow, schedules within which it is found, the sentence of the check that breaks)
    "R1": ("1-timeout-offline", 2_000, "every job is completed or cancelled by its client"),
    "R4": ("1-timeout-offline", 100, "every execution ends"),
    "R7": ("1-reconnect-lost", 500, "a connected node can be chosen"),
    "R9": ("1-timeout-offline", 1, "one assignment an attempt"),
    "R11": ("1-timeout-offline", 100, "every job is completed or cancelled by its client"),
    "R12": ("1-timeout-offline-resubmit-cancel", 10, "a request is one job"),
    "R15": ("1-busy", 10, "every job is completed or cancelled by its client"),
    "R21": ("2-offline-cancel", 2_000, "no job waits for a timeout that something should spare it"),
    "R22": ("1-leftover-offline", 1, "every execution ends"),
    "R22sent": ("1-reconnect-lost", 1_000, "an allocation goes to its generation"),
    "R23": ("1-timeout-offline", 100, "one assignment an attempt"),
    "R24": ("1-busy", 1, "a busy node rests"),
}


@pytest.mark.parametrize("row", PLANTED)
def test_each_planted_behaviour_is_found_within_its_schedules(row: str) -> None:
    flow, schedules, sentence = PLANTED[row]
    tally = every_end(FLOWS[flow].execution_of(variant_without(row)), Budget(runs=schedules))
    assert sentence in tally.broken, tally.broken
    assert tally.first_broken is not None


def test_without_the_fix_of_r1_the_four_outcomes_appear() -> None:
    """Defect R1 has four ends: completed, failed though a node is free, found at its timeout, parked and run later."""
    tally = every_end(make(COMPLETE["1-timeout-offline"][1], "R1"), Budget(runs=2500))
    ends = [str(end) for end in tally.ends]
    assert any(end.startswith("j1 failed (node_gone)") for end in ends)
    assert any("completed" in end and "1 parked" in end for end in ends)
    assert any("completed" in end and "1 timeouts had to come" in end for end in ends)
    assert any(end == "j1 completed, reported 1x, 2 attempts, 1 redispatches" for end in ends)
