"""The nodes of one of several schedulers: a node is registered here when the store says that its name is at no other.

Slots and leases of nodes are in this process; only names are shared (names.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from voxpool.scheduler.core.jobs.job import key_of
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.protocol.messages import Error
from voxpool.scheduler.shared.partition.feed import Feed

TRIES = 2
"""How often a name is asked for that another process has: in between, its scheduler tests that connection."""
TEST_S = 1.0
"""How much longer than a test of a connection, which takes probe_s at most, the second question waits."""


class SharedRegistry(NodeRegistry):
    """A registry whose names are shared. `home_of` returns the feed of the partition that has a name."""

    home_of: Callable[[str], Feed]
    on_pairs_left: Callable[[list[str]], None]
    """Gets the pairs that no node here serves any more."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.retry_s = 2 * TEST_S
        self._to_test: deque[Node] = deque()
        self._tester: asyncio.Future[None] | None = None

    def register(self, node: Node) -> None:
        """Register `node`; a new connection first asks for its name."""
        if node.generation:
            super().register(node)
        else:
            self.ask(node, Named(self, node))

    def ask(self, node: Node, named: Named) -> None:
        """Ask for the name of `node`."""
        feed = self.home_of(node.node_id)
        feed.names.join(node.node_id, key_of(node.owner, node.process_id), named)
        feed.nudge()

    def leave(self, node: Node, reason: str) -> None:
        """Drop `node`, and give its name back."""
        super().leave(node, reason)
        self.on_pairs_left([pair for pair in node.pairs if not self._intake.has_node(pair)])
        feed = self.home_of(node.node_id)
        feed.names.leave(node.node_id)
        feed.nudge()

    def is_present(self, node: Node) -> bool:
        """Whether `node` is the connection of its name here."""
        return node.connected and self.nodes.get(node.node_id) is node

    def test(self, node: Node) -> None:
        """Close the connection of `node` unless it answers."""
        self._to_test.append(node)
        if self._tester is not None and not self._tester.done():
            self._tester.set_result(None)

    async def test_forever(self) -> None:
        """Test connections, one after the other."""
        while True:
            while self._to_test:
                node = self._to_test.popleft()
                if self.is_present(node) and not await node.link.probe():
                    node.link.close("no_answer")
            self._tester = asyncio.get_running_loop().create_future()
            await self._tester


class Named:
    """A connection that asks for its name (NameHolder)."""

    def __init__(self, registry: SharedRegistry, node: Node) -> None:
        self._registry = registry
        self._node = node
        self._tries = 1

    def named(self) -> None:
        """It gets jobs from now on."""
        if self._registry.is_present(self._node) and not self._node.generation:
            NodeRegistry.register(self._registry, self._node)

    def refused(self) -> None:
        """Ask again when the other connection was tested; then it is refused."""
        if not self._registry.is_present(self._node):
            return
        if self._tries < TRIES:
            self._tries += 1
            asyncio.get_running_loop().call_later(self._registry.retry_s, self._ask_again)
            return
        detail = f"another process is connected as {self._node.node_id!r} to another scheduler; rename one"
        self._node.link.send(Error("name_taken", detail))
        self._node.link.close("name_taken")

    def replaced(self) -> None:
        """The node has connected to another scheduler."""
        self._node.link.close("replaced")

    def probe(self) -> None:
        """Another process wants the name."""
        self._registry.test(self._node)

    def _ask_again(self) -> None:
        if self._registry.is_present(self._node):
            self._registry.ask(self._node, self)
