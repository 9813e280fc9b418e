"""What a flow is made of: who takes part, and what may happen to them how often. It is data."""

from __future__ import annotations

from dataclasses import dataclass

PAIR = "zh:en"


@dataclass(frozen=True, slots=True)
class Shape:
    """The parties of a production execution and its budgets.

    Jobs are called j1, j2, …, nodes n1, n2, …; each job has a client of its own, which submits it at any time.
    """

    jobs: int = 1
    nodes: int = 2
    slots: int = 1
    timeouts: int = 0
    """Dispatch time-outs that may fire at any time. More fire only when nothing else is left to happen."""
    offline: tuple[str, ...] = ()
    """Nodes whose socket may close, once."""
    reconnects: tuple[str, ...] = ()
    """Nodes whose connection may break, once, and that connect again at once."""
    lost_answers: int = 0
    """Flushes whose answers may get lost after the commit, so that they are repeated."""
    resubmits: tuple[str, ...] = ()
    """Jobs whose clients submit the same request id again, once."""
    cancels: tuple[str, ...] = ()
    """Jobs whose clients may cancel, once."""
    busy: int = 0
    """Assigns that n1 answers busy, though it has room."""
    leftover: bool = False
    """The store still has a node of a scheduler that died."""
    hops: int = 0
    """Arrivals that may come between two hops of the event loop, in a run."""

    @property
    def job_names(self) -> list[str]:
        """Return j1, j2, …"""
        return [f"j{number}" for number in range(1, self.jobs + 1)]

    @property
    def node_names(self) -> list[str]:
        """Return n1, n2, …"""
        return [f"n{number}" for number in range(1, self.nodes + 1)]
