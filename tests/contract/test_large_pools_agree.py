"""The memory store's data structures at sizes where blocks split, heaps are compacted and groups are removed."""

from __future__ import annotations

import random

from tests.contract.sides import Side
from voxpool.scheduler.core import scripts
from voxpool.scheduler.core.scripts import ScriptCall, Want

NOW_MS = 1_700_000_000_000
LEASE_MS = 45_000
NODES = 1_500
PAIRS = [f"{source}:{target}" for source in ("zh", "en", "de", "a", "a-b") for target in ("en", "zh", "x", "xy")]
POPULAR = PAIRS[:3]


class Crowd:
    """Random calls of a large system: many nodes, a few of their pairs in high demand."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._serial = 0
        self._now_ms = NOW_MS
        self._held: list[str] = []
        self._generations: dict[str, str] = {}

    def flush(self) -> list[ScriptCall]:
        """Return the calls of one flush."""
        self._now_ms += self._chance.choice((0, 10, 100, 1_000))
        kinds = self._chance.choices(
            [self._register, self._release, self._select, self._beat, self._leave, self._sweep],
            [10, 9, 10, 5, 0.5, 1],
            k=self._chance.randrange(1, 6),
        )
        return [call for kind in kinds for call in kind()]

    def _register(self) -> list[ScriptCall]:
        calls = []
        for _ in range(self._chance.randrange(1, 80)):
            node = f"node-{self._chance.randrange(NODES)}"
            self._serial += 1
            self._generations[node] = f"g-{self._serial}"
            pairs = {self._chance.choice(POPULAR), *self._chance.sample(PAIRS, self._chance.randrange(0, 5))}
            slots, flags = self._chance.choice((1, 2, 8)), self._chance.choice(("", "", "", "r"))
            calls.append(
                scripts.register_node(
                    self._now_ms, LEASE_MS, node, f"g-{self._serial}", "p", slots, flags, sorted(pairs), "", []
                )
            )
        return calls

    def _select(self) -> list[ScriptCall]:
        wants = []
        for _ in range(self._chance.randrange(1, 100)):
            self._serial += 1
            reservation = f"{self._chance.getrandbits(32):08x}-{self._serial}|1"
            self._held.append(reservation)
            pair = self._chance.choice(POPULAR if self._chance.random() < 0.8 else PAIRS)
            avoid = (f"node-{self._chance.randrange(NODES)}",) if self._chance.random() < 0.1 else ()
            wants.append(Want(reservation, pair, self._now_ms + self._chance.randrange(1, 60_000), "", avoid))
        return [scripts.select_node(self._now_ms, self._chance.randint(1, 2**31 - 2), 2, 1000, wants)]

    def _release(self) -> list[ScriptCall]:
        self._chance.shuffle(self._held)
        count = self._chance.randrange(1, 80)
        out, self._held = self._held[:count], self._held[count:]
        return [scripts.release_job(out)] if out else []

    def _beat(self) -> list[ScriptCall]:
        known = sorted(self._generations.items())
        beats = self._chance.sample(known, min(len(known), 200))
        return [scripts.heartbeat(self._now_ms, LEASE_MS, beats)] if beats else []

    def _leave(self) -> list[ScriptCall]:
        known = sorted(self._generations.items())
        leaving = self._chance.sample(known, min(len(known), self._chance.choice((5, 5, 200))))
        return [scripts.node_offline(node, generation) for node, generation in leaving]

    def _sweep(self) -> list[ScriptCall]:
        return [scripts.expire_reservations(self._now_ms, 300), scripts.lapsed_nodes(self._now_ms, 300)]


def test_many_nodes_get_the_same_answers_from_a_server_and_from_memory(sides: list[Side]) -> None:
    """There are thousands of entries in a pool and thousands of reservations; then all of them are removed."""
    memory, redis = sides[0], sides[1]
    for side in (memory, redis):
        side.clear()
    crowd, largest = Crowd(11), 0
    for number in range(300):
        calls = crowd.flush()
        assert memory.run(calls) == redis.run(calls), f"flush {number}"
        if number % 20 == 0:
            dump = memory.dump()
            assert dump == redis.dump(), f"after flush {number}"
            largest = max(largest, len(dump.get("capacity", [])))
    assert largest > 2_000, largest
    end = [scripts.expire_reservations(NOW_MS * 2, 1_000) for _ in range(20)]
    end += [scripts.node_offline(f"node-{number}", f"g-{number}") for number in range(10)]
    assert memory.run(end) == redis.run(end)
    assert memory.dump() == redis.dump()
