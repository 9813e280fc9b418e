"""What goes wrong when several schedulers share one store?

Each defect has a scenario of production's schedulers in virtual time, run with an old behaviour and with production:
crossing.py, store.py.
"""

from __future__ import annotations

from voxpool.sim.experiments.experiment import Experiment
from voxpool.sim.experiments.rows import DefectScenario, RowsExperiment, Shown
from voxpool.sim.experiments.schedulers import crossing, store

QUESTION = "What goes wrong when several schedulers share one store?"
ABOUT = {
    "R8": "a cancel is sent before the attempt is compared, and names none: the loser of two cancels the winner",
    "R18": "blocking reads share the connection of the calls",
    "R19": "scripts build the names of their keys, and fail on a cluster",
}
SCENARIOS = (
    DefectScenario(
        "R8",
        crossing.gives_back_too_late,
        (
            Shown("cancelled", "attempts that count and were cancelled by another scheduler", "", "== 0", "> 0"),
            Shown("never_end", "of {jobs} jobs never end", "", "== 0", "> 0"),
            Shown("late", "attempts that were given back too late", "", "> 0", "> 0"),
        ),
        variant="",
    ),
    DefectScenario(
        "R18",
        store.blocks_its_connection,
        (Shown("job_s", "time of a job, one in flight at each of two schedulers", "s", "< 0.1", "> 1"),),
        variant="",
    ),
    DefectScenario(
        "R19",
        store.runs_on_a_cluster,
        (
            Shown("refused", "calls of scripts that a cluster of three primaries refuses", "%", "== 0", "> 50"),
            Shown("never_end", "requests never end", "", "== 0", "> 0"),
            Shown("done", "requests ended", "", "> 0", "== 0"),
        ),
        variant="",
    ),
)
ROWS = RowsExperiment(
    "schedulers",
    QUESTION,
    SCENARIOS,
    "One group per defect: its first line of the table.",
    notes=("The store is the memory model; production's schedulers have their partitions on it.",),
    short={"R8": "cancelled", "R18": "seconds", "R19": "% refused"},
)
EXPERIMENT = Experiment("schedulers", QUESTION, ABOUT, ROWS.measure)
