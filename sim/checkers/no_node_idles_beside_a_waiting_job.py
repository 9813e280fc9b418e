from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.world import World


class NoNodeIdlesBesideAWaitingJob(Checker):
    """When no calls to the store are in transit, no living node has room for a pair with a waiting job.

    A node that only the store knows, left by a dead scheduler, can't get a job: its lease ends, or a select removes it.
    """

    sentence = "no node idles beside a waiting job"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._mirror = world.mirror

    def scheduler_built(self) -> None:
        self._waiting = self.world.core.waiting
        self._queue = self.world.core.queue
        self._nodes = self.world.core.node_registry

    def instant_over(self) -> None:
        if self._waiting.total and self._queue.idle:
            self._look()

    def _look(self) -> None:
        for pair, waiting in self._waiting.counts():
            if waiting and self._mirror.may_have_room(pair):
                living = self._mirror.living_with_room(pair, self.world.clock.now_ms())
                idle = [node for node in living if self._nodes.find(node.node_id) is not None]
                if idle:
                    self.broke(f"{waiting} jobs of {pair} wait beside {len(idle)} nodes, such as {idle[0].node_id}")

    def recount(self) -> None:
        """Recount the nodes with room."""
        counted: dict[tuple[str, ...], int] = {}
        for node in self._mirror.nodes.values():
            if node.has_room:
                counted[node.pairs] = counted.get(node.pairs, 0) + 1
        followed = {pairs: nodes for pairs, nodes in self._mirror.room.items() if nodes}
        self.expect(counted == followed, f"nodes with room are {counted}, followed were {followed}")
