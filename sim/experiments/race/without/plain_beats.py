"""Heartbeats that only renew the lease: the jobs of the node and of the scheduler are not compared.

The comparison is a fix that several defects depend on: without it only the timeout finds a lost assign.
"""

from __future__ import annotations

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.protocol.messages import Heartbeat


class BeatsSettleNothing(NodeEvents):
    """A heartbeat only renews the lease."""

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            node.seen_ms = self._clock.now_ms()
            self._node_registry.beat(node)
        else:
            super().heartbeat(node, beat)
