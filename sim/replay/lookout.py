"""Plays a candidate of the shrinker no longer than needed: to the first sign of its failure, or a bound in time."""

from __future__ import annotations

from typing import Any, NamedTuple

from voxpool.sim.faults.strikes import Strike
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.replay.case import Case, run_case

BROKEN = "broken: "
"""The beginning of a sign that names a checker."""
LATER, LATER_S = 3.0, 60.0
"""A checker that has not broken LATER times as late as before, and LATER_S, counts as not broken."""
HANGS_S = 300.0
"""A run that does not come to its end for this time after its traffic counts as one that never does."""


class Look(NamedTuple):
    """Whether the sign was seen, when (None: at the end), and the faults that had begun by then."""

    is_shown: bool
    first_s: float | None
    strikes: list[Strike]


def look_at(case: Case, sign: str, first_s: float | None) -> Look:
    """Play `case` until it shows `sign`, which an earlier case showed at `first_s`."""
    lookouts: list[_Lookout] = []

    def look_out(world: Any) -> _Lookout:
        if sign == "died: TimeoutError":
            world.drain_at_most_s = min(world.drain_at_most_s, HANGS_S)
        lookouts.append(_Lookout(world, sign, first_s))
        return lookouts[-1]

    try:
        found, _ = run_case(case, watchers=[look_out])
    except _Decided as decided:
        return Look(decided.is_shown, lookouts[0].first_s, lookouts[0].strikes)
    return Look(sign in found.signs, lookouts[0].first_s if lookouts else None, lookouts[0].strikes if lookouts else [])


class _Decided(BaseException):
    """Ends a run whose result is known; no handler of errors may catch it."""

    def __init__(self, is_shown: bool) -> None:
        self.is_shown = is_shown


class _Lookout(Watcher):
    def __init__(self, world: Any, sign: str, first_s: float | None) -> None:
        self._world = world
        self._checkers = [checker for checker in world.checkers if sign == BROKEN + checker.sentence]
        self._until_s = None if first_s is None or not self._checkers else LATER * first_s + LATER_S

    @property
    def first_s(self) -> float | None:
        """When the checker of the sign broke first."""
        return min((checker.first_s for checker in self._checkers if checker.first_s is not None), default=None)

    @property
    def strikes(self) -> list[Strike]:
        """The faults that have begun."""
        return list(self._world.faults.strikes)

    def instant_over(self) -> None:
        if any(checker.broken for checker in self._checkers):
            raise _Decided(True)
        if self._until_s is not None and self._world.env.now > self._until_s:
            raise _Decided(False)
