from __future__ import annotations

from scheduler.job import Job
from scheduler.node import Node
from sim.checkers.base import Checker


class TheChosenNodeServesThePair(Checker):
    """A job goes to a node that registered its pair, in the register that counts now."""

    sentence = "the chosen node serves the pair"

    def job_dispatched(self, job: Job, node: Node) -> None:
        if job.pair not in node.pairs:
            self.broke(f"{job!r} was given to {node!r}, which serves {node.pairs}")
