"""R7: the clean-up of a connection uses the node's id only, so that of an old connection takes the new one offline.

The node keeps its socket and its heartbeats, and receives no message that it was removed (a part of R6).
"""

from __future__ import annotations

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.protocol.messages import Heartbeat


class GoesByTheName(NodeEvents):
    """The close of any connection of a node takes the node offline."""

    def left(self, node: Node) -> None:
        current = self._node_registry.find(node.node_id)
        if current is not None:
            self._lose(current, "closed")

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            super().heartbeat(node, beat)
