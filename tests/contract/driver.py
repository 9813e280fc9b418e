"""Drives stores by random script calls and compares them with each other and with the expected state.

A step is a kind and a number; all its details are drawn from the number, relative to the current state. Hypothesis can
therefore shorten a list of steps and the rest is still valid.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.contract.expected import Expected
from tests.contract.sides import Side
from tests.contract.steps import Steps
from voxpool.scheduler.core import scripts
from voxpool.scheduler.core.scripts import ScriptCall, Want

# Names with an unexpected sort order, and names that are prefixes of others.
NODES = ("n", "n-1", "n.1", "N", "n1", "n_")
PAIRS = ("a:b", "b:a", "a-b:c", "a:bb", "zh:en")
PROCESSES = ("p", "q")
LEASE_MS = 45_000
SEED_MAX = 2**31 - 2

KINDS = {
    "register": 20,
    "heartbeat": 14,
    "offline": 5,
    "drain": 6,
    "select": 70,
    "release": 35,
    "expire": 4,
    "lapsed": 4,
    "repeat": 14,
    "pass_time": 14,
    "sweep": 4,
    "damage": 2,
    "lose_data": 1,
    "lose_scripts": 1,
    "purge": 1,
}
"""Kind of a step -> its frequency."""


class Driver(Steps):
    """The calls of two schedulers whose clocks differ by `skew_ms`, executed on all `sides`."""

    def __init__(self, sides: Sequence[Side], skew_ms: int = 0) -> None:
        super().__init__(sides, skew_ms)
        self._seen: list[str] = []
        self._generations: dict[str, list[str]] = {}
        self.expected = Expected()

    # ---- steps

    def _register(self) -> None:
        chance, node = self._chance, self._chance.choice(NODES)
        mine = self.expected.mine(node)
        self._serial += 1
        generation = f"i-{self._serial}"
        self._generations.setdefault(node, []).append(generation)
        keep = [reservation for reservation in mine if chance.random() < 0.6]
        if chance.random() < 0.3:
            keep.append(self._new_reservation())
        if chance.random() < 0.1 and self.expected.reservations:
            keep.append(chance.choice(sorted(self.expected.reservations)))
        known = self.expected.nodes.get(node)
        if known and chance.random() < 0.1:
            generation = known.generation
        call = scripts.register_node(
            now_ms=self._time(),
            lease_ms=LEASE_MS,
            node_id=node,
            generation=generation,
            process_id=chance.choice(PROCESSES),
            slots=chance.choice((1, 1, 2, 3, 5)),
            flags=chance.choice(("", "", "", "", "r", "d", "dr")),
            pairs=chance.sample(PAIRS, chance.randrange(1, 5)),
            replaces=chance.choice(("", known.generation)) if known else "",
            keep=[(reservation, self._due()) for reservation in dict.fromkeys(keep)],
        )
        self._call(call)

    def _heartbeat(self) -> None:
        chance = self._chance
        nodes = chance.sample(NODES, chance.randrange(1, 4))
        self._call(scripts.heartbeat(self._time(), LEASE_MS, [(node, self._generation(node)) for node in nodes]))

    def _offline(self) -> None:
        node = self._chance.choice(NODES)
        generation = "" if self._chance.random() < 0.1 else self._generation(node)
        self._call(scripts.node_offline(node, generation, self._chance.choice((None, self._time()))))

    def _drain(self) -> None:
        chance = self._chance
        node = chance.choice(NODES)
        self._call(scripts.drain_node(node, self._generation(node), chance.choice("dr"), chance.random() < 0.45))

    def _select(self) -> None:
        chance = self._chance
        wants = []
        for _ in range(chance.choice((1, 1, 2, 5))):
            reservation = (
                chance.choice(self._seen) if self._seen and chance.random() < 0.25 else self._new_reservation()
            )
            nodes = (*NODES, "ghost")
            wants.append(
                Want(
                    reservation=reservation,
                    pair=chance.choice((*PAIRS, "zz:zz")),
                    due_ms=self._due(),
                    prefer=chance.choice(("", "", chance.choice(nodes))),
                    avoid=tuple(chance.sample(nodes, chance.choice((0, 0, 0, 1, 2, 3)))),
                )
            )
        seed, choices, removals_max = (
            chance.randint(1, SEED_MAX),
            chance.choice((1, 2, 2, 16)),
            chance.choice((1, 3, 1000)),
        )
        call = scripts.select_node(self._time(), seed, choices, removals_max, wants)
        self._call(scripts.select_explained(call) if chance.random() < 0.3 else call)

    def _release(self) -> None:
        chance, held = self._chance, sorted(self.expected.reservations)
        reservations = []
        for _ in range(chance.choice((1, 1, 2, 6))):
            if held and chance.random() < 0.8:
                reservations.append(chance.choice(held))
            elif self._seen:
                reservations.append(chance.choice(self._seen))
        if reservations:
            self._call(scripts.release_job(reservations))

    def _expire(self) -> None:
        self._call(scripts.expire_reservations(self._time(), self._chance.choice((1, 3, 100))))

    def _lapsed(self) -> None:
        self._call(scripts.lapsed_nodes(self._time(), self._chance.choice((1, 3, 100))))

    def _sweep(self) -> None:
        """Every node with an expired lease is removed, also a node of which only the lease is left."""
        now_ms = self._time()
        (listed,) = self._call(scripts.lapsed_nodes(now_ms, 100))
        for node, generation in zip(listed[::2], listed[1::2], strict=True):
            (answer,) = self._call(scripts.node_offline(node, generation, now_ms))
            assert answer[0] == "OK"
        assert self._call(scripts.lapsed_nodes(now_ms, 100)) == [[]]

    def _pass_time(self) -> None:
        chance = self._chance
        ends = sorted({node.lease_ms for node in self.expected.nodes.values() if node.lease_ms})
        if ends and chance.random() < 0.5:  # to the end of a lease, or just before or after it
            self._now_ms = max(self._now_ms, chance.choice(ends) + chance.choice((-1_000, -1, 0, 1)))
        else:
            self._now_ms += chance.choice((1, 500, 5_000, 15_000, 46_000))

    def _damage(self) -> None:
        node = self._chance.choice(NODES)
        self._call(ScriptCall(self._chance.choice(("forget_about", "forget_lease")), [node]))

    def _lose_data(self) -> None:
        for side in self._sides:
            side.clear()
        self.expected.forget()

    def _purge(self) -> None:
        """When all nodes are removed, only entries of damaged nodes are left, which a draw removes."""
        for name, node in sorted(self.expected.nodes.items()):
            self._call(scripts.node_offline(name, node.generation if node.known else ""))
        self._call(scripts.expire_reservations(self._now_ms + 10 * LEASE_MS, 1000))
        assert not self.expected.reservations
        self.check()
        for side in self._sides:
            assert set(side.dump()) <= {"capacity"}

    # ---- details of the steps

    def _time(self) -> int:
        return self._now_ms + (self._skew_ms if self._chance.random() < 0.5 else 0)

    def _due(self) -> int:
        return self._now_ms + self._chance.randrange(1, 2 * LEASE_MS)

    def _new_reservation(self) -> str:
        self._serial += 1
        self._seen = [*self._seen[-30:], f"job-{self._serial}|{self._chance.randrange(1, 12)}"]
        return self._seen[-1]

    def _generation(self, node: str) -> str:
        known = self.expected.nodes.get(node)
        if known is not None and self._chance.random() < 0.8:
            return known.generation
        return self._chance.choice(self._generations.get(node, ["never"])[-3:])

    # ---- comparison

    def _call(self, *flush: ScriptCall) -> list[list[str]]:
        """Run one flush on every side and check the answers."""
        self._remember(flush)
        first, *others = self._sides
        answers = first.run(flush)
        for call, answer in zip(flush, answers, strict=True):
            self.expected.check_answer(call, answer)
            self.reached.update({f"{call.name}: {item if item.isupper() else 'data'}" for item in answer})
        for side in others:
            theirs = side.run(flush)
            assert theirs == answers, f"{side.name} answers {theirs}, {first.name} {answers}, to {flush}"
        return answers

    def check(self) -> None:
        """Assert that all sides have the expected state."""
        first, *others = self._sides
        dump = first.dump()
        self.expected.check_state(dump)
        for side in others:
            theirs = side.dump()
            assert theirs == dump, f"{side.name} holds {theirs}, {first.name} {dump}"


def random_steps(seed: int, count: int) -> list[tuple[str, int]]:
    """Return `count` steps drawn from `seed`."""
    chance = random.Random(seed)
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=count)
    return [(kind, chance.randrange(2**32)) for kind in kinds]
