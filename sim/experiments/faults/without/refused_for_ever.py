"""R6: a node unknown to the store is refused without a message that it must register again."""

from __future__ import annotations

from voxpool.scheduler.core.leases import Leases
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.scripts import Reply
from voxpool.scheduler.protocol.messages import Heartbeat


class HearsNoUnknown(NodeRegistry):
    """The answer UNKNOWN to a heartbeat has no effect."""

    def register_all(self) -> None:
        pass

    def _beat_answered(self, node: Node, generation: str, reply: str) -> None:
        if reply != Reply.UNKNOWN:
            super()._beat_answered(node, generation, reply)


class TellsNobody(NodeEvents):
    """A node whose lease ended is dropped without a message; its later heartbeats are not answered."""

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            super().heartbeat(node, beat)

    def silent(self, node: Node) -> None:
        self._lose(node, "lapsed")


class SweepsOnly(Leases):
    """Nodes with an ended lease are removed, even connected ones."""

    def _lapsed(self, asked_ms: int, answer: list[str]) -> None:
        pass
