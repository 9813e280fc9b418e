"""A flow: a few parties, what may happen to them, and the question that all their orders answer."""

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
    """Called once a search; what it returns is called for each schedule, so what is costly is prepared here."""
    is_complete: bool = True
    """True when all of its orders are tried; otherwise those near the default order, then random ones and PCT."""
