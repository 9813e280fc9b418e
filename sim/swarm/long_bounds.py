"""What some of the readings of the long soak may be at most, whatever the traffic of the day.

A trend says little of what follows the traffic of each day, and nothing of what fills up to a cap. Both have a bound
that follows from the settings and from what was done: not one reading may be above it.
"""

from __future__ import annotations

from collections import deque

from sim.swarm.long_drawn import LASTS_S
from sim.world import World

CAPPED = "sessions remembered"
"""Grows to its cap and stays there: its trend until then is no leak."""
DEADLINES = "deadlines of jobs"
BOUNDED = (CAPPED, DEADLINES)


class Bounds:
    """The bounds of one run. `note` is to be called `window_s` before each reading."""

    def __init__(self, world: World) -> None:
        settings = world.settings
        self.window_s = max(settings.waiting_timeout_s, settings.dispatch_timeout_s) + LASTS_S[1]
        """How old a deadline may get: its time comes, and the scheduler may stand still at that moment."""
        self._world = world
        self._noted: deque[tuple[float, int]] = deque([(0.0, 0)])

    def note(self) -> None:
        """Note how many deadlines were set until now."""
        self._noted.append((self._world.env.now, self._set()))

    def now(self) -> dict[str, float]:
        """Return the bound of each of BOUNDED at this moment."""
        noted, since_s = self._noted, self._world.env.now - self.window_s
        while len(noted) > 1 and noted[1][0] <= since_s:
            noted.popleft()
        return {CAPPED: self._world.settings.sessions_max, DEADLINES: self._set() - noted[0][1]}

    def _set(self) -> int:
        """A deadline is set at each submit, dispatch and redispatch."""
        seen = self._world.recorder
        return seen.submitted + sum(seen.dispatches.values()) + seen.redispatched
