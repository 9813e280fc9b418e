"""What choosing a node costs, by the number of nodes in a pool and by the number of pools, in batches of 64 jobs.

On servers it is the server's own time for a job (INFO commandstats), which no client and no network is part of; in
memory the time of the call. Each node holds one of its 16 slots. Run alone: python -m bench.select
"""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from bench._rows import Row, print_rows
from scheduler.scripts import ScriptCall, Want, register_node, release_job, select_node
from scheduler.stores.embedded import EmbeddedStore
from scheduler.stores.memory import MemoryStore
from scheduler.stores.redis import RedisStore
from tests.servers import redis_server

BATCH = 64
ROUNDS = 150
SLOTS = 16
NOW_MS = 1_700_000_000_000
LEASE_MS = 10**9
NODES_IN_ONE_POOL = (10, 1_000, 100_000)
POOLS_OF_TEN = (1, 1_000, 10_000)
NODES_IN_POOLS = 10_000
NODES_GOAL = "<= 3"
POOLS_GOAL = "<= 1.5"
FLUSH = 200


class Shape(NamedTuple):
    """So many nodes in so many pools. With more pools than nodes each node serves several pairs, ten nodes each."""

    nodes: int
    pools: int

    def pairs_of(self, node: int) -> list[str]:
        """Return the pairs that the node of this number serves."""
        several = max(1, 10 * self.pools // self.nodes) if self.pools > 1 else 1
        return [self.pair((node + i * self.pools // several) % self.pools) for i in range(several)]

    def pair(self, pool: int) -> str:
        """Return the name of a pool."""
        return f"l{pool}:en"


class Store(Protocol):
    """A store that is filled and measured."""

    name: str

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in one flush."""
        ...

    def cost_us(self, call: ScriptCall) -> float:
        """Run one call and return what it took."""
        ...

    def clear(self) -> None:
        """Lose all data."""
        ...


class InMemory:
    """The store of the simulation: the time of the call, Python's part included."""

    name = "memory"

    def __init__(self) -> None:
        self.store = MemoryStore()

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """See Store."""
        return self.store.run_now(calls)

    def clear(self) -> None:
        """See Store. A new one, so that nobody pays for the garbage of the last."""
        self.store = MemoryStore()

    def cost_us(self, call: ScriptCall) -> float:
        """See Store."""
        started = time.perf_counter()
        self.store.run_now([call])
        return (time.perf_counter() - started) * 1e6


class OnServer:
    """A real server: its own count of the microseconds that the script took."""

    def __init__(self, name: str, url: str, runner: asyncio.Runner) -> None:
        self.name = name
        self._store = RedisStore(url, answer_timeout_s=60.0)
        self._runner = runner

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """See Store."""
        return self._runner.run(self._store.run(calls))

    def cost_us(self, call: ScriptCall) -> float:
        """See Store."""
        return self._runner.run(self._cost_us(call))

    def clear(self) -> None:
        """See Store."""
        self._runner.run(self._store.clear())

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._store.close())

    async def _cost_us(self, call: ScriptCall) -> float:
        before = await self._spent_us()
        await self._store.run([call])
        return await self._spent_us() - before

    async def _spent_us(self) -> float:
        stats = await self._store.client.info("commandstats")
        return float(stats.get("cmdstat_evalsha", {}).get("usec", 0))


class Cost(NamedTuple):
    """For one job, in the batch that a fifth of all were quicker than: other processes disturb the slower ones."""

    select_us: float
    release_us: float


def measure(store: Store, shape: Shape) -> Cost:
    """Fill `store` and return what a job costs there."""
    chance = random.Random(shape.nodes * 31 + shape.pools)
    store.clear()
    for start in range(0, shape.nodes, FLUSH):
        store.run([_register(shape, node) for node in range(start, min(start + FLUSH, shape.nodes))])
    jobs = _jobs(shape, chance)
    held: list[str] = []
    while len(held) < shape.nodes:
        call, holds = _select(jobs, chance, min(BATCH, shape.nodes - len(held)))
        store.run([call])
        held += holds
    selects, releases = [], []
    for _ in range(ROUNDS):
        call, holds = _select(jobs, chance, BATCH)
        selects.append(store.cost_us(call) / BATCH)
        held += holds
        out = [held.pop(chance.randrange(len(held))) for _ in range(BATCH)]
        releases.append(store.cost_us(release_job(out)) / BATCH)
    return Cost(statistics.quantiles(selects, n=5)[0], statistics.quantiles(releases, n=5)[0])


def commands(shape: Shape) -> float:
    """Return the Redis commands of a select for one job, counted one by one."""
    store = InMemory()
    chance = random.Random(1)
    for node in range(shape.nodes):
        store.run([_register(shape, node)])
    jobs = _jobs(shape, chance)
    store.store.count_commands(True)
    store.run([_select(jobs, chance, BATCH)[0]])
    return store.store.commands_run / BATCH


def run() -> list[Row]:
    """Measure all shapes on all stores. Raises AssertionError when a select's commands depend on the size."""
    rows = []
    counted = {f"{nodes:,} nodes": commands(Shape(nodes, 1)) for nodes in NODES_IN_ONE_POOL}
    assert len(set(counted.values())) == 1, f"the commands of a select depend on the size: {counted}"
    rows.append(
        Row("select", "commands a job, at 10, 1,000 and 100,000 nodes", counted["10 nodes"], "", "", "asserted")
    )
    rows += _rows_of(InMemory())
    with asyncio.Runner() as runner:
        embedded = EmbeddedStore()
        runner.run(embedded.start())
        rows += _rows_on_server("Valkey", embedded.url, runner)
        runner.run(embedded.close())
        if shutil.which("redis-server"):
            with redis_server() as server:
                rows += _rows_on_server("Redis", server.url, runner)
    return rows


def _rows_on_server(name: str, url: str, runner: asyncio.Runner) -> list[Row]:
    store = OnServer(name, url, runner)
    try:
        return _rows_of(store)
    finally:
        store.close()


def _rows_of(store: Store) -> list[Row]:
    goals = store.name != "memory"
    first, *larger = [(nodes, measure(store, Shape(nodes, 1))) for nodes in NODES_IN_ONE_POOL]
    rows = [_cost_row(store, f"{first[0]} nodes in one pool", first[1])]
    for nodes, cost in larger:
        goal = NODES_GOAL if goals and nodes == NODES_IN_ONE_POOL[-1] else ""
        rows.append(_ratio_row(store, f"{nodes:,} nodes in one pool", cost, first[1], f"{first[0]} nodes", goal))
    one, *more = [(pools, measure(store, Shape(NODES_IN_POOLS, pools))) for pools in POOLS_OF_TEN]
    rows.append(_cost_row(store, f"{NODES_IN_POOLS:,} nodes in {one[0]} pool", one[1]))
    for pools, cost in more:
        goal = POOLS_GOAL if goals and pools == POOLS_OF_TEN[-1] else ""
        what = f"{NODES_IN_POOLS:,} nodes in {pools:,} pools"
        rows.append(_ratio_row(store, what, cost, one[1], "one pool", goal))
    store.clear()
    return rows


def _cost_row(store: Store, what: str, cost: Cost) -> Row:
    return Row("select", f"{store.name}: {what}", cost.select_us, "us", "", f"release {cost.release_us:.1f} us")


def _ratio_row(store: Store, what: str, cost: Cost, base: Cost, base_name: str, goal: str) -> Row:
    beside = f"{cost.select_us:.1f} us; release {cost.release_us:.1f} us"
    return Row("select", f"{store.name}: {what}", cost.select_us / base.select_us, f"x {base_name}", goal, beside)


def _register(shape: Shape, node: int) -> ScriptCall:
    return register_node(NOW_MS, LEASE_MS, f"node-{node}", "g-1", "p", SLOTS, "", shape.pairs_of(node), "", [])


def _jobs(shape: Shape, chance: random.Random) -> Iterator[Want]:
    number = 0
    while True:
        number += 1
        pair = shape.pair(chance.randrange(shape.pools))
        yield Want(f"{chance.getrandbits(40):010x}-{number}|1", pair, NOW_MS + 10**6 + number, "", ())


def _select(jobs: Iterator[Want], chance: random.Random, count: int) -> tuple[ScriptCall, list[str]]:
    wants = [next(jobs) for _ in range(count)]
    return select_node(NOW_MS, chance.randint(1, 2**31 - 2), 2, 1_000, wants), [want.hold for want in wants]


if __name__ == "__main__":
    print_rows(run(), "bench.select")
