"""Does the race of the brief's 2.3 exist, and what else happens when two things about a job or a node cross?

Each row is a scenario with an old behaviour (sim/experiments/*/without/) and with production: race_orders,
race_redispatch, race_results.
"""

from __future__ import annotations

from voxpool.sim.experiments.experiment import Experiment, Options
from voxpool.sim.experiments.race import orders as orders
from voxpool.sim.experiments.race import redispatch as redispatch
from voxpool.sim.experiments.race import results as results
from voxpool.sim.experiments.rows import FULL, QUICK, DefectScenario, RowsExperiment, Shown, Size
from voxpool.sim.report.report import Report

QUESTION = "Do results, time-outs, losses and submits that cross each other lose a job, or do it twice?"
ABOUT = {
    "R1": "a time-out redispatch and a node going offline, every order of their steps (the brief's 2.3)",
    "R2": "a redispatch keeps the dispatch time of the first attempt",
    "R3": "attempts are not counted",
    "R4": "the message of a redispatch carries the old attempt",
    "R5": "a node that goes offline keeps the jobs that it held until they time out",
    "R7": "the clean-up of an old connection takes the new one offline",
    "R9": "'already dispatched' is taken for success, so two callers send",
    "R10": "a finished job is assigned again",
    "R11": "a filter of duplicates that remembers a result before it is validated; and no filter",
    "R12": "a submit looks, and acts later",
    "R13": "a job is marked as dispatched before it is sent",
}

SCENARIOS = (
    DefectScenario(
        "R1",
        orders.time_out_meets_offline,
        (
            Shown("once", "end in exactly one completion", "%", "== 100", "< 100"),
            Shown("fine", "fine: done once, at once", "%", "== 100", "< 100"),
            Shown("failed", "the job FAILED though a node lives", "%", "== 0", "> 0"),
            Shown("timed_out", "sent to the dying node, found by the time-out", "%", "== 0", "> 0"),
            Shown("parked", "parked, and run later", "%", "== 0", "> 0"),
            Shown("bare_failed", "FAILED: 35 orders of the seven bare steps, 20 draws", "%", "== 0", "10 .. 60"),
            Shown("interleavings", "interleavings, all draws", "", "> 10000", "> 10000"),
            Shown("is_whole", "all of them were searched", "", "== yes", ""),
        ),
    ),
    DefectScenario(
        "R1",
        orders.with_an_arrival_between_hops,
        (
            Shown("once", "with an arrival between two hops: end in exactly one completion", "%", "== 100", ""),
            Shown("interleavings", "interleavings of these", "", "> 100000", ""),
        ),
        key="hop",
    ),
    DefectScenario(
        "R2",
        redispatch.times_out_again,
        (
            Shown("redispatches", "redispatches of a job whose first node hangs", "", "<= 1", ">= 3"),
            Shown("failed", "of these jobs fail though idle nodes answer in 5 s", "%", "== 0", "> 50"),
        ),
    ),
    DefectScenario(
        "R3",
        redispatch.is_poisoned,
        (
            Shown("attempts", "attempts of a job that kills its node, in {span_s:g} s", "", "== 4", "> 400"),
            Shown("end", "what becomes of it", "", "== attempts_max", "breaks"),
        ),
    ),
    DefectScenario(
        "R4",
        redispatch.names_the_old_attempt,
        (
            Shown("never_end", "of {nodes} jobs that lost their node never end", "", "== 0", "== {nodes}"),
            Shown("thrown_away", "results that were thrown away", "", "== 0", "> {nodes}"),
        ),
    ),
    DefectScenario(
        "R5",
        redispatch.loses_its_node,
        (
            Shown("closed", "to the redispatch after a closed socket, longest", "s", "< 1", "> 30"),
            Shown("silent", "after the last word of a silent node (lease 45 s), longest", "s", "44 .. 46", "> 60"),
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
            Shown("assigns", "assigns an attempt, most", "", "== 1", "== 2"),
            Shown("mean", "assigns an attempt, mean", "", "== 1", "== 2"),
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
            Shown("lost", "right results that a late one hides", "", "== 0", "> 0"),
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
            Shown("jobs", "jobs a request id, most", "", "== 1", "== 2"),
            Shown("share", "of requests that came twice within 20 ms became two jobs", "%", "== 0", "10 .. 40"),
        ),
    ),
    DefectScenario(
        "R13",
        results.dies_between_mark_and_send,
        (
            Shown("late", "jobs that a dying scheduler makes late (above 30 s)", "", "== 0", "> 0"),
            Shown("lost", "jobs that it loses", "", "== 0", ""),
            Shown("longest_s", "from a submit to its end (1 s of work), longest", "s", "< 15", "> 59"),
        ),
    ),
)
ROWS = RowsExperiment(
    "race",
    QUESTION,
    SCENARIOS,
    "One group a row: the first line of each row of the table.",
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
        "R12": "jobs an id",
        "R13": "late jobs",
    },
)


def measure(options: Options) -> Report:
    """Run the experiment in the size that `options` ask for."""
    return measure_at(options, QUICK if options.quick else FULL)


def measure_at(options: Options, size: Size) -> Report:
    """Run the experiment at `size`."""
    rows = EXPERIMENT.chosen(options)
    return ROWS.report(options, size, rows, ROWS.run(options, size, rows))


EXPERIMENT = Experiment("race", QUESTION, ABOUT, measure)
