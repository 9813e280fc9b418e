"""Searches all orders of an execution depth first, running it again for each; or orders with at most N departures.

With sleep sets (Godefroid 1996) an order is skipped when a tried one differs from it only in the order of independent
steps, so each end is still reached. Dependence is determined by the recorded accesses of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from voxpool.sim.explore.model.execution import ADD, READ, WRITE, Execution, Footprint, MakeExecution, Step
from voxpool.sim.explore.model.running import NO_END, STEPS_MAX, Run, Taken, raised
from voxpool.sim.explore.search.counting import orders
from voxpool.sim.explore.search.tally import Budget, Tally

Tell = Callable[[float], None]
TELL_EVERY = 50


class NotRepeatable(RuntimeError):
    """The same prefix of an execution led to different open steps, so its search would prove nothing."""


class Touched:
    """A footprint in a form that is fast to compare."""

    __slots__ = ("adds", "all", "reads", "writes")

    def __init__(self, footprint: Footprint) -> None:
        self.reads = {key for mode, key in footprint if mode == READ}
        self.writes = {key for mode, key in footprint if mode == WRITE}
        self.adds = {key for mode, key in footprint if mode == ADD}
        self.all = {key for _, key in footprint}

    def is_independent_of(self, other: Touched) -> bool:
        """Return True when two steps that touched this and `other` lead to the same state in either order."""
        return (
            self.writes.isdisjoint(other.all)
            and other.writes.isdisjoint(self.all)
            and self.reads.isdisjoint(other.adds)
            and other.reads.isdisjoint(self.adds)
        )


Asleep = dict[Step, Touched | None]
"""Steps that need not be taken next, with their accesses (None: they raised, and these are unknown)."""


class _Place:
    """A node on the path in the tree of orders: the open steps, and the tried one."""

    __slots__ = ("asleep", "choices", "departed", "index", "steps", "touched")

    def __init__(self, steps: Sequence[Step], choices: Sequence[Step], asleep: Asleep, departed: int) -> None:
        self.steps = steps
        self.choices = choices
        self.asleep = asleep
        self.departed = departed
        """Number of departures before this node."""
        self.index = 0
        self.touched: Touched | None = None

    @property
    def step(self) -> Step:
        return self.choices[self.index]

    def next(self) -> bool:
        """Advance to the next choice; False when there is none."""
        self.asleep[self.step] = self.touched
        self.touched = None
        self.index += 1
        return self.index < len(self.choices)


class DepthFirst:
    """The search. `tally` counts; `budget` can end it early."""

    def __init__(
        self,
        make_execution: MakeExecution,
        tally: Tally,
        budget: Budget,
        *,
        sleep_sets: bool = False,
        departures: int | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._make_execution = make_execution
        self._tally = tally
        self._budget = budget
        self._sleep_sets = sleep_sets
        self._departures = departures
        self._tell = tell
        self._way: list[_Place] = []

    def run(self) -> bool:
        """Run all orders; False when the budget ended the search."""
        while True:
            self._run_once()
            while self._way and not self._way[-1].next():
                self._way.pop()
            if not self._way:
                return True
            if self._tally.is_used_up(self._budget):
                return False
            if self._tell is not None and self._tally.tries % TELL_EVERY == 0:
                self._tell(self._part_done())

    def _run_once(self) -> None:
        """Run one execution: the current path, then always the first choice."""
        way = self._way
        execution = self._make_execution()
        try:
            for place in way[:-1]:
                execution.take(place.step)
            if way:
                self._check_same(execution.open_steps(), way[-1])
                if (error := self._take(execution)) is not None:
                    return self._count(error, [error])
            while steps := tuple(execution.open_steps()):
                if len(way) >= STEPS_MAX:
                    return self._count(NO_END, [NO_END])
                place_ = self._place(steps)
                if not place_.choices:
                    self._tally.cut_short += 1
                    return None
                way.append(place_)
                if (error := self._take(execution)) is not None:
                    return self._count(error, [error])
            self._count(execution.end(), execution.broken())
        finally:
            execution.close()

    def _take(self, execution: Execution) -> str | None:
        """Take the last step of the path; return the text of its exception, if any."""
        place = self._way[-1]
        try:
            footprint = execution.take(place.step)
        except Exception as error:
            place.touched = None
            return raised(error)
        if self._sleep_sets:
            place.touched = Touched(footprint)
        return None

    def _place(self, steps: tuple[Step, ...]) -> _Place:
        """Return the node at the end of the path."""
        before = self._way[-1] if self._way else None
        departed = 0 if before is None else before.departed + (before.index > 0)
        if self._departures is not None and departed >= self._departures:
            return _Place(steps, steps[:1], {}, departed)
        if before is None or not self._sleep_sets:
            return _Place(steps, steps, {}, departed)
        taken = before.touched
        asleep: Asleep = {
            step: touched
            for step, touched in before.asleep.items()
            if taken is not None and touched is not None and taken.is_independent_of(touched)
        }
        return _Place(steps, [step for step in steps if step not in asleep], asleep, departed)

    def _check_same(self, steps: Sequence[Step], place: _Place) -> None:
        if tuple(steps) != place.steps:
            now = "; ".join(step.label for step in steps)
            raise NotRepeatable(
                f"after {len(self._way) - 1} steps these were open: {'; '.join(s.label for s in place.steps)}; "
                f"the same steps again led to: {now}"
            )

    def _count(self, end: Hashable, broken: list[str]) -> None:
        way = self._way
        if self._departures and way and way[-1].departed + (way[-1].index > 0) < self._departures:
            self._tally.repeated += 1
            return
        if self._sleep_sets:
            stands_for = self._orders()
            self._tally.interleavings += stands_for
            self._tally.standing_for[end] = self._tally.standing_for.get(end, 0) + stands_for
        self._tally.add(
            end, broken, len(way), lambda: Run([Taken(place.step, tuple(place.steps)) for place in way], end, broken)
        )

    def _orders(self) -> int:
        """Return the number of interleavings that the current run represents."""
        way = self._way
        known = [place.touched for place in way if place.touched is not None]
        if len(known) < len(way):
            return 1
        opened_by = []
        for at, place in enumerate(way):
            first = at
            while first and place.step in way[first - 1].steps:
                first -= 1
            opened_by.append(first - 1)
        return orders(known, opened_by, Touched.is_independent_of)

    def _part_done(self) -> float:
        """Return the approximate searched share of the tree, assuming branches of equal size."""
        part, share = 0.0, 1.0
        for place in self._way:
            share /= len(place.choices)
            part += share * place.index
        return part


def every_order(make_execution: MakeExecution, budget: Budget, tell: Tell | None = None) -> Tally:
    """Run every interleaving."""
    tally = Tally("every interleaving", is_exhaustive=True)
    tally.is_complete = DepthFirst(make_execution, tally, budget, tell=tell).run()
    return tally.closed()


def every_end(make_execution: MakeExecution, budget: Budget, tell: Tell | None = None) -> Tally:
    """Run at least one of all interleavings that differ in more than the order of independent steps."""
    tally = Tally("all interleavings, by sleep sets", is_exhaustive=True)
    tally.is_complete = DepthFirst(make_execution, tally, budget, sleep_sets=True, tell=tell).run()
    return tally.closed()


def near_default(make_execution: MakeExecution, departures: int, budget: Budget, tell: Tell | None = None) -> Tally:
    """Run every interleaving with at most `departures` departures from the default order, those with fewest first."""
    tally = Tally(f"all with at most {departures} departures from the default order")
    for count in range(departures + 1):
        is_last = count == departures
        search = DepthFirst(make_execution, tally, budget, departures=count, tell=tell if is_last else None)
        if not search.run():
            tally.reached = count - 1
            break
    else:
        tally.reached, tally.is_complete = departures, True
    return tally.closed()
