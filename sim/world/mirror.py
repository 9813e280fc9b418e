"""The expected content of the store, derived from the executed calls and their answers.

The checkers read it at every step, where reading the store would be too slow; a full recount compares both. From the
answers it takes only which node was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.sim.observing.watch import Watcher


class MirrorNode:
    """The expected record of a node; `lease_end_ms` is set by its last register or beat."""

    __slots__ = ("flags", "generation", "lease_end_ms", "load", "node_id", "pairs", "process_id", "slots")

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.generation = ""
        self.process_id = ""
        self.slots = 0
        self.flags = ""
        self.pairs: tuple[str, ...] = ()
        self.lease_end_ms = 0
        self.load = 0

    @property
    def has_room(self) -> bool:
        """True when the node can take another job; its lease is not checked."""
        return self.load < self.slots and not self.flags


class StoreMirror(Watcher):
    """The expected nodes, reservations and free slots. It is added before the checkers that read it."""

    def __init__(self) -> None:
        self.nodes: dict[str, MirrorNode] = {}
        self.reservations: dict[str, tuple[MirrorNode, str]] = {}
        """job|attempt -> node, and the generation that was allocated."""
        self.room: dict[tuple[str, ...], int] = {}
        """Pairs of a node -> number of such nodes with room, including those whose lease has ended unnoticed."""
        self.over_slots = 0
        """Reservations that exceed the slots."""
        self.reservations_lost: dict[str, tuple[MirrorNode, str]] = {}
        """Reservations at the last loss of the store's data, which the scheduler may notice later."""
        self.selects = 0
        """Number of calls of select_node so far."""
        self.allocated: list[tuple[str, str, MirrorNode]] = []
        """The allocations of the flush that was executed last: job|attempt, pair, node."""
        self.without_room: dict[str, int] = {}
        """The pairs for which that flush found no node, and the time of its select in ms."""
        self._now_ms = 0
        self._last_select = ["0"]
        self._handlers: dict[str, Callable[[list[str], list[str]], None]] = {
            "select_node": self._select,
            "select_explained": self._select,
            "release_job": self._release,
            "register_node": self._register,
            "heartbeat": self._heartbeat,
            "node_offline": self._offline,
            "drain_node": self._drain,
            "expire_reservations": self._expire,
        }

    def calls_run(self, calls: Sequence[ScriptCall], answers: Sequence[list[str]]) -> None:
        if self.allocated:
            self.allocated = []
        if self.without_room:
            self.without_room = {}
        handlers = self._handlers
        for (name, args, _), answer in zip(calls, answers, strict=True):
            handler = handlers.get(name)
            if handler is not None:
                handler(args, answer)

    def scheduler_gone(self) -> None:
        """Treat leases that have ended by this scheduler's clock as expired (0 in the store), whatever the clock of the
        next one.
        """
        self._judged_by(max(self._now_ms, int(self._last_select[0])))
        self._now_ms, self._last_select = 0, ["0"]

    def _judged_by(self, now_ms: int) -> None:
        """Treat every lease that had ended at `now_ms` as expired."""
        for node in self.nodes.values():
            if node.lease_end_ms <= now_ms:
                node.lease_end_ms = 0

    def store_emptied(self) -> None:
        self.reservations_lost = dict(self.reservations)
        self.nodes.clear()
        self.reservations.clear()
        self.room.clear()

    def may_have_room(self, pair: str) -> bool:
        """True when a node of `pair` has room, whatever its lease; it reads the counts only."""
        return any(nodes and pair in pairs for pairs, nodes in self.room.items())

    def living_with_room(self, pair: str, now_ms: int) -> list[MirrorNode]:
        """Return the nodes of `pair` that could take a job at `now_ms`; it reads all nodes."""
        return [
            node for node in self.nodes.values() if pair in node.pairs and node.has_room and node.lease_end_ms > now_ms
        ]

    # ---- one method a script

    def _select(self, args: list[str], answer: list[str]) -> None:
        self.selects += 1
        if int(args[0]) < int(self._last_select[0]):
            self._judged_by(int(self._last_select[0]))  # a late call of a scheduler that has died
        self._last_select = args
        reservations = self.reservations
        allocated = self.allocated = []
        without_room = self.without_room = {}
        at, end, i = 4, len(args), 0
        while at < end:
            node_id = answer[i]
            if node_id:
                reservation = args[at]
                if reservation not in reservations:
                    allocated.append((reservation, args[at + 1], self._take(reservation, node_id, answer[i + 1])))
            elif not answer[i + 1]:
                without_room[args[at + 1]] = int(args[0])
            i += 2
            at += 5 + int(args[at + 4])

    def _take(self, reservation: str, node_id: str, generation: str) -> MirrorNode:
        node = self.nodes.get(node_id)
        if node is None:
            node = self._new(node_id)
        self.reservations[reservation] = (node, generation)
        node.load += 1
        if node.load >= node.slots:
            if node.load > node.slots:
                self.over_slots += 1
            elif not node.flags:
                self._count_room(node, -1)
        return node

    def _free(self, reservation: str) -> None:
        held = self.reservations.pop(reservation, None)
        if held is None:
            return
        node = held[0]
        node.load -= 1
        if node.load == node.slots - 1 and not node.flags:
            self._count_room(node, 1)

    def _release(self, args: list[str], answer: list[str]) -> None:
        for reservation, node_id in zip(args, answer, strict=True):
            if node_id:
                self._free(reservation)

    def _register(self, args: list[str], answer: list[str]) -> None:
        if answer[0] != "OK":
            return
        node_id, generation, process_id, flags = args[2], args[3], args[4], args[6]
        node = self.nodes.get(node_id) or self._new(node_id)
        node.lease_end_ms = int(args[0]) + int(args[1])
        if node.generation == generation:
            return
        self._close(node)
        if node.process_id == process_id and "d" in node.flags and "d" not in flags:
            flags += "d"
        node.generation = generation
        node.process_id = process_id
        node.slots = int(args[5])
        node.flags = flags
        node.pairs = tuple(args[7].split(","))
        self._drop(answer[1:])
        for reservation in args[9::2]:
            if reservation not in self.reservations:
                self.reservations[reservation] = (node, generation)
                node.load += 1
        if node.has_room:
            self._count_room(node, 1)

    def _heartbeat(self, args: list[str], answer: list[str]) -> None:
        self._now_ms = int(args[0])
        lease_end_ms = self._now_ms + int(args[1])
        for node_id, word in zip(args[2::2], answer, strict=True):
            if word == "OK" and node_id in self.nodes:
                self.nodes[node_id].lease_end_ms = lease_end_ms

    def _offline(self, args: list[str], answer: list[str]) -> None:
        if answer[0] != "OK":
            return
        node = self.nodes.pop(args[0], None)
        if node is not None:
            self._close(node)
        self._drop(answer[1:])

    def _drain(self, args: list[str], answer: list[str]) -> None:
        node = self.nodes.get(args[0])
        if answer[0] != "OK" or node is None:
            return
        had_room = node.has_room
        flag, on = args[2], args[3] == "1"
        others = node.flags.replace(flag, "")
        node.flags = "".join(sorted(others + flag)) if on else others
        if had_room != node.has_room:
            self._count_room(node, 1 if node.has_room else -1)

    def _expire(self, args: list[str], answer: list[str]) -> None:
        for reservation in answer[::2]:
            self._free(reservation)

    def _close(self, node: MirrorNode) -> None:
        """Remove `node` from the counts of nodes with free slots; the caller adds it again."""
        if node.has_room:
            self._count_room(node, -1)

    def _drop(self, reservations: Sequence[str]) -> None:
        """Remove reservations of a node that `_close` removed from the counts."""
        for reservation in reservations:
            held = self.reservations.pop(reservation, None)
            if held is not None:
                held[0].load -= 1

    def _new(self, node_id: str) -> MirrorNode:
        node = self.nodes[node_id] = MirrorNode(node_id)
        return node

    def _count_room(self, node: MirrorNode, by: int) -> None:
        room = self.room
        room[node.pairs] = room.get(node.pairs, 0) + by
