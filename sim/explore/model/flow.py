"""A flow: a few jobs and nodes, their possible events, and the question that all orders answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voxpool.sim.explore.model.execution import MakeExecution
from voxpool.sim.world.variant import Variant


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that can be explored by name."""

    name: str
    question: str
    execution_of: Callable[[Variant], MakeExecution]
    """Called once per search; the result is called for each schedule, so expensive preparation is done here."""
    is_complete: bool = True
    """True when all orders are run; otherwise those near the default order, then random ones and PCT."""
