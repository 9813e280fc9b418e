"""The cost of choosing a node by the number of nodes and of pools: commands, time, and fairness.

Used by the experiment `pools` and by bench/select.py. The time is the server's count, or in memory that of the call.
Each node has one of its 16 slots reserved, and jobs come in batches of 64.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from voxpool.scheduler.core.scripts import ScriptCall, Want, register_node, release_job, select_node
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.sim.experiments.servers import Spent
from voxpool.sim.virtual_time.pause_watch import now_ns

BATCH = 64
SLOTS = 16
NOW_MS = 1_700_000_000_000
LEASE_MS = 10**9
FLUSH = 200
DRAWS_AT_ONCE = 250
SEED_MAX = 2**31 - 2


class Shape(NamedTuple):
    """`nodes` nodes in `pools` pools. With more than one pool each node serves several pairs, ten nodes each."""

    nodes: int
    pools: int

    def pairs_of(self, node: int) -> list[str]:
        """Return the pairs of the node with number `node`."""
        several = max(1, 10 * self.pools // self.nodes) if self.pools > 1 else 1
        return [self.pair((node + i * self.pools // several) % self.pools) for i in range(several)]

    def pair(self, pool: int) -> str:
        """Return the name of a pool."""
        return f"l{pool}:en"


class Measured(Protocol):
    """A store that is filled and measured: a Server, or InMemory."""

    name: str

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in one flush."""
        ...

    def cost(self, *calls: ScriptCall) -> Spent:
        """Run `calls` and return their cost."""
        ...

    def clear(self) -> None:
        """Lose all data."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...


class InMemory:
    """The memory store: CPU time of the call, Python's part included. `counts`: commands instead of time."""

    name = "memory"

    def __init__(self, counts: bool = False) -> None:
        self._counts = counts
        self._store = MemoryStore()

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """See Measured."""
        return self._store.run_now(calls)

    def cost(self, *calls: ScriptCall) -> Spent:
        """See Measured. Counting takes time, so it returns either commands or time."""
        if self._counts:
            self._store.count_commands(True)
            self._store.run_now(calls)
            return Spent(self._store.commands_run, 0.0)
        started_ns = now_ns()
        self._store.run_now(calls)
        return Spent(0, (now_ns() - started_ns) / 1000)

    def clear(self) -> None:
        """See Measured. The store is replaced, so that the garbage of the last one has no cost."""
        self._store = MemoryStore()

    def close(self) -> None:
        """See Measured."""


class Cost(NamedTuple):
    """Server time of one job: the 20th percentile of all batches, because other processes slow the rest down."""

    select_us: float
    release_us: float
    select_commands: float
    release_commands: float


def fill(store: Measured, shape: Shape) -> None:
    """Register the nodes of `shape` in a store that was emptied."""
    store.clear()
    for start in range(0, shape.nodes, FLUSH):
        store.run([_register(shape, node) for node in range(start, min(start + FLUSH, shape.nodes))])


def cost(store: Measured, shape: Shape, rounds: int) -> Cost:
    """Return the cost of a job in a filled store, from `rounds` batches; then each node has one reserved slot."""
    chance = random.Random(shape.nodes * 31 + shape.pools)
    jobs = _jobs(shape, chance)
    held: list[str] = []
    while len(held) < shape.nodes:
        call, reservations = _select(jobs, chance, min(BATCH, shape.nodes - len(held)))
        store.run([call])
        held += reservations
    selects, releases = [], []
    for _ in range(rounds):
        call, reservations = _select(jobs, chance, BATCH)
        selects.append(store.cost(call))
        held += reservations
        out = [held.pop(chance.randrange(len(held))) for _ in range(BATCH)]
        releases.append(store.cost(release_job(out)))
    return Cost(
        _quick(selects),
        _quick(releases),
        max(spent.commands for spent in selects) / BATCH,
        max(spent.commands for spent in releases) / BATCH,
    )


def commands(shape: Shape) -> float:
    """Return the Redis commands of a select for one job, counted one by one in memory."""
    store = InMemory(counts=True)
    fill(store, shape)
    return cost(store, shape, rounds=2).select_commands


def shares(store: Measured, shape: Shape, draws: int, chance: random.Random, choices: int = 2) -> list[int]:
    """Return how often each idle node of the single pool was chosen in `draws` choices, each released at once."""
    assert shape.pools == 1
    seen: Counter[str] = Counter()
    for start in range(0, draws, DRAWS_AT_ONCE):
        calls = []
        for number in range(start, min(start + DRAWS_AT_ONCE, draws)):
            want = Want(f"draw-{number}|1", shape.pair(0), NOW_MS + 10**6, "", ())
            calls += [select_node(NOW_MS, chance.randint(1, SEED_MAX), choices, 1_000, [want]), release_job([want[0]])]
        seen.update(answer[0] for answer in store.run(calls)[::2])
    return [seen[_name(node)] for node in range(shape.nodes)]


def chi_square_a_degree(counts: Sequence[int]) -> float:
    """Return Pearson's chi-square against equal shares per degree of freedom: near 1 for a fair draw."""
    fair = sum(counts) / len(counts)
    return sum((count - fair) ** 2 for count in counts) / fair / (len(counts) - 1)


def _quick(spent: Sequence[Spent]) -> float:
    return statistics.quantiles((each.script_us / BATCH for each in spent), n=5)[0]


def _name(node: int) -> str:
    return f"node-{node}"


def _register(shape: Shape, node: int) -> ScriptCall:
    return register_node(NOW_MS, LEASE_MS, _name(node), "g-1", "p", SLOTS, "", shape.pairs_of(node), "", [])


def _jobs(shape: Shape, chance: random.Random) -> Iterator[Want]:
    number = 0
    while True:
        number += 1
        pair = shape.pair(chance.randrange(shape.pools))
        yield Want(f"{chance.getrandbits(40):010x}-{number}|1", pair, NOW_MS + 10**6 + number, "", ())


def _select(jobs: Iterator[Want], chance: random.Random, count: int) -> tuple[ScriptCall, list[str]]:
    wants = [next(jobs) for _ in range(count)]
    return select_node(NOW_MS, chance.randint(1, SEED_MAX), 2, 1_000, wants), [want.reservation for want in wants]
