"""What the search asks of an execution: the open steps, to take one, what it read and wrote, and how it ended.

An execution is one run of a flow from its start. The search makes a new one for each schedule and takes the steps that
it wants, so an execution needs neither copies nor a way back. Nothing here knows of jobs, nodes or asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Protocol

Footprint = frozenset[tuple[str, str]]
"""What a step touched: (mode, key). READ and READ of one key are independent, and so are ADD and ADD."""
READ, WRITE, ADD = "r", "w", "c"
"""Modes; ADD is a write that commutes with others of its kind (a counter, a member of a set)."""
NOTHING: Footprint = frozenset()


class Step(NamedTuple):
    """One thing that may happen next. It is named by what it is, so that it's the same step in another schedule."""

    label: str
    """Such as "commit select j1|1 -> n2", "deliver assign j1|1 to n1", "timer dispatch j1", "fault offline n1"."""
    chain: str
    """What PCT takes for a thread: (job, attempt, channel). Steps of one chain follow each other."""


class Execution(Protocol):
    """One run of a flow, from its start to the end that no step leaves open."""

    def open_steps(self) -> Sequence[Step]:
        """Return what may happen next, oldest first and faults last, each label once; empty: the end."""
        ...

    def take(self, step: Step) -> Footprint:
        """Let `step` happen, and return what it read and wrote: also whatever opened or closed another step.

        While the search repeats a known beginning it doesn't ask for the open steps between two of them.
        """
        ...

    def end(self) -> Hashable:
        """Return the end state as a short value for people; equal values are one end."""
        ...

    def broken(self) -> list[str]:
        """Return what isn't true at the end, a sentence each, with details behind a colon.

        It may depend on nothing that the footprints leave out, such as the order of steps that touch nothing in common.
        """
        ...

    def close(self) -> None:
        """Give back what the run holds; called in every case."""
        ...


MakeExecution = Callable[[], Execution]
