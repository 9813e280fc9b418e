from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.protocol.messages import Assign
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.links import Connection
    from voxpool.sim.world.world import World


class TheChosenNodeServesThePair(Checker):
    """The store allocates, and the scheduler sends, a job only to a node whose current register has the job's pair."""

    sentence = "the chosen node serves the pair"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._mirror = world.mirror

    def calls_run(self, calls: Sequence[ScriptCall], answers: Sequence[list[str]]) -> None:
        for reservation, pair, node in self._mirror.allocated:
            if pair not in node.pairs:
                self.broke(f"the store allocated {node.node_id}, which serves {node.pairs}, to {reservation} of {pair}")

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        node = connection.node
        if node is not None and assign.pair not in node.pairs:
            self.broke(f"{assign.job_id} of {assign.pair} was sent to {node!r}, which serves {node.pairs}")

    def recount(self) -> None:
        """The pairs of each node in the store are those of its register."""
        for node_id, about in self.world.store_dump().get("nodes", []):
            served = tuple(pair for pair in about.split("|")[4].split(",") if pair)
            known = self._mirror.nodes.get(node_id)
            self.expect(
                known is not None and known.pairs == served,
                f"the store has {node_id} with {served}, its register said {known and known.pairs}",
            )
