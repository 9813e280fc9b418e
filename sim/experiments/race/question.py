"""Does the race of the brief, 2.3, exist, and what do other concurrent events of a job or a node cause?

Each defect has a scenario, run with an old behaviour (sim/experiments/*/without/) and with production: orders.py,
redispatch.py, results.py.
"""

from __future__ import annotations

from voxpool.sim.experiments.experiment import Experiment
from voxpool.sim.experiments.race import orders as orders
from voxpool.sim.experiments.race import redispatch as redispatch
from voxpool.sim.experiments.race import results as results
from voxpool.sim.experiments.rows import DefectScenario, RowsExperiment, Shown

QUESTION = "Do concurrent results, timeouts, losses and submits lose a job, or run it twice?"
ABOUT = {
    "R1": "a timeout redispatch and a node going offline, every order of their steps (the brief, 2.3)",
    "R2": "a redispatch keeps the dispatch time of the first attempt",
    "R3": "attempts are not counted",
    "R4": "the message of a redispatch carries the old attempt",
    "R5": "a node that goes offline keeps its jobs until they time out",
    "R7": "the clean-up of an old connection takes the new one offline",
    "R9": "'already dispatched' is treated as success, so two callers send",
    "R10": "a finished job is assigned again",
    "R11": "a duplicate filter that records a result before it is validated; and no filter",
    "R12": "a submit checks its request id, and writes the job later",
    "R13": "a job is marked as dispatched before it is sent",
}

SCENARIOS = (
    DefectScenario(
        "R1",
        orders.timeout_meets_offline,
        (
            Shown("once", "end in exactly one completion", "%", "== 100", "< 100"),
            Shown("fine", "fine: completed once, at once", "%", "== 100", "< 100"),
            Shown("failed", "the job FAILED although a node is alive", "%", "== 0", "> 0"),
            Shown("timed_out", "sent to the dying node, found by the timeout", "%", "== 0", "> 0"),
            Shown("parked", "parked, and run later", "%", "== 0", "> 0"),
            Shown("bare_failed", "FAILED: 35 orders of the seven plain steps, 20 draws", "%", "== 0", "10 .. 60"),
            Shown("interleavings", "interleavings, all draws", "", "> 10000", "> 10000"),
            Shown("is_whole", "the search was complete", "", "== yes", ""),
        ),
    ),
    DefectScenario(
        "R1",
        orders.with_an_arrival_between_hops,
        (
            Shown("once", "with a message between two turns: end in exactly one completion", "%", "== 100", ""),
            Shown("interleavings", "interleavings of these", "", "> 100000", ""),
        ),
        key="hop",
    ),
    DefectScenario(
        "R2",
        redispatch.times_out_again,
        (
            Shown("redispatches", "redispatches of a job whose first node hangs", "", "<= 1", ">= 3"),
            Shown("failed", "of these jobs fail although idle nodes answer in 5 s", "%", "== 0", "> 50"),
        ),
    ),
    DefectScenario(
        "R3",
        redispatch.is_poisoned,
        (
            Shown("attempts", "attempts of a job that kills its node, in {span_s:g} s", "", "== 4", "> 400"),
            Shown("end", "its end", "", "== attempts_max", "breaks"),
        ),
    ),
    DefectScenario(
        "R4",
        redispatch.names_the_old_attempt,
        (
            Shown("never_end", "of {nodes} jobs that lost their node never end", "", "== 0", "== {nodes}"),
            Shown("thrown_away", "results that were dropped", "", "== 0", "> {nodes}"),
        ),
    ),
    DefectScenario(
        "R5",
        redispatch.loses_its_node,
        (
            Shown("closed", "longest time from a closed socket to the redispatch", "s", "< 1", "> 30"),
            Shown(
                "silent", "longest time from the last message of a silent node (lease 45 s)", "s", "44 .. 46", "> 60"
            ),
        ),
    ),
    DefectScenario(
        "R7",
        results.old_connections_close,
        (Shown("out", "of {nodes} live nodes that restarted are out of the pools", "", "== 0", "== {nodes}"),),
    ),
    DefectScenario(
        "R9",
        redispatch.is_sent_by_two,
        (
            Shown("assigns", "assigns per attempt, maximum", "", "== 1", "== 2"),
            Shown("mean", "assigns per attempt, mean", "", "== 1", "== 2"),
        ),
    ),
    DefectScenario(
        "R10",
        results.results_cross_redispatches,
        (
            Shown("again", "finished jobs that run again, of {jobs}", "", "== 0", "> 0"),
            Shown("redispatched", "redispatches in the scenario", "", "> 0", "> 0"),
        ),
    ),
    DefectScenario(
        "R11",
        results.late_results_come_first,
        (
            Shown("lost", "valid results hidden by a late one", "", "== 0", "> 0"),
            Shown("late", "late results in the scenario", "", "> 0", "> 0"),
        ),
    ),
    DefectScenario(
        "R11",
        results.answers_come_twice,
        (
            Shown("double", "of {jobs} results delivered a second time (without: no filter)", "", "== 0", "== {jobs}"),
            Shown("late", "second answers in the scenario", "", "== {jobs}", ""),
        ),
        key="double",
        variant="R11double",
    ),
    DefectScenario(
        "R12",
        results.submits_come_twice,
        (
            Shown("jobs", "jobs per request id, maximum", "", "== 1", "== 2"),
            Shown("share", "of requests sent twice within 20 ms became two jobs", "%", "== 0", "10 .. 40"),
        ),
    ),
    DefectScenario(
        "R13",
        results.dies_between_mark_and_send,
        (
            Shown("late", "jobs that a dying scheduler makes late (above 30 s)", "", "== 0", "> 0"),
            Shown("lost", "jobs that it loses", "", "== 0", ""),
            Shown("longest_s", "longest time from a submit to its end (1 s of work)", "s", "< 15", "> 59"),
        ),
    ),
)
ROWS = RowsExperiment(
    "race",
    QUESTION,
    SCENARIOS,
    "One group per defect: its first line of the table.",
    more_pictures=(orders.picture,),
    more_notes=orders.answer,
    short={
        "R1": "% right",
        "R2": "redispatches",
        "R3": "attempts",
        "R4": "never end",
        "R5": "seconds",
        "R7": "nodes out",
        "R9": "assigns",
        "R10": "run again",
        "R11": "lost results",
        "R12": "jobs per id",
        "R13": "late jobs",
    },
)
EXPERIMENT = Experiment("race", QUESTION, ABOUT, ROWS.measure)
