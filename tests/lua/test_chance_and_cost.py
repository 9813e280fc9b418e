"""The draw is fair, two draws are two different nodes, and a choice costs the same number of commands at any size."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from voxpool.scheduler.core.scripts import Want, register_node, release_job, select_node
from voxpool.scheduler.stores.memory import MemoryStore

NOW_MS = 1_700_000_000_000
LEASE_MS = 45_000
PAIR = "zh:en"
SEED_MAX = 2**31 - 2


class Pool:
    """`nodes` nodes of one pair on a memory store (by the contract test the others answer the same)."""

    def __init__(self, nodes: int, slots: int = 2) -> None:
        self.store = MemoryStore()
        self._chance = random.Random(7)
        self._jobs = 0
        self.now_ms = NOW_MS
        for number in range(nodes):
            self.register(f"n{number}", slots)

    def register(self, node: str, slots: int = 2) -> None:
        self.store.run_now([register_node(self.now_ms, LEASE_MS, node, "g", "p", slots, "", [PAIR], "", [])])

    def select(self, choices: int = 2) -> tuple[str, str]:
        """Take a slot; return node and reservation."""
        self._jobs += 1
        reservation = f"{self._jobs}|1"
        want = Want(reservation, PAIR, self.now_ms + 60_000, "", ())
        call = select_node(self.now_ms, self._chance.randint(1, SEED_MAX), choices, 1000, [want])
        return self.store.run_now([call])[0][0], reservation

    def release(self, reservation: str) -> None:
        self.store.run_now([release_job([reservation])])


def chi_square_a_degree(counts: Counter[str], cells: int) -> float:
    """Return Pearson's chi-square of even shares, divided by its degrees of freedom: near 1 for a fair draw."""
    expected = sum(counts.values()) / cells
    seen = sum((count - expected) ** 2 / expected for count in counts.values())
    return (seen + (cells - len(counts)) * expected) / (cells - 1)


@pytest.mark.parametrize("nodes", [3, 100, 1_000])
@pytest.mark.parametrize("choices", [1, 2])
def test_idle_nodes_are_drawn_evenly(nodes: int, choices: int) -> None:
    """SRANDMEMBER gave the busiest node up to twice its share; a rank by Park and Miller does not."""
    pool = Pool(nodes)
    drawn: Counter[str] = Counter()
    for _ in range(20_000):
        node, reservation = pool.select(choices)
        pool.release(reservation)
        drawn[node] += 1
    width = 4 * (2 / (nodes - 1)) ** 0.5  # four standard deviations of chi-square over its degrees
    assert abs(chi_square_a_degree(drawn, nodes) - 1) < width


def test_the_draw_stays_even_when_half_of_the_pool_is_dead() -> None:
    """The removal of an entry does not favour its neighbours."""
    drawn: Counter[str] = Counter()
    for round_number in range(40):
        pool = Pool(100)
        pool._chance.seed(round_number)
        pool.now_ms += LEASE_MS
        for number in range(0, 100, 2):
            pool.register(f"n{number}")
        for _ in range(50):
            node, reservation = pool.select()
            pool.release(reservation)
            drawn[node] += 1
    assert all(int(node[1:]) % 2 == 0 for node in drawn)
    assert abs(chi_square_a_degree(drawn, 50) - 1) < 4 * (2 / 49) ** 0.5


def test_two_choices_are_two_different_nodes() -> None:
    """With two nodes the less loaded one is always drawn, so they differ by one at most."""
    pool = Pool(2, slots=1000)
    load: Counter[str] = Counter()
    for _ in range(500):
        load[pool.select()[0]] += 1
        assert abs(load["n0"] - load["n1"]) <= 1


def test_two_choices_keep_the_load_even() -> None:
    """The longest queue grows with log log n instead of log n / log log n (Azar et al. 1994)."""
    longest = {}
    for choices in (1, 2):
        pool = Pool(1_000, slots=1000)
        load = Counter(pool.select(choices)[0] for _ in range(1_000))
        longest[choices] = max(load.values())
    assert longest[1] >= 5
    assert longest[2] <= 3


def test_a_choice_costs_the_same_commands_at_any_size() -> None:
    """Commands are counted one by one: their number does not depend on the number of nodes."""
    costs = set()
    for nodes in (10, 1_000, 100_000):
        pool = Pool(nodes)
        for _ in range(20):
            pool.store.count_commands(True)
            _, reservation = pool.select()
            selecting = pool.store.commands_run
            pool.release(reservation)
            costs.add((selecting, pool.store.commands_run - selecting))
            pool.store.count_commands(False)
    assert costs == {(14, 6)}


def test_removals_cost_no_more_than_insertions() -> None:
    """In a pool that is nearly full all the time, the mean stays near that of an idle one."""
    pool = Pool(1_000, slots=1)
    chance = random.Random(3)
    held = [pool.select()[1] for _ in range(950)]
    pool.store.count_commands(True)
    for _ in range(2_000):
        pool.release(held.pop(chance.randrange(len(held))))
        held.append(pool.select()[1])
    assert pool.store.commands_run / 2_000 < 1.2 * (14 + 6)
