"""The interface of an execution for the search: open steps, taking a step, its footprint, and the end.

An execution is one run of a flow from its start. The search makes a new one for each schedule and chooses the steps, so
an execution needs neither copies nor backtracking. Nothing here depends on jobs, nodes or asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Protocol

Footprint = frozenset[tuple[str, str]]
"""The accesses of a step: (mode, key). READ and READ of one key are independent, and so are ADD and ADD."""
READ, WRITE, ADD = "r", "w", "c"
"""Modes; ADD is a write that commutes with others of its kind (a counter, a member of a set)."""
NOTHING: Footprint = frozenset()


class Step(NamedTuple):
    """One possible next event. Its label does not depend on the schedule, so that it identifies the step in all."""

    label: str
    """Such as "commit select j1|1 -> n2", "deliver assign j1|1 to n1", "timer dispatch j1", "fault offline n1"."""
    chain: str
    """The thread of the step for PCT: (job, attempt, channel). Steps of one chain are ordered."""


class Execution(Protocol):
    """One run of a flow, from its start until no step is open."""

    def open_steps(self) -> Sequence[Step]:
        """Return the possible next steps, oldest first and faults last, each label once; empty at the end."""
        ...

    def take(self, step: Step) -> Footprint:
        """Take `step`, and return its reads and writes, including those that open or close other steps.

        While the search repeats a known prefix it doesn't request the open steps in between.
        """
        ...

    def end(self) -> Hashable:
        """Return the end state as a short readable value; equal values are the same end."""
        ...

    def broken(self) -> list[str]:
        """Return the violations at the end, a sentence each, with details after a colon.

        It must not depend on data outside the footprints, such as the order of independent steps.
        """
        ...

    def close(self) -> None:
        """Release the resources of the run; always called."""
        ...


MakeExecution = Callable[[], Execution]
