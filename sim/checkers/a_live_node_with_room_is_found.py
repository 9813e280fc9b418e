from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.world import World


class ALiveNodeWithRoomIsFound(Checker):
    """The store answers "nobody" only when no living node of the pair has room at that time."""

    sentence = "a live node with room is found"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._mirror = world.mirror

    def calls_run(self, calls: Sequence[ScriptCall], answers: Sequence[list[str]]) -> None:
        mirror = self._mirror
        if not mirror.without_room:
            return
        for pair, now_ms in mirror.without_room.items():
            if mirror.may_have_room(pair) and (free := mirror.living_with_room(pair, now_ms)):
                self.broke(f"the store found nobody for {pair}, but {len(free)} nodes, such as {free[0].node_id}")
            elif any(allocated == pair for _, allocated, _ in mirror.allocated) and self._found_later(
                calls[-1], answers[-1]
            ):
                self.broke(f"the store found nobody for {pair}, and then somebody in the same call")

    def _found_later(self, call: ScriptCall, answer: list[str]) -> bool:
        """Return whether a pair got a slot after "nobody" in the same call, in which no slot becomes free."""
        args, at, none = call.args, 4, set()
        taken = {reservation for reservation, _, _ in self._mirror.allocated}
        for i in range(0, len(answer), 2):
            if not answer[i] and not answer[i + 1]:
                none.add(args[at + 1])
            elif args[at + 1] in none and args[at] in taken:
                return True
            at += 5 + int(args[at + 4])
        return False

    def recount(self) -> None:
        """Check that each living node with room is in each of its pools; a pool may have additional nodes."""
        entries = {member for member, _ in self.world.store_dump().get("capacity", [])}
        now_ms = self.world.clock.now_ms()
        for node in self._mirror.nodes.values():
            if node.has_room and node.lease_end_ms > now_ms:
                missing = [pair for pair in node.pairs if f"{pair}|{node.node_id}" not in entries]
                self.expect(not missing, f"{node.node_id} has room and isn't in the pools of {missing[:3]}")
