"""R14: a node that registers again with fewer pairs stays in its old pools, and a draw checks the pool only."""

from __future__ import annotations

from voxpool.sim.planted.bugs import scripts
from voxpool.sim.world.variant import Variant


def keeps_old_pools() -> Variant:
    """Return the variant: a register enters pools and leaves none, and a choice does not check the node's pairs."""
    changed = dict(scripts("register_node", ("shut(node, old_served)", "")))
    asks = "if not string.find(served, wanted, 1, true) then"
    changed["select_node"] = scripts("select_node", (asks, "if false then"))["select_node"]
    return Variant("keeps old pools", scripts=changed)
