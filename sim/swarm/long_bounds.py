"""What some of the readings of the long soak may be at most, whatever the traffic of the day.

A trend says little of what follows the traffic of each day, and nothing of what fills up to a cap. Both have a bound
that follows from the settings and from what is there: not one reading may be above it.
"""

from __future__ import annotations

from voxpool.sim.world.world import World

CAPPED = "sessions remembered"
"""Grows to its cap and stays there: its trend until then is no leak."""
DEADLINES = "deadlines of jobs"
BOUNDED = (CAPPED, DEADLINES)


def bounds_now(world: World) -> dict[str, float]:
    """Return the bound of each of BOUNDED at this moment: a job that has ended has no deadline."""
    return {CAPPED: world.settings.sessions_max, DEADLINES: world.core.table.unfinished}
