from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.nodes import SimNode, Work
    from voxpool.sim.world.world import World


class NoReservationBeyondTheSlots(Checker):
    """The store allocates no more slots than a node has; no node works on more; at the end no slot is reserved."""

    sentence = "no reservation beyond the slots"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._mirror = world.mirror
        self._seen = 0

    def instant_over(self) -> None:
        over = self._mirror.over_slots
        if over != self._seen:
            self._seen = over
            self.broke(f"{over} reservations were allocated on full nodes")

    def work_started(self, worker: SimNode, work: Work) -> None:
        if len(worker.running) > worker.slots:
            self.broke(f"{worker!r} works on more than its slots")

    def recount(self) -> None:
        """Compare the content of the store with its answers."""
        state = self.world.store_dump()
        mirror = self.world.mirror
        held = {member for member, _ in state.get("held", [])}
        followed = {f"{node.node_id}|{reservation}" for reservation, (node, _) in mirror.reservations.items()}
        self.expect(
            held == followed, f"the store's reservations and its answers differ in {sorted(held ^ followed)[:5]}"
        )
        loads: dict[str, int] = {}
        for entry in held:
            node_id = entry.split("|", 1)[0]
            loads[node_id] = loads.get(node_id, 0) + 1
        for node_id, load in sorted(loads.items()):
            node = mirror.nodes.get(node_id)
            self.expect(node is not None and load <= node.slots, f"{node_id} holds {load} jobs")

    def at_end(self) -> None:
        """Check that no reservations are left after all jobs have ended."""
        state = self.world.store_dump()
        for family in ("held", "reservations", "due"):
            left = state.get(family, [])
            self.expect(not left, f"{len(left)} entries of {family!r} are left, such as {left[:1]}")
