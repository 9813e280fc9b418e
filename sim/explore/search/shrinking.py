"""Shrinks a failing schedule: to the fewest departures from the default order, then to the fewest steps.

First departures are left out while the same check still breaks, which is fast and leaves few of them. Then all orders
with none, one, two, … departures are run: the first failing one is minimal, unless the budget ends before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from voxpool.sim.explore.model.execution import MakeExecution, Step
from voxpool.sim.explore.model.running import Run, run_execution, sentence
from voxpool.sim.explore.search.depth_first import DepthFirst, Tell
from voxpool.sim.explore.search.tally import Budget, Tally


class Instead(NamedTuple):
    """A departure without the number of its step: `label` comes where `default` would be next."""

    label: str
    default: str


class Shrunk(NamedTuple):
    """The shortest failing run found, and whether it is proven to be minimal."""

    run: Run
    is_fewest: bool
    """True when all orders with fewer departures were run, and none breaks this check."""
    is_shortest: bool
    """True when no order with as many departures breaks it in fewer steps."""
    tries: int


class _Search(Tally):
    """Counts runs, and keeps the shortest one that breaks the check `wanted`."""

    def __init__(self, wanted: str) -> None:
        super().__init__("shrinking")
        self.wanted = wanted
        self.found: Run | None = None

    def add(self, end: Hashable, broken: list[str], steps: int, run: Callable[[], Run]) -> None:
        self.runs += 1
        if is_broken(broken, self.wanted) and (self.found is None or steps < len(self.found.taken)):
            self.found = run()


def shrink(make_execution: MakeExecution, run: Run, budget: Budget, tell: Tell | None = None) -> Shrunk:
    """Return the shortest run that breaks the check that `run` breaks first."""
    wanted = sentence(run.broken[0])
    search = _Search(wanted)
    best = _without_needless(make_execution, run, wanted, search, budget)
    for count in range(len(best.schedule) + 1):
        is_whole = DepthFirst(make_execution, search, budget, departures=count, tell=tell).run()
        if search.found is not None:
            found = search.found
            is_better = (len(found.schedule), len(found.taken)) < (len(best.schedule), len(best.taken))
            return Shrunk(found if is_better else best, True, is_whole, search.tries)
        if not is_whole:
            break
    return Shrunk(best, False, False, search.tries)


def _without_needless(make_execution: MakeExecution, run: Run, wanted: str, search: _Search, budget: Budget) -> Run:
    """Leave out departures, first half of them at once, while the check breaks."""
    best, hints = run, _hints(run)
    size = len(hints)
    while size >= 1:
        start = 0
        while start < len(hints) and not search.is_used_up(budget):
            fewer = hints[:start] + hints[start + size :]
            tried = run_execution(make_execution, _following(fewer))
            search.repeated += 1
            if is_broken(tried.broken, wanted) and len(tried.schedule) < len(best.schedule):
                best, hints = tried, _hints(tried)
            else:
                start += size
        size //= 2
    return best


def _hints(run: Run) -> list[Instead]:
    return [Instead(step.label, steps[0].label) for step, steps in run.taken if step.label != steps[0].label]


def _following(hints: Sequence[Instead]) -> Callable[[int, Sequence[Step]], Step]:
    """Return a choice that takes the default step unless an unused hint fits."""
    left = list(hints)

    def choose(at: int, steps: Sequence[Step]) -> Step:
        default = steps[0].label
        for hint in left:
            if hint.default == default:
                for step in steps:
                    if step.label == hint.label:
                        left.remove(hint)
                        return step
        return steps[0]

    return choose


def is_broken(broken: Sequence[str], wanted: str) -> bool:
    """Return whether the check `wanted` is among the broken ones."""
    return any(sentence(line) == wanted for line in broken)
