"""R7: the clean-up of a connection goes by the name of its node, so that of an old one takes the new one offline.

The node keeps its socket and its heartbeats, and gets no message that it was removed (that is R6, a part of it).
"""

from __future__ import annotations

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.protocol.messages import Heartbeat


class GoesByTheName(NodeEvents):
    """Whatever connection closes, the node of that name is offline."""

    def left(self, node: Node) -> None:
        current = self._node_registry.find(node.node_id)
        if current is not None:
            self._lose(current, "closed")

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            super().heartbeat(node, beat)
