"""The cost of choosing a node, by the number of nodes in a pool and by the number of pools, in batches of 64 jobs.

The measurement is that of `voxpool-sim pools` (sim/experiments/pools/select_cost.py). This module adds the goals, and
measures the machine's Redis beside the embedded Valkey. Run alone: python -m bench.select
"""

from __future__ import annotations

from bench._rows import Row, print_rows
from voxpool.sim.experiments.pools.select_cost import Cost, InMemory, Measured, Shape, commands, cost, fill
from voxpool.sim.experiments.servers import Server, system_redis

ROUNDS = 150
NODES_IN_ONE_POOL = (10, 1_000, 100_000)
POOLS_OF_TEN = (1, 1_000, 10_000)
NODES_IN_POOLS = 10_000
NODES_GOAL = "<= 3"
POOLS_GOAL = "<= 1.5"


def run() -> list[Row]:
    """Measure all shapes on all stores.

    Raises AssertionError when the number of commands of a select depends on the size.
    """
    rows = []
    counted = {f"{nodes:,} nodes": commands(Shape(nodes, 1)) for nodes in NODES_IN_ONE_POOL}
    assert len(set(counted.values())) == 1, f"the commands of a select depend on the size: {counted}"
    rows.append(
        Row("select", "commands a job, at 10, 1,000 and 100,000 nodes", counted["10 nodes"], "", "", "asserted")
    )
    rows += _rows_of(InMemory())
    rows += _rows_of(Server())
    if system_redis():
        rows += _rows_of(Server(binary=system_redis()))
    return rows


def _rows_of(store: Measured) -> list[Row]:
    try:
        return _rows_by_size(store)
    finally:
        store.close()


def _rows_by_size(store: Measured) -> list[Row]:
    goals = store.name != "memory"
    first, *larger = [(nodes, _cost(store, Shape(nodes, 1))) for nodes in NODES_IN_ONE_POOL]
    rows = [_cost_row(store, f"{first[0]} nodes in one pool", first[1])]
    for nodes, found in larger:
        goal = NODES_GOAL if goals and nodes == NODES_IN_ONE_POOL[-1] else ""
        rows.append(_ratio_row(store, f"{nodes:,} nodes in one pool", found, first[1], f"{first[0]} nodes", goal))
    one, *more = [(pools, _cost(store, Shape(NODES_IN_POOLS, pools))) for pools in POOLS_OF_TEN]
    rows.append(_cost_row(store, f"{NODES_IN_POOLS:,} nodes in {one[0]} pool", one[1]))
    for pools, found in more:
        goal = POOLS_GOAL if goals and pools == POOLS_OF_TEN[-1] else ""
        what = f"{NODES_IN_POOLS:,} nodes in {pools:,} pools"
        rows.append(_ratio_row(store, what, found, one[1], "one pool", goal))
    return rows


def _cost(store: Measured, shape: Shape) -> Cost:
    fill(store, shape)
    return cost(store, shape, ROUNDS)


def _cost_row(store: Measured, what: str, found: Cost) -> Row:
    return Row("select", f"{store.name}: {what}", found.select_us, "us", "", f"release {found.release_us:.1f} us")


def _ratio_row(store: Measured, what: str, found: Cost, base: Cost, base_name: str, goal: str) -> Row:
    beside = f"{found.select_us:.1f} us; release {found.release_us:.1f} us"
    return Row("select", f"{store.name}: {what}", found.select_us / base.select_us, f"x {base_name}", goal, beside)


if __name__ == "__main__":
    print_rows(run(), "bench.select")
