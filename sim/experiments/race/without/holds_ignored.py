"""R5: a node that is gone leaves the pools, and nobody asks what it held: the time-out of each job finds that."""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry


class _Nodes(dict[str, Node]):
    """The connected nodes; a lookup by id finds the gone ones, too."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: dict[str, Node] = {}

    def __missing__(self, node_id: str) -> Node:
        return self.gone[node_id]


class RemembersTheGone(NodeRegistry):
    """Keeps the record of a node that left, so that its jobs can be taken from it at their time-outs."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._with_gone = self.nodes = _Nodes()

    def leave(self, node: Node, reason: str) -> None:
        super().leave(node, reason)
        self._with_gone.gone[node.node_id] = node


class IgnoresWhatItHeld(NodeEvents):
    """The jobs of a lost node stay where they are."""

    def _lose(self, node: Node, reason: str) -> None:
        self._node_registry.leave(node, reason)
