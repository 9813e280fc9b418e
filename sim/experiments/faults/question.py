"""Does everything recover after a fault: nodes that are chosen again, jobs that are retried, handlers that survive?

Each defect has a scenario, run with an old behaviour (sim/experiments/*/without/) and with production (nodes.py,
clients.py, text.py).
"""

from __future__ import annotations

from voxpool.sim.experiments.experiment import Experiment
from voxpool.sim.experiments.faults import clients as clients
from voxpool.sim.experiments.faults import nodes as nodes
from voxpool.sim.experiments.faults import swarm as swarm
from voxpool.sim.experiments.faults import text as text
from voxpool.sim.experiments.rows import DefectScenario, RowsExperiment, Shown

QUESTION = "Does everything recover after a fault: nodes chosen, jobs retried, results delivered, nothing wasted?"
ABOUT = {
    "R6": "a node whose lease ran out, or whose store was flushed, is refused for ever",
    "R14": "a node that registers again with fewer pairs keeps its old pools",
    "R15": "a job without a node fails at once; a waiting job is not retried",
    "R16": "closing a session cancels nothing",
    "R17": "an in-order buffer forgets its position when it is empty",
    "R20": "an error text is cut inside a character, and the handler dies",
    "R21": "a 'nobody' that crossed a release",
    "R22": "allocations of a generation that is gone",
    "R23": "an attempt number is used twice",
    "R24": "a node that answers busy is chosen again at once",
    "swarm": "all faults together",
}

SCENARIOS = (
    DefectScenario(
        "R6",
        nodes.store_is_flushed,
        (
            Shown(
                "lost",
                "of {nodes} connected nodes lost one heartbeat after the store's flush",
                "",
                "== 0",
                "== {nodes}",
            ),
            Shown("job", "the end of a job submitted then", "", "== completed", "== failed"),
        ),
        key="flush",
        variant="R6",
    ),
    DefectScenario(
        "R6",
        nodes.leases_run_out,
        (
            Shown(
                "back_s", "time until all {nodes} nodes are chosen again after a pause of 46 s", "s", "<= 15", "> 199"
            ),
        ),
    ),
    DefectScenario(
        "R14",
        nodes.registers_with_fewer_pairs,
        (Shown("foreign", "of {jobs} assigns go to nodes that no longer serve the pair", "", "== 0", "> 0"),),
    ),
    DefectScenario(
        "R15",
        nodes.nodes_come_later,
        (Shown("failed", "of {nodes} jobs fail although a node came in time", "", "== 0", "== {nodes}"),),
    ),
    DefectScenario(
        "R15",
        nodes.nodes_come_later,
        (Shown("failed", "the same, without: they wait and are not retried", "", "== 0", "== {nodes}"),),
        key="waits",
        variant="R15waits",
    ),
    DefectScenario(
        "R16",
        clients.sessions_close,
        (Shown("a_session_s", "node seconds wasted per closed session", "s", "< 0.1", "> 10"),),
    ),
    DefectScenario(
        "R17",
        clients.results_go_in_order,
        (
            Shown(
                "stuck", "results that are never delivered, of {nodes} sessions with 5 each", "", "== 0", "== {stuck}"
            ),
            Shown("longest_s", "longest wait of a result for a gap (grace 5 s)", "s", "<= 5.001", "> 60"),
        ),
        variant="",
    ),
    DefectScenario(
        "R20",
        text.text_is_malformed,
        (
            Shown("died", "handlers lost, of {nodes} with malformed input", "", "== 0", "== {nodes}"),
            Shown("unended", "unended jobs of these nodes", "", "== 0", "== {nodes}"),
        ),
        variant="",
    ),
    DefectScenario(
        "R21",
        clients.nobody_crosses_a_release,
        (Shown("idle", "observations of an idle node while a job waits", "", "== 0", "> {nodes}"),),
    ),
    DefectScenario(
        "R22",
        nodes.leftovers_are_drawn,
        (
            Shown(
                "stale",
                "stale allocations in {runs} runs with {leftovers} leftovers each",
                "",
                "== {all_leftovers}",
                "> {all_leftovers}0",
            ),
        ),
    ),
    DefectScenario(
        "R22",
        nodes.allocations_cross_registers,
        (
            Shown("sent", "allocations of an old generation that are sent", "", "== 0", "> 0"),
            Shown("stale", "such allocations in the scenario", "", "> 0", ""),
        ),
        key="sent",
        variant="R22sent",
    ),
    DefectScenario(
        "R23",
        nodes.attempt_numbers_come_again,
        (Shown("above", "assigns in excess of the slots", "", "== 0", "> 0"),),
    ),
    DefectScenario(
        "R24",
        nodes.all_are_busy,
        (
            Shown(
                "assigns",
                "assigns in {busy_s:g} s for {busy_jobs} jobs on three busy nodes (a rest is 1 s)",
                "",
                "<= {rests}",
                "> {rests}00",
            ),
        ),
    ),
    DefectScenario(
        "swarm",
        swarm.all_faults,
        (
            Shown("failed", "of {seeds} runs with random options and faults break a checker", "", "== 0", ""),
            Shown("begun", "faults in these runs", "", "> 0", ""),
            Shown("kinds", "kinds of faults among them", "", "> 1", ""),
            Shown("requests", "requests, each with exactly one end", "", "> 0", ""),
        ),
        variant="",
    ),
)
ROWS = RowsExperiment(
    "faults",
    QUESTION,
    SCENARIOS,
    "One group per defect: its first line of the table; an infinite figure has no bar.",
    short={
        "R6": "nodes lost",
        "R14": "wrong pair",
        "R15": "failed",
        "R16": "wasted s",
        "R17": "stuck",
        "R20": "handlers",
        "R21": "idle",
        "R22": "stale",
        "R23": "above",
        "R24": "assigns",
    },
)
EXPERIMENT = Experiment("faults", QUESTION, ABOUT, ROWS.measure)
