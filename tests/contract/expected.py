"""The expected behaviour in plain Python: the answers that scripts may give, and the states that may follow.

It draws nothing: where a script chooses, it knows the admissible choices and learns which one was taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voxpool.scheduler.core.scripts import Reply, ScriptCall, looks_of
from voxpool.scheduler.stores.memory import Dump

AGAIN = Reply.AGAIN.value


@dataclass
class ExpectedNode:
    """A node as the store must have it. `lease_ms` None = it has no lease; `known` False = its record was lost."""

    generation: str
    process: str
    slots: int
    flags: str
    pairs: list[str]
    lease_ms: int | None
    known: bool = True

    @property
    def record(self) -> str:
        """Return its record."""
        return "|".join([self.generation, self.process, str(self.slots), self.flags, f",{','.join(self.pairs)},"])


@dataclass
class Expected:
    """The expected state.

    `free` has the entries of the pools, except those that selects have removed: the dump shows them.
    """

    nodes: dict[str, ExpectedNode] = field(default_factory=dict)
    reservations: dict[str, tuple[str, int]] = field(default_factory=dict)
    free: set[tuple[str, str]] = field(default_factory=set)
    lapsing_ms: int = -1
    """The latest time of a select, which may have removed a node whose lease had expired by then."""

    def check_answer(self, call: ScriptCall, answer: list[str]) -> None:
        """Assert that `answer` is admissible, and apply it to the state."""
        getattr(self, f"_{call.name}")(call.args, answer)

    def forget(self) -> None:
        """All data are lost."""
        self.nodes.clear()
        self.reservations.clear()
        self.free.clear()

    _removals_max: int = 0
    """Upper bound of the entries removed since the last dump."""

    # ---- a node

    def load(self, node: str) -> int:
        """Return how many jobs it holds."""
        return sum(1 for holder, _ in self.reservations.values() if holder == node)

    def mine(self, node: str) -> list[str]:
        """Return the jobs that it holds, in order."""
        return sorted(reservation for reservation, (holder, _) in self.reservations.items() if holder == node)

    def has_room(self, node: str, now_ms: int) -> bool:
        """True when it may get a job of its pairs."""
        it = self.nodes.get(node)
        return it is not None and it.known and self._alive(it, now_ms) and not it.flags and self.load(node) < it.slots

    def _alive(self, node: ExpectedNode, now_ms: int) -> bool:
        return (node.lease_ms or 0) > now_ms

    def _open(self, node: str) -> None:
        self.free |= {(pair, node) for pair in self.nodes[node].pairs}

    def _shut(self, node: str) -> None:
        self.free -= {(pair, node) for pair in self.nodes[node].pairs}

    # ---- the scripts

    def _register_node(self, args: list[str], answer: list[str]) -> None:
        now_ms, lease_ms, node, generation, process, slots, flags, pairs, replaces, *keep = args
        now, end = int(now_ms), int(now_ms) + int(lease_ms)
        named = dict(zip(keep[::2], map(int, keep[1::2]), strict=True))
        old = self.nodes.get(node)
        if old is not None and old.known:
            alive = self._alive(old, now)
            if old.generation == generation:
                assert answer == ["OK"]
                old.lease_ms = max(old.lease_ms or 0, end)
                if not alive and not old.flags and self.load(node) < old.slots:
                    self._open(node)
                return
            if old.process != process and alive and old.generation != replaces:
                assert answer == ["TAKEN", old.generation]
                return
            if old.process == process and "d" in old.flags and "d" not in flags:
                flags += "d"
            self._shut(node)
        freed = [reservation for reservation in self.mine(node) if reservation not in named]
        assert answer == ["OK", *freed], (answer, freed)
        for reservation in freed:
            del self.reservations[reservation]
        for reservation, due in named.items():
            self.reservations.setdefault(reservation, (node, due))
        self.nodes[node] = ExpectedNode(generation, process, int(slots), flags, pairs.split(",") if pairs else [], end)
        if not flags and self.load(node) < int(slots):
            self._open(node)

    def _heartbeat(self, args: list[str], answer: list[str]) -> None:
        now, lease_ms, *beats = args
        words = []
        for node, generation in zip(beats[::2], beats[1::2], strict=True):
            it = self.nodes.get(node)
            if it is None or not it.known:
                words.append("UNKNOWN")
            elif it.generation != generation:
                words.append("REPLACED")
            elif not self._alive(it, int(now)):
                words.append("UNKNOWN")
            else:
                it.lease_ms = max(it.lease_ms or 0, int(now) + int(lease_ms))
                words.append("OK")
        assert answer == words, (answer, words)

    def _node_offline(self, args: list[str], answer: list[str]) -> None:
        node, generation, lapsed_before = args
        it = self.nodes.get(node)
        mine = self.mine(node)
        if it is None or not it.known:
            left = bool(mine) or (it is not None and it.lease_ms is not None)
            if generation or not left:
                assert answer == ["UNKNOWN"], answer
                return
        elif it.generation != generation:
            assert answer == ["REPLACED"], answer
            return
        if it is not None and lapsed_before and (it.lease_ms or 0) > int(lapsed_before):
            assert answer == ["ALIVE"], answer
            return
        assert answer == ["OK", *mine], (answer, mine)
        for reservation in mine:
            del self.reservations[reservation]
        if it is not None:
            if it.known:
                self._shut(node)
            del self.nodes[node]

    def _drain_node(self, args: list[str], answer: list[str]) -> None:
        node, generation, flag, on = args
        it = self.nodes.get(node)
        if it is None or not it.known:
            assert answer == ["UNKNOWN"], answer
            return
        if it.generation != generation:
            assert answer == ["REPLACED"], answer
            return
        assert answer == ["OK"], answer
        if on == "1" and flag not in it.flags:
            it.flags += flag
        elif on == "0":
            it.flags = it.flags.replace(flag, "")
        if it.flags:
            self._shut(node)
        elif self.load(node) < it.slots:
            self._open(node)

    def _release_job(self, args: list[str], answer: list[str]) -> None:
        expected = []
        for reservation in args:
            expected.append(self.reservations[reservation][0] if reservation in self.reservations else "")
            self._free(reservation)
        assert answer == expected, (answer, expected)

    def _expire_reservations(self, args: list[str], answer: list[str]) -> None:
        now, limit = int(args[0]), int(args[1])
        due = sorted((due, reservation) for reservation, (_, due) in self.reservations.items() if due <= now)[:limit]
        expected = [text for _, reservation in due for text in (reservation, self.reservations[reservation][0])]
        assert answer == expected, (answer, expected)
        for _, reservation in due:
            self._free(reservation)

    def _free(self, reservation: str) -> None:
        node = self.reservations.pop(reservation, ("", 0))[0]
        it = self.nodes.get(node)
        if it is not None and it.known and not it.flags and self.load(node) == it.slots - 1:
            self._open(node)

    def _lapsed_nodes(self, args: list[str], answer: list[str]) -> None:
        now, limit = int(args[0]), int(args[1])
        ended = sorted(
            (it.lease_ms, name) for name, it in self.nodes.items() if it.lease_ms is not None and it.lease_ms <= now
        )[:limit]
        expected = []
        for _, name in ended:
            expected += [name, self.nodes[name].generation if self.nodes[name].known else ""]
        assert answer == expected, (answer, expected)

    def _forget_about(self, args: list[str], answer: list[str]) -> None:
        assert answer == []
        if args[0] in self.nodes:
            self.nodes[args[0]].known = False

    def _forget_lease(self, args: list[str], answer: list[str]) -> None:
        assert answer == []
        if args[0] in self.nodes:
            self.nodes[args[0]].lease_ms = None

    def _select_explained(self, args: list[str], answer: list[str]) -> None:
        """Check that nodes are chosen as by select_node; each node with room that is listed has its load."""
        now, jobs, at = int(args[0]), 0, 4
        while at < len(args):
            jobs, at = jobs + 1, at + 5 + int(args[at + 4])
        loads = {name: self.load(name) for name in self.nodes}
        able = {name for name in self.nodes if self.has_room(name, now)}
        for total, looks in looks_of(answer, jobs):
            assert len(looks) == min(total, 16)
            for look in looks:
                assert (look.load is not None) == (look.word in ("free", "preferred", "avoided")), look
                if look.load is not None:
                    assert look.node_id in able, look
                    assert loads[look.node_id] <= look.load < (look.slots or 0), (look, loads)
        self._select_node(args, answer[: 2 * jobs])

    def _select_node(self, args: list[str], answer: list[str]) -> None:
        now, choices, removals_max = int(args[0]), int(args[2]), int(args[3])
        self.lapsing_ms = max(self.lapsing_ms, now)
        stale = sum(1 for _, node in self.free if not self.has_room(node, now))
        no_more: dict[str, str] = {}
        self._removals_max += removals_max
        rest, answers = args[4:], list(answer)
        while rest:
            reservation, pair, due, prefer, avoid_count = rest[:5]
            avoid, rest = rest[5 : 5 + int(avoid_count)], rest[5 + int(avoid_count) :]
            node, generation = answers[:2]
            del answers[:2]
            if reservation in self.reservations:
                holder = self.nodes.get(self.reservations[reservation][0])
                known = holder is not None and holder.known
                assert node == self.reservations[reservation][0], (
                    "a repeated call must answer the same node",
                    reservation,
                    node,
                )
                assert generation == (holder.generation if holder is not None and known else ""), (
                    reservation,
                    generation,
                )
                continue
            able = {name for name, it in self.nodes.items() if pair in it.pairs and self.has_room(name, now)}
            if pair in no_more:
                assert (node, generation) == ("", no_more[pair])
            elif node == "":
                no_more[pair] = generation
                if generation == AGAIN:
                    assert stale >= removals_max, "AGAIN though the removals can't have run out"
                else:
                    assert generation == "" and not able, ("nobody has room?", pair, able)
            else:
                self._check_choice(node, able, prefer, set(avoid), choices if stale < removals_max else 1)
                assert generation == self.nodes[node].generation
                self.reservations[reservation] = (node, int(due))
                if not self.has_room(node, now):
                    self.free.discard((pair, node))
                    stale += len(self.nodes[node].pairs)
            self._removals_max += 1  # a job considers at least one node
        assert not answers

    def _check_choice(self, node: str, able: set[str], prefer: str, avoid: set[str], choices: int) -> None:
        assert node in able, ("no room there", node, able)
        wanted = able - avoid
        if prefer in wanted:
            assert node == prefer
        elif wanted:
            assert node in wanted, ("avoided, but taken", node, wanted)
            if choices >= len(wanted):
                assert self._fill(node) == min(map(self._fill, wanted)), ("not the least loaded", node, wanted)

    def _fill(self, node: str) -> float:
        return self.load(node) / self.nodes[node].slots

    # ---- the stored state

    def check_state(self, dump: Dump) -> None:
        """Assert that `dump` is the state, and learn which entries a select has removed."""
        leases = {node: int(score) for node, score in dump.get("leases", [])}
        for name, it in self.nodes.items():
            if leases.get(name) == 0 and (it.lease_ms or 0) <= self.lapsing_ms and it.known:
                it.lease_ms = 0
        assert leases == {name: it.lease_ms for name, it in self.nodes.items() if it.lease_ms is not None}
        assert dict(dump.get("nodes", [])) == {name: it.record for name, it in self.nodes.items() if it.known}
        assert dict(dump.get("reservations", [])) == {
            reservation: node for reservation, (node, _) in self.reservations.items()
        }
        held = [f"{node}|{reservation}" for reservation, (node, _) in self.reservations.items()]
        assert dump.get("held", []) == [(entry, "0") for entry in sorted(held)]
        due = sorted((due, reservation) for reservation, (_, due) in self.reservations.items())
        assert dump.get("due", []) == [(reservation, str(due)) for due, reservation in due]
        self._check_free(dump)

    def _check_free(self, dump: Dump) -> None:
        entries = [entry for entry, _ in dump.get("capacity", [])]
        assert entries == sorted(entries)
        free = {(pair, node) for pair, node in (entry.split("|") for entry in entries)}
        assert free <= self.free, ("stands in a pool without reason", free - self.free)
        removed = self.free - free
        assert len(removed) <= self._removals_max, ("removed, more than allowed", removed)
        self.free, self._removals_max = free, 0
        for name, it in self.nodes.items():
            if self.has_room(name, self.lapsing_ms):
                missing = {(pair, name) for pair in it.pairs} - free
                assert not missing, ("has room and can't be drawn", missing)
