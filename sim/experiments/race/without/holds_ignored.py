"""R5: a lost node is removed from the pools, and its jobs stay allocated until they time out."""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry


class _Nodes(dict[str, Node]):
    """The connected nodes; a lookup by id also finds lost ones."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: dict[str, Node] = {}

    def __missing__(self, node_id: str) -> Node:
        return self.gone[node_id]


class RemembersTheGone(NodeRegistry):
    """Keeps the record of a lost node, so that its jobs can be taken from it at their timeouts."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._with_gone = self.nodes = _Nodes()

    def leave(self, node: Node, reason: str) -> None:
        super().leave(node, reason)
        self._with_gone.gone[node.node_id] = node


class IgnoresWhatItHeld(NodeEvents):
    """The jobs of a lost node stay allocated to it."""

    def _lose(self, node: Node, reason: str) -> None:
        self._node_registry.leave(node, reason)
