"""Heartbeats that say only that the node lives: what it runs and what it should run is never compared.

A fix on its own in the design now, and part of what several rows describe: without it nothing but the time-out finds
an assign that was lost.
"""

from __future__ import annotations

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.protocol.messages import Heartbeat


class BeatsSettleNothing(NodeEvents):
    """A beat renews the lease."""

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            node.seen_ms = self._clock.now_ms()
            self._node_registry.beat(node)
        else:
            super().heartbeat(node, beat)
