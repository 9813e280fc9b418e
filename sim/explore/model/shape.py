"""The parties of a flow, and how often events may happen to them. It is data."""

from __future__ import annotations

from dataclasses import dataclass

from voxpool.scheduler.core.jobs.job import Share

PAIR = "zh:en"


@dataclass(frozen=True, slots=True)
class Shape:
    """The parties of a production execution and its budgets.

    Jobs are called j1, j2, …, nodes n1, n2, …; each job has a separate client, which submits it at any time.
    """

    jobs: int = 1
    nodes: int = 2
    slots: int = 1
    timeouts: int = 0
    """Number of dispatch timeouts that may fire at any time. More fire only when no other step is open."""
    offline: tuple[str, ...] = ()
    """Nodes whose socket may close, once."""
    reconnects: tuple[str, ...] = ()
    """Nodes whose connection may break once; they reconnect at once."""
    lost_answers: int = 0
    """Number of flushes whose answers may be lost after the commit, so that they are repeated."""
    resubmits: tuple[str, ...] = ()
    """Jobs whose clients submit the same request id again, once."""
    cancels: tuple[str, ...] = ()
    """Jobs whose clients may cancel, once."""
    busy: int = 0
    """Number of assigns that n1 answers busy although it has room."""
    errors: int = 0
    """Number of attempts that n1 answers with an error after which the job may be tried again."""
    shares: tuple[Share, ...] = ()
    """The shares of the jobs, one each, with the setting order = "fair"; () = the order is that of the submits."""
    waiting: int = 0
    """Number of jobs, from j1 on, that are submitted before the first step."""
    leftover: bool = False
    """True when the store still has a node of a dead scheduler."""
    hops: int = 0
    """Number of arrivals in a run that may come between two turns of the event loop."""

    @property
    def job_names(self) -> list[str]:
        """Return j1, j2, …"""
        return [f"j{number}" for number in range(1, self.jobs + 1)]

    def share_of(self, job: str) -> Share | None:
        """Return the share of a job; None when the order is that of the submits."""
        return self.shares[self.job_names.index(job)] if self.shares else None

    def failures_of(self, node: str) -> tuple[int, int]:
        """Return how many assigns `node` answers busy, and how many attempts with an error."""
        return (self.busy, self.errors) if node == "n1" else (0, 0)

    @property
    def node_names(self) -> list[str]:
        """Return n1, n2, …"""
        return [f"n{number}" for number in range(1, self.nodes + 1)]
