from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.protocol.messages import Assign
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.links import Connection
    from voxpool.sim.world.world import World


class AllocationsGoToTheirGeneration(Checker):
    """An assign is sent on the connection to which the store allocated it; an old generation is allocated in at most
    one select call of a scheduler, which then removes it from the store. (When the store loses its data while an
    allocation is in transit, the allocation is still valid, and the following register reserves the slot again.)
    """

    sentence = "an allocation goes to its generation or is stale once"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._reservations = world.mirror.reservations
        self._stale: dict[str, int] = {}
        """Old generation -> the select call that allocated it."""

    def scheduler_gone(self) -> None:
        """Forget what the dead scheduler was about to remove."""
        self._stale.clear()

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        reservation = f"{assign.job_id}|{assign.attempt}"
        allocated = self._reservations.get(reservation) or self.world.mirror.reservations_lost.get(reservation)
        node = connection.node
        if allocated is None or node is None or allocated[1] != node.generation or allocated[0].node_id != node.node_id:
            self.broke(
                f"{assign.job_id} attempt {assign.attempt} was sent to {node!r}, the store allocated {allocated}"
            )

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        select = self.world.mirror.selects
        first = self._stale.setdefault(generation, select)
        if first != select:
            self.broke(f"{node_id} {generation} is gone, and was allocated again to {job!r}")
