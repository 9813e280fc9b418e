"""What a search counts: runs, ends, what broke. Its memory is bounded by the number of ends, not by that of runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from voxpool.sim.explore.model.running import Run, sentence
from voxpool.sim.virtual_time.stopwatch import Stopwatch

ENDS_MAX = 100_000
"""Distinct ends that are listed; all later ones are counted as one entry, which says so."""
OTHERS = "others (too many ends to tell apart)"
SENTENCES_MAX = 100


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a search may take; what is left when it is used up makes the search incomplete."""

    runs: int | None = None
    """Executions run, those that were cut short (sleep sets) among them."""
    seconds: float | None = None


@dataclass
class Tally:
    """What one search has found so far. `runs` are interleavings that came to their end."""

    way: str
    """How the orders were chosen, in words."""
    is_exhaustive: bool = False
    """True when each end that is possible is reached when it is complete."""
    runs: int = 0
    cut_short: int = 0
    """Runs that sleep sets ended: all that could follow was seen in another order."""
    interleavings: int = 0
    """Interleavings that the runs of sleep sets stand for: what a search without them would run."""
    repeated: int = 0
    """Runs of an earlier round, taken again to get beyond them."""
    reached: int | None = None
    """Departures up to which every order was run; None where they aren't counted."""
    steps_max: int = 0
    is_complete: bool = False
    ends: dict[Hashable, int] = field(default_factory=dict)
    """End state -> runs."""
    standing_for: dict[Hashable, int] = field(default_factory=dict)
    """End state -> interleavings that its runs stand for; with sleep sets only."""
    broken_ends: dict[Hashable, None] = field(default_factory=dict)
    """Ends at which something wasn't true."""
    broken_runs: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    """Sentence -> runs."""
    first_broken: Run | None = None
    seconds: float = 0.0
    watch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def orders(self) -> int:
        """Interleavings that it tells of: those that the runs of sleep sets stand for, else its runs."""
        return self.interleavings or self.runs

    def agrees(self, other: Tally) -> bool:
        """True when another whole search of the same execution reached the same ends, in as many orders."""
        return self.ends.keys() == other.ends.keys() and self.orders == other.orders

    def add(self, end: Hashable, broken: list[str], steps: int, run: Callable[[], Run]) -> None:
        """Count a run that came to its end; `run` tells of it when it is wanted."""
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
        """Note the time that it took."""
        self.seconds = self.watch.seconds()
        return self

    @property
    def tries(self) -> int:
        """Executions that were run."""
        return self.runs + self.cut_short + self.repeated

    def is_used_up(self, budget: Budget) -> bool:
        """Return whether the search has to end here."""
        if budget.runs is not None and self.tries >= budget.runs:
            return True
        return budget.seconds is not None and self.watch.seconds() >= budget.seconds

    @property
    def runs_per_s(self) -> float:
        """Executions run in a real second."""
        return self.tries / self.seconds if self.seconds else 0.0
