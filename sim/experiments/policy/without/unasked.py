"""C7, C8: checks missing before a node received a job: that it serves the pair, that it does not fail every job."""

from __future__ import annotations

from voxpool.sim.planted.bugs import scripts
from voxpool.sim.world.variant import Variant


def prefers_unasked() -> Variant:
    """C7: the session's node is chosen if it is alive and has room, whatever pairs it serves."""
    asks, takes = "room(prefer, wanted, chance.now)", "room(prefer, ',', chance.now)"
    return Variant("prefers unasked", scripts=scripts("select_node", (asks, takes)))


def never_rests() -> Variant:
    """C8: a node receives jobs however many it has failed in a row."""
    return Variant("never rests", settings={"rest_after_failures": 0})


def least_loaded_never_rests() -> Variant:
    """C8: the same with the least loaded node, which is always the one that fails jobs at once."""
    two, all_of_them = "while compared < chance.choices and drawn < size do", "while drawn < size do"
    changed = scripts("select_node", (two, all_of_them))
    return Variant("least loaded, never rests", scripts=changed, settings={"rest_after_failures": 0})
