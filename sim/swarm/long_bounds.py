"""Upper bounds of readings of the long soak, for any traffic.

A trend says little about readings that follow the traffic of each day, and nothing about those that fill up to a cap.
Both have a bound that follows from the settings and the current state: no reading may be above it.
"""

from __future__ import annotations

from voxpool.sim.world.world import World

CAPPED = "sessions remembered"
"""Readings that grow to a cap: their trend until then is not a leak."""
DEADLINES = "deadlines of jobs"
BOUNDED = (CAPPED, DEADLINES)


def bounds_now(world: World) -> dict[str, float]:
    """Return the current bound of each of BOUNDED: an ended job has no deadline."""
    return {CAPPED: world.settings.sessions_max, DEADLINES: world.core.table.unfinished}
