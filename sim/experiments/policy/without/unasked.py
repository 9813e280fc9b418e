"""C7, C8: what was not asked before a node got a job: whether it serves the pair, whether it only ever fails."""

from __future__ import annotations

from voxpool.sim.planted.bugs import scripts
from voxpool.sim.world.variant import Variant


def prefers_unasked() -> Variant:
    """C7: the session's node is taken if it lives and has room, whatever pairs it serves."""
    asks, takes = "room(prefer, wanted, chance.now)", "room(prefer, ',', chance.now)"
    return Variant("prefers unasked", scripts=scripts("select_node", (asks, takes)))


def never_rests() -> Variant:
    """C8: a node gets jobs however many it has failed in a row."""
    return Variant("never rests", settings={"rest_after_failures": 0})


def least_loaded_never_rests() -> Variant:
    """C8: the same, and of all nodes with room the least loaded gets the job: one that fails at once always is."""
    two, all_of_them = "while compared < chance.choices and drawn < size do", "while drawn < size do"
    changed = scripts("select_node", (two, all_of_them))
    return Variant("least loaded, never rests", scripts=changed, settings={"rest_after_failures": 0})
