from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.protocol.messages import Assign
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.links import Connection
    from voxpool.sim.world.world import World


class GrantsGoToTheirGeneration(Checker):
    """What is sent was granted by the store to the very connection that it is sent on; a generation that is gone is
    granted in one select call at most, since it leaves the store then. (A store may lose its data while a grant is on
    its way: the grant counts all the same, and the register that follows takes the slot again.)
    """

    sentence = "a grant goes to its generation or is void once"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._holds = world.mirror.holds
        self._void: dict[str, int] = {}
        """Generation -> the select call that granted it in vain."""

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        hold = f"{assign.job_id}|{assign.attempt}"
        granted = self._holds.get(hold) or self.world.mirror.holds_lost.get(hold)
        node = connection.node
        if granted is None or node is None or granted[1] != node.generation or granted[0].node_id != node.node_id:
            self.broke(f"{assign.job_id} attempt {assign.attempt} was sent to {node!r}, the store granted {granted}")

    def void_grant(self, job: Job, node_id: str, generation: str) -> None:
        select = self.world.mirror.selects
        first = self._void.setdefault(generation, select)
        if first != select:
            self.broke(f"{node_id} {generation} is gone, and was granted again to {job!r}")
