"""The free slots of the nodes of one scheduler: reserved before a job is known that will take one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.scripts import Reply, Want, node_offline, select_node
from voxpool.scheduler.shared.local_queue import LocalQueue

SEEDS = 2**31 - 2


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A reserved slot of `node`, under the generation that the node had then."""

    node: Node
    generation: str
    name: str

    @property
    def is_void(self) -> bool:
        """Whether its node has left, or has registered again since: that has freed the slot."""
        return not self.node.connected or self.node.generation != self.generation


class Slots:
    """Reserves by lua/select_node.lua. `room` must be called whenever a slot may have become free."""

    def __init__(
        self, settings: Settings, clock: Clock, queue: LocalQueue, registry: NodeRegistry, random: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._queue = queue
        self._registry = registry
        self._random = random
        self._count = 0
        self._open: set[str] = set()
        """Pairs of nodes here for which a slot may be free: the last search has found one, or one was freed since."""

    def room(self, pair: str) -> None:
        """A slot for `pair` may be free."""
        self._open.add(pair)

    def left(self, pair: str) -> None:
        """No node here serves `pair` any more."""
        self._open.discard(pair)

    def has_room(self, pair: str) -> bool:
        """Whether a slot may be free."""
        return pair in self._open

    def new_name(self) -> str:
        """Return a name for a reservation: it is made before its job is known."""
        self._count += 1
        return f"s{self._count}|0"

    def reserve(self, pair: str, prefer: str = "", avoid: tuple[str, ...] = ()) -> Slot | None:
        """Reserve a slot: at `prefer` if that node has one, at one of `avoid` if no other has. None: there is none."""
        while pair in self._open:
            name, now_ms = self.new_name(), self._clock.now_ms()
            want = Want(name, pair, now_ms + self._registry.reservation_ms, prefer, avoid)
            seed = 1 + int(self._random() * SEEDS)
            settings = self._settings
            call = select_node(now_ms, seed, settings.choices, settings.removals_max, [want])
            node_id, generation = self._queue.ask(call)
            node = self._registry.nodes.get(node_id)
            if node is not None:
                return Slot(node, generation, name)
            if node_id:  # it registered again, and left before it had its name: this is its connection before
                self._queue.ask(node_offline(node_id, generation))
                continue
            if generation != Reply.AGAIN:
                self._open.discard(pair)
        return None
