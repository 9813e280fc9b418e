"""R6: a node that the store doesn't know is refused, and gets no message that it has to register again."""

from __future__ import annotations

from voxpool.scheduler.core.leases import Leases
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.scripts import Reply
from voxpool.scheduler.protocol.messages import Heartbeat


class HearsNoUnknown(NodeRegistry):
    """A beat that the store answers UNKNOWN changes nothing."""

    def register_all(self) -> None:
        pass

    def _beat_answered(self, node: Node, generation: str, reply: str) -> None:
        if reply != Reply.UNKNOWN:
            super()._beat_answered(node, generation, reply)


class TellsNobody(NodeEvents):
    """A node whose lease ended is dropped without a word; its beats are not answered from then on."""

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            super().heartbeat(node, beat)

    def silent(self, node: Node) -> None:
        self._lose(node, "lapsed")


class SweepsOnly(Leases):
    """Nodes with an ended lease are taken out, also those that are connected."""

    def _lapsed(self, asked_ms: int, answer: list[str]) -> None:
        pass
