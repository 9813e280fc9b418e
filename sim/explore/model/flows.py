"""The flows that can be explored by name: executions of production code, the small ones first."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import Share
from voxpool.sim.explore.model.flow import Flow
from voxpool.sim.explore.model.shape import Shape
from voxpool.sim.explore.model.steps import execution_of

A, B = Share(3, "a", 1.0), Share(3, "b", 4.0)
URGENT = Share(1, "b", 4.0)

COMPLETE: dict[str, tuple[str, Shape]] = {
    "1-timeout-offline": (
        "one job: its timeout, and its node or the other goes offline",
        Shape(timeouts=1, offline=("n1",)),
    ),
    "1-timeout-offline-hop": (
        "the same, with one arrival between two hops of the event loop",
        Shape(timeouts=1, offline=("n1",), hops=1),
    ),
    "1-2timeouts-offline": (
        "one job: two timeouts, and a node goes offline",
        Shape(timeouts=2, offline=("n1",)),
    ),
    "1-timeout-offline-resubmit-cancel": (
        "one job: a timeout, a node goes offline, its client submits it again and cancels it",
        Shape(timeouts=1, offline=("n1",), resubmits=("j1",), cancels=("j1",)),
    ),
    "2-offline-cancel": (
        "two jobs: a node goes offline, and one job is cancelled",
        Shape(jobs=2, offline=("n1",), cancels=("j1",)),
    ),
    "2-timeout-offline": (
        "two jobs: a timeout, and a node goes offline",
        Shape(jobs=2, timeouts=1, offline=("n1",)),
    ),
    "2-2timeouts": ("two jobs: two timeouts, of one or of both", Shape(jobs=2, timeouts=2)),
    "1-busy": ("one job: the only node answers busy, and rests", Shape(nodes=1, busy=1)),
    "1-timeout-reconnect": (
        "one job: a timeout, and a node's connection breaks and comes again",
        Shape(timeouts=1, reconnects=("n1",)),
    ),
    "2-reconnect": ("two jobs: a node's connection breaks and comes again", Shape(jobs=2, reconnects=("n1",))),
    "1-timeout-lost": ("one job: a timeout, and an answer of the store gets lost", Shape(timeouts=1, lost_answers=1)),
    "1-offline-lost": (
        "one job: a node goes offline, and an answer of the store gets lost",
        Shape(offline=("n1",), lost_answers=1),
    ),
    "1-reconnect-lost": (
        "one job: a connection breaks and comes again, and an answer of the store gets lost",
        Shape(reconnects=("n1",), lost_answers=1),
    ),
    "1-leftover-offline": (
        "one job: the store still has a node of a scheduler that died, and another goes offline",
        Shape(offline=("n1",), leftover=True),
    ),
    "fair-2-keys": (
        "fair order, two keys with the weights 1 and 4: jobs come while the store looks for a slot and finds none",
        Shape(nodes=1, jobs=5, shares=(B, A, A, B, B), waiting=3),
    ),
    "fair-idle": (
        "fair order, two keys: the second has a job now and then, while the first waits all the time",
        Shape(nodes=1, jobs=5, shares=(B, B, B, A, A), waiting=3),
    ),
    "fair-cancel": (
        "fair order, two keys: the second cancels its first job",
        Shape(nodes=1, jobs=5, shares=(B, B, B, A, A), waiting=4, cancels=("j4",)),
    ),
    "fair-all": (
        "fair order, two keys and two priorities: no slot is found, an attempt ends with an error, a job is cancelled",
        Shape(nodes=1, jobs=4, shares=(A, A, B, URGENT), waiting=3, errors=1, cancels=("j2",)),
    ),
}
"""All orders of these are tried."""

LARGE: dict[str, tuple[str, Shape]] = {
    "all-together": (
        "two jobs: two timeouts, a node goes offline, late results, a resubmit and a cancel",
        Shape(jobs=2, timeouts=2, offline=("n1",), resubmits=("j1",), cancels=("j2",)),
    ),
    "fair-large": (
        "fair order, two nodes and five jobs: the same, and a node answers busy",
        Shape(nodes=2, jobs=5, shares=(A, A, B, URGENT, B), waiting=2, errors=1, busy=1, cancels=("j2",)),
    ),
}
"""Too many orders: those near the default, then random ones and PCT."""


def _flows() -> dict[str, Flow]:
    flows = [Flow(name, question, execution_of(shape)) for name, (question, shape) in COMPLETE.items()]
    flows += [Flow(name, question, execution_of(shape), is_complete=False) for name, (question, shape) in LARGE.items()]
    return {flow.name: flow for flow in flows}


FLOWS: dict[str, Flow] = _flows()
"""By name."""
