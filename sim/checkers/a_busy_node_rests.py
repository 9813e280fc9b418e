from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign, NodeResult
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.links import Connection
    from voxpool.sim.world.world import World

ROUNDING_S = 0.002
"""The rest and the moment in which it begins are whole milliseconds to the scheduler."""


class ABusyNodeRests(Checker):
    """A node that answered busy for an attempt that it has gets no new job until its next beat, or for busy_rest_s."""

    sentence = "a busy node rests"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._rest_s = world.settings.busy_rest_s
        self._resting: dict[str, tuple[Node, float]] = {}
        self._by_job = world.clients.by_job
        self._counts = False

    def result_arrives(self, node: Node, result: NodeResult) -> None:
        if result.busy:
            request = self._by_job.get(result.job_id)
            self._counts = request is not None and (request.attempt, request.node_id) == (result.attempt, node.node_id)

    def result_handled(self, node: Node, result: NodeResult) -> None:
        if result.busy and self._counts and node.connected:
            self._resting[node.node_id] = (node, self.env.now + self._rest_s)

    def beat_arrives(self, node: Node) -> None:
        self._resting.pop(node.node_id, None)

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        if self._resting and connection.node is not None:
            node = connection.node
            resting, until = self._resting.get(node.node_id, (None, 0.0))
            if resting is node and self.env.now < until - ROUNDING_S:
                self.broke(f"{node!r} answered busy and got {assign.job_id} {until - self.env.now:.3f} s too early")
