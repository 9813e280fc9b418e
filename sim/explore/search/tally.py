"""Counts the runs, ends and violations of a search. Its memory is bounded by the number of ends."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from voxpool.sim.explore.model.running import Run, sentence
from voxpool.sim.virtual_time.stopwatch import Stopwatch

ENDS_MAX = 100_000
"""Maximum number of distinct ends; further ones are counted as OTHERS."""
OTHERS = "others (too many ends to tell apart)"
SENTENCES_MAX = 100


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a search; a search that reaches one is incomplete."""

    runs: int | None = None
    """Number of executions, including those cut short by sleep sets."""
    seconds: float | None = None


@dataclass
class Tally:
    """The results of one search so far. `runs` is the number of completed interleavings."""

    way: str
    """How the orders were chosen, in words."""
    is_exhaustive: bool = False
    """True when a complete search reaches every possible end."""
    runs: int = 0
    cut_short: int = 0
    """Number of runs ended by sleep sets, because all continuations were covered in another order."""
    interleavings: int = 0
    """Number of interleavings that the runs with sleep sets represent."""
    repeated: int = 0
    """Number of repeated runs of an earlier round."""
    reached: int | None = None
    """Number of departures up to which every order was run; None where they aren't counted."""
    steps_max: int = 0
    is_complete: bool = False
    ends: dict[Hashable, int] = field(default_factory=dict)
    """End state -> runs."""
    standing_for: dict[Hashable, int] = field(default_factory=dict)
    """End state -> interleavings that its runs represent; with sleep sets only."""
    broken_ends: dict[Hashable, None] = field(default_factory=dict)
    """Ends with a violation."""
    broken_runs: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    """Sentence -> runs."""
    first_broken: Run | None = None
    seconds: float = 0.0
    watch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def orders(self) -> int:
        """Return the number of covered interleavings: those represented by runs with sleep sets, else the runs."""
        return self.interleavings or self.runs

    def agrees(self, other: Tally) -> bool:
        """True when another complete search of the same execution reached the same ends, in as many orders."""
        return self.ends.keys() == other.ends.keys() and self.orders == other.orders

    def add(self, end: Hashable, broken: list[str], steps: int, run: Callable[[], Run]) -> None:
        """Count a completed run; `run` returns it when it is needed."""
        self.runs += 1
        if steps > self.steps_max:
            self.steps_max = steps
        ends = self.ends
        known = ends.get(end)
        if known is not None:
            ends[end] = known + 1
        elif len(ends) < ENDS_MAX:
            ends[end] = 1
        else:
            ends[OTHERS] = ends.get(OTHERS, 0) + 1
        if broken:
            self._add_broken(end, broken, run)

    def _add_broken(self, end: Hashable, broken: list[str], run: Callable[[], Run]) -> None:
        self.broken_runs += 1
        if end in self.ends:
            self.broken_ends[end] = None
        for name in dict.fromkeys(map(sentence, broken)):
            if name in self.broken or len(self.broken) < SENTENCES_MAX:
                self.broken[name] = self.broken.get(name, 0) + 1
        if self.first_broken is None:
            self.first_broken = run()

    def closed(self) -> Tally:
        """Record the duration, and return self."""
        self.seconds = self.watch.seconds()
        return self

    @property
    def tries(self) -> int:
        """Number of executions."""
        return self.runs + self.cut_short + self.repeated

    def is_used_up(self, budget: Budget) -> bool:
        """Return whether the budget is used up."""
        if budget.runs is not None and self.tries >= budget.runs:
            return True
        return budget.seconds is not None and self.watch.seconds() >= budget.seconds

    @property
    def runs_per_s(self) -> float:
        """Executions per real second."""
        return self.tries / self.seconds if self.seconds else 0.0
