from __future__ import annotations

from typing import TYPE_CHECKING

from sim.checkers.base import Checker

if TYPE_CHECKING:
    from sim.world import World


class NoNodeIdlesBesideAWaitingJob(Checker):
    """When nothing is under way to the store, no living node has room for a pair of which a job waits."""

    sentence = "no node idles beside a waiting job"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._waiting = world.core.waiting
        self._queue = world.core.queue
        self._room = world.mirror.room

    def instant_over(self) -> None:
        if self._waiting.total and self._queue.idle:
            self._look()

    def _look(self) -> None:
        for pair, waiting in self._waiting.counts():
            if waiting and self._room.get(pair):
                idle = self.world.mirror.living_with_room(pair, self.world.clock.now_ms())
                if idle:
                    self.broke(f"{waiting} jobs of {pair} wait beside {len(idle)} nodes, such as {idle[0].node_id}")

    def recount(self) -> None:
        """Count the nodes with room anew."""
        counted: dict[str, int] = {}
        for node in self.world.mirror.nodes.values():
            if node.has_room:
                for pair in node.pairs:
                    counted[pair] = counted.get(pair, 0) + 1
        followed = {pair: room for pair, room in self._room.items() if room}
        self.expect(counted == followed, f"room by pair is {counted}, followed was {followed}")
