"""The pictures of one run: its jobs, its nodes and its memory over virtual time."""

from __future__ import annotations

from voxpool.sim.observing.timeline import Timeline
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import WITH, WITHOUT, Picture

NODES, FAULTS = "#1a7f4b", "#8a5a00"
TIME = "virtual time, s"


def jobs_picture(seen: Timeline) -> Picture:
    """Return the jobs that wait and those that nodes have, the nodes, and the moments at which faults began."""
    drawn = [
        Curve("jobs waiting", seen.at_s, seen.waiting, WITHOUT),
        Curve("jobs with nodes", seen.at_s, seen.with_nodes, WITH),
        Curve("nodes registered", seen.at_s, seen.nodes, colour=NODES),
    ]
    if seen.faults_s:
        drawn.append(Curve("a fault begins", seen.faults_s, [0] * len(seen.faults_s), colour=FAULTS, style="points"))
    caption = "What the scheduler knows: a node that died is registered until its connection closes or its lease ends."
    return curves("jobs", "Jobs and nodes", TIME, "jobs, nodes", drawn, caption)


def memory_picture(seen: Timeline) -> Picture:
    """Return the finished jobs in the table, which clients can still ask for."""
    return curves(
        "finished", "Finished jobs in memory", TIME, "jobs", [Curve("", seen.at_s, seen.finished, WITH)],
        "A finished job stays for the retention and up to one interval of the clean-up.",
    )  # fmt: skip
