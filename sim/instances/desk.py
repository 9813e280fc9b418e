"""The nodes of one scheduler and what its clients wait for, as plain decisions: the explorer's Desk (shared/seams.py).

A slot is reserved before a job is asked for. An attempt is sent once; a later one takes its place. The links are those
of the explored world, or of tests on a real store. Production's desk is scheduler/shared/dispatcher.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from voxpool.scheduler.config import FAIR, PRIORITY, SUBMIT
from voxpool.scheduler.shared.partition.asked import Asked
from voxpool.scheduler.shared.partition.audio_calls import audio_name_of
from voxpool.scheduler.shared.partition.calls import Record, Taken, turn_of
from voxpool.scheduler.shared.partition.feed import Feed
from voxpool.scheduler.shared.partition.names import Names, home_of
from voxpool.sim.instances.desk_parts import ClientLink, Held, Node, Wish

REFUSED = "r"
"""The state of a job that the store has not taken."""
NAME_TAKEN, REPLACED = "name_taken", "replaced"
"""Why a node's connection is closed: of another process, and of its own at another scheduler."""

KEYS = 4
"""Of the clients, when the order is fair."""


class SharedDesk:
    """Implements Desk (feed.py). `feeds` has one for each partition; the caller fills it."""

    def __init__(self, name: str, order: str = SUBMIT) -> None:
        self.name = name
        self._order = order
        self.feeds: list[Feed] = []
        self.nodes: dict[str, Node] = {}
        self._room: dict[str, dict[Node, None]] = {}
        self._held: dict[str, Held] = {}
        self._wishes: dict[str, Wish] = {}
        self._submits = 0

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Return how many attempts, wishes and early results there are."""
        return len(self._held), len(self._wishes), sum(len(node.early) for node in self.nodes.values())

    def count_load(self) -> tuple[int, int]:
        """Return the jobs and the slots of its nodes."""
        return len(self._held), sum(node.slots for node in self.nodes.values())

    # ---- clients

    def submit(
        self,
        partition: int,
        key: str,
        pair: str,
        audio: bytes,
        client: ClientLink,
        expires_ms: int = 0,
        prefer: str = "",
    ) -> None:
        """A client asks for a job, perhaps again; `key` is its request id, which is the job's identity."""
        job_id = f"{partition}.{key}"
        wish = self._wishes.get(job_id)
        if wish is not None:
            wish.client = client
            if wish.asked.is_accepted:
                client.accepted(key)
            return
        self._submits += 1
        asked = Asked(
            job_id, pair, audio, f"{self.name}-{self._submits}", str(len(audio)), prefer, expires_ms=expires_ms
        )
        if self._order == FAIR:
            number = zlib.crc32(key.encode())
            asked.turn = turn_of(PRIORITY + number % 2, f"key{number % KEYS}", weight=1 + number % 3)
        self._wishes[job_id] = Wish(asked, key, client)
        self.feeds[partition].submit(asked)

    def cancel(self, partition: int, key: str) -> None:
        """A client no longer wants its job; it gets the end of it nevertheless."""
        self.feeds[partition].cancel(f"{partition}.{key}", "x", "cancelled")

    def client_left(self, client: ClientLink) -> None:
        """Its jobs go on; the results stay in the store for whoever asks again."""
        for job_id in [job_id for job_id, wish in self._wishes.items() if wish.client is client]:
            self._forget(job_id)

    def _forget(self, job_id: str) -> Wish | None:
        wish = self._wishes.pop(job_id, None)
        if wish is not None:
            self.feeds[_partition_of(job_id)].withdraw(wish.asked)
        return wish

    # ---- nodes

    def node_came(self, node: Node, running: Sequence[tuple[str, int]], partition_of: Sequence[int]) -> None:
        """A node registers with the attempts that it runs; `partition_of` = the partition of each of its pairs."""
        old = self.nodes.get(node.node_id)
        if old is not None and old.process != node.process:
            node.is_gone = True
            node.link.close(NAME_TAKEN)
            return
        if old is not None:
            for job_id, attempt in running:
                held = self._held.get(job_id)
                if held is not None and held.node is old and held.attempt == attempt:
                    del self._held[job_id], old.holds[job_id]  # it brings it along: the claim decides
            self.node_left(old)
        self.nodes[node.node_id] = node
        self._names_of(node).join(node.node_id, node.process, NamedNode(self, node))
        for pair, partition in zip(node.pairs, partition_of, strict=True):
            self.feeds[partition].hunger.served(pair)
        for job_id, attempt in running:
            node.holds[job_id] = attempt
            node.used += 1
            self.feeds[_partition_of(job_id)].claim(job_id, attempt, node)
        self._open(node)

    def node_left(self, node: Node) -> None:
        """Its connection has closed: what it ran waits again, unless it comes back with it elsewhere first."""
        if node.is_gone:
            return
        node.is_gone = True
        for pair in node.pairs:
            self._room.get(pair, {}).pop(node, None)
        if self.nodes.get(node.node_id) is node:
            del self.nodes[node.node_id]
            self._names_of(node).leave(node.node_id)
        for job_id in list(node.holds):
            held = self._held.get(job_id)
            if held is not None and held.node is node:
                self._lose(job_id)

    def node_answered(self, node: Node, job_id: str, attempt: int, state: str, outcome: str) -> None:
        """A node has the result of an attempt."""
        held = self._held.get(job_id)
        if held is None or held.attempt != attempt or held.node is not node:
            if node.holds.get(job_id) == attempt:
                node.early[job_id] = (state, outcome)
            return
        del self._held[job_id], node.holds[job_id]
        self.feeds[_partition_of(job_id)].finish(held.audio_name, job_id, attempt, state, outcome)
        self.free(node)

    def time_out(self, job_id: str) -> None:
        """The node of a job has taken too long: the job waits again, and the node drops it."""
        held = self._held.pop(job_id)
        self.feeds[_partition_of(job_id)].give_back(job_id, held.attempt, "timeout")
        self._let_node_drop(held.node, job_id, held.attempt)

    def expire(self, now_ms: int) -> None:
        """End what nodes here run and no client wants any more."""
        for job_id in [job_id for job_id, held in self._held.items() if 0 < held.expires_ms <= now_ms]:
            self.feeds[_partition_of(job_id)].cancel(job_id, "f", "expired")

    @property
    def running(self) -> list[str]:
        """Return what nodes here run."""
        return list(self._held)

    def _names_of(self, node: Node) -> Names:
        return self.feeds[home_of(node.node_id, len(self.feeds))].names

    def _lose(self, job_id: str) -> None:
        held = self._held.pop(job_id)
        held.node.holds.pop(job_id, None)
        self.feeds[_partition_of(job_id)].give_back(job_id, held.attempt, "closed")

    def _open(self, node: Node) -> None:
        if node.used < node.slots:
            for pair in node.pairs:
                self._room.setdefault(pair, {})[node] = None

    # ---- Desk

    def has_room(self, pair: str) -> bool:
        """Whether a node here has a free slot for `pair`."""
        return bool(self._room.get(pair))

    def reserve(self, pair: str) -> Node | None:
        """Reserve a slot; nodes take turns."""
        room = self._room.get(pair)
        if not room:
            return None
        node = next(iter(room))
        node.used += 1
        del room[node]
        if node.used < node.slots:
            room[node] = None
        else:
            for other in node.pairs:
                self._room.get(other, {}).pop(node, None)
        return node

    def free(self, slot: object) -> None:
        """A slot is free again."""
        assert isinstance(slot, Node)
        slot.used -= 1
        if not slot.is_gone:
            self._open(slot)
            for feed in self.feeds:
                feed.nudge()

    def has(self, job_id: str, attempt: int) -> bool:
        """Whether this attempt, or a later one, is with a node here."""
        held = self._held.get(job_id)
        return held is not None and held.attempt >= attempt

    def held(self, partition: int) -> list[tuple[str, int]]:
        """Return all (job, attempt) of a partition that are with nodes here."""
        return [(job_id, held.attempt) for job_id, held in self._held.items() if _partition_of(job_id) == partition]

    def start(self, taken: Taken, slot: object, audio: bytes) -> None:
        """Send a job to the node of a reserved slot."""
        assert isinstance(slot, Node)
        if self.has(taken.job_id, taken.attempt):
            self.free(slot)
            return
        self._drop(taken.job_id)  # it was taken from us, and came back under a later attempt
        audio_name = audio_name_of(taken.meta)
        self._held[taken.job_id] = Held(taken.attempt, slot, taken.pair, audio_name, taken.expires_ms)
        slot.holds[taken.job_id] = taken.attempt
        if slot.is_gone:
            self._lose(taken.job_id)
            return
        slot.link.assign(taken.job_id, taken.attempt, taken.pair, audio)

    def give_up(self, job_id: str, attempt: int) -> None:
        """This attempt, and those before it, do not count any more."""
        held = self._held.get(job_id)
        if held is not None and held.attempt <= attempt:
            self._drop(job_id)

    def _drop(self, job_id: str) -> None:
        held = self._held.pop(job_id, None)
        if held is not None:
            self._let_node_drop(held.node, job_id, held.attempt)

    def _let_node_drop(self, node: Node, job_id: str, attempt: int) -> None:
        if node.holds.get(job_id) == attempt:
            del node.holds[job_id]
            node.link.cancel(job_id, attempt)
            self.free(node)

    def claimed(self, job_id: str, attempt: int, node: object, record: Record | None) -> None:
        """The claim of what `node` runs was answered; without a record the attempt does not count any more."""
        assert isinstance(node, Node)
        early = node.early.pop(job_id, None)
        newer = self.nodes.get(node.node_id)
        if node.is_gone and newer is not None and newer.holds.get(job_id) == attempt:
            return  # it has come again meanwhile, and that claim decides
        if record is None:
            self._let_node_drop(node, job_id, attempt)
            return
        if node.holds.get(job_id) != attempt:
            return
        if self.has(job_id, attempt + 1):
            self._let_node_drop(node, job_id, attempt)
            return
        if job_id in self._held and self._held[job_id].node is not node:
            self._drop(job_id)  # after lost writes another node here may run an earlier attempt
        self._held[job_id] = Held(attempt, node, record.pair, audio_name_of(record.meta))
        if early is not None:
            self.node_answered(node, job_id, attempt, *early)
        elif node.is_gone:
            self._lose(job_id)

    def asked(self, partition: int) -> list[Asked]:
        """Return what clients here wait for."""
        return [wish.asked for job_id, wish in self._wishes.items() if _partition_of(job_id) == partition]

    def find_asked(self, job_id: str) -> Asked | None:
        """Return one of them."""
        wish = self._wishes.get(job_id)
        return None if wish is None else wish.asked

    def accepted(self, job_id: str) -> None:
        """The store has the job."""
        wish = self._wishes.get(job_id)
        if wish is not None and not wish.asked.is_accepted:
            wish.asked.is_accepted = True
            wish.client.accepted(wish.request_id)

    def ended(self, job_id: str, state: str, outcome: str) -> None:
        """The job has ended."""
        if state != REFUSED:
            self.accepted(job_id)  # this may have overtaken the answer to its submit
        wish = self._forget(job_id)
        if wish is not None:
            wish.client.ended(wish.request_id, state, outcome)


class NamedNode:
    """What becomes of a node by the fate of its name; implements NameHolder."""

    def __init__(self, desk: SharedDesk, node: Node) -> None:
        self._desk = desk
        self._node = node

    def named(self) -> None:
        """It was served before: a name is seldom taken."""

    def refused(self) -> None:
        """Another process has the name."""
        self._close(NAME_TAKEN)

    def replaced(self) -> None:
        """It has come to another scheduler, which claims what it runs."""
        self._close(REPLACED)

    def probe(self) -> None:
        """Another process wants the name."""
        self._node.link.probe()

    def _close(self, reason: str) -> None:
        self._node.link.close(reason)
        self._desk.node_left(self._node)


def _partition_of(job_id: str) -> int:
    return int(job_id.partition(".")[0])
