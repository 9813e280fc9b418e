"""The 'with' sides of the experiment `pools`: production's scripts, on the store of the run or on a real server."""

from __future__ import annotations

import random
from typing import Literal

from voxpool.scheduler.core.scripts import (
    Reply,
    ScriptCall,
    Want,
    heartbeat,
    node_offline,
    register_node,
    release_job,
    select_node,
)
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.experiments.pools import select_cost
from voxpool.sim.experiments.pools.select_cost import LEASE_MS, NOW_MS, SEED_MAX, InMemory, Measured, Shape, shares
from voxpool.sim.experiments.pools.size import Figures, Point, Size
from voxpool.sim.experiments.pools.without.sharded_pools import SHARD_MAX
from voxpool.sim.experiments.pools.without_fix import NOBODYS_PAIR, PAIR, one_and_two, shares_found
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.experiments.servers import Spent, open_server
from voxpool.sim.world.stores import RealStore, SimStore, open_store

REMOVALS_MAX = 1000
SHORT_LEASE_MS = 1000


def ghosts(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """C1: first choices in a pool in which the leases of most members have ended unnoticed."""
    found: Figures = {}
    opened = open_store(store)
    chance = plain_random(seed, "ghosts")
    # Each choice removes the dead nodes that it draws, so each needs a new pool: fewer tries.
    tries = max(10, size.tries // 50)
    try:
        for number, alive in enumerate(size.alive):
            nobody = 0
            for attempt in range(tries):
                _register_all(opened, size.members, alive, f"g-{number}-{attempt}")
                now_ms = NOW_MS + 2 * SHORT_LEASE_MS
                node, reply = _select(opened, now_ms, chance.randint(1, SEED_MAX), f"{number}-{attempt}|1", PAIR)
                nobody += not node and reply != Reply.AGAIN
                opened.run_now([release_job([f"{number}-{attempt}|1"])])
                tell((number + (attempt + 1) / tries) / len(size.alive))
            found[f"nobody {alive}"] = 100.0 * nobody / tries
    finally:
        _close(opened)
    return found


def gap(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """C2: the same nodes leave as on the side without; a pool has no shards."""
    opened = open_store(store)
    shape = Shape(size.shards * SHARD_MAX, 1)
    try:
        measured = _OfRun(opened)
        select_cost.fill(measured, shape)
        gone = range(3 * SHARD_MAX, 4 * SHARD_MAX)
        opened.run_now([node_offline(f"node-{number}", "g-1") for number in gone])
        living = shape.nodes - len(gone)
        counts = shares(measured, shape, size.draws_a_node * living, plain_random(seed, "gap"))
    finally:
        _close(opened)
    assert not any(counts[number] for number in gone)
    reached = sum(count > 0 for count in counts)
    behind = sum(counts[4 * SHARD_MAX :])
    return {"reached": 100.0 * reached / living, "behind": 100.0 * behind / sum(counts)}


def lonely(size: Size, seed: int, store: str, tell: Tell) -> dict[str, float]:
    """C3: the same number of nodes in one pool."""
    return _shares(size.lonely, size.draws_a_node * size.lonely, 2, chance=plain_random(seed, "lonely"), store=store)


def srandmember(size: Size, seed: int, store: str, tell: Tell) -> dict[str, dict[str, float]]:
    """C9: ranks drawn from a seed; a single choice, and the first drawn of two."""
    one = _shares(size.pool, size.shares_a_node * size.pool, 1, chance=plain_random(seed, "one"), store=store)
    two = _shares(
        size.small_pool, size.shares_a_node * size.small_pool, 2, chance=plain_random(seed, "two"), store=store
    )
    return {"ranks": one_and_two(one, two)}


def choices(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """C4: a normal choice, one for a pair without nodes, and one with a session's node of other pairs; on a server."""
    server = open_server(store)
    chance = plain_random(seed, "choices")
    try:
        server.run([_register(f"gpu-{number}", "g", LEASE_MS, [PAIR]) for number in range(size.served)])
        server.run([_register("gpu-x", "g", LEASE_MS, [NOBODYS_PAIR[::-1]])])
        found: Figures = {"server": server.name}
        for kind, pair, prefer in (("normal", PAIR, ""), ("nobody", NOBODYS_PAIR, ""), ("affine", PAIR, "gpu-x")):
            calls = []
            for number in range(size.choices):
                want = Want(f"{kind}-{number}|1", pair, NOW_MS + 10**6, prefer, ())
                calls.append(select_node(NOW_MS, chance.randint(1, SEED_MAX), 2, REMOVALS_MAX, [want]))
            spent = server.cost(*calls)
            found[f"{kind} commands"] = spent.commands / size.choices
            found[f"{kind} us"] = spent.script_us / size.choices
        return found
    finally:
        server.close()


def beats(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """C5: the cost of a heartbeat by the number of pairs that the node serves; on a server."""
    server = open_server(store)
    try:
        found: Figures = {"server": server.name}
        for count in size.pairs:
            server.run([_register("gpu-1", f"g-{count}", LEASE_MS, [f"l{number}:en" for number in range(count)])])
            spent = server.cost(*[heartbeat(NOW_MS, LEASE_MS, [("gpu-1", f"g-{count}")])] * size.choices)
            found[f"{count} commands"] = spent.commands / size.choices
            found[f"{count} us"] = spent.script_us / size.choices
        return found
    finally:
        server.close()


Kind = Literal["memory", "server"]


def by_size(size: Size, seed: int, store: str, kind: Kind, tell: Tell) -> list[Point]:
    """Return the cost of a choice by the number of nodes in one pool, then by the number of pools."""
    shapes = [Shape(nodes, 1) for nodes in size.nodes_in_one]
    shapes += [Shape(size.nodes_in_pools, pools) for pools in size.pools]
    measured: Measured = InMemory() if kind == "memory" else open_server(store)
    points = []
    try:
        for number, shape in enumerate(shapes):
            chance = plain_random(seed, f"size/{shape.nodes}/{shape.pools}")
            select_cost.fill(measured, shape)
            fair = None
            if shape.pools == 1:
                draws = max(size.fair_draws, 2 * shape.nodes)
                fair = select_cost.chi_square_a_degree(shares(measured, shape, draws, chance))
            cost = select_cost.cost(measured, shape, size.rounds)
            commands = select_cost.commands(shape) if kind == "memory" else cost.select_commands
            points.append(Point(shape.nodes, shape.pools, commands, cost.select_us, fair))
            tell((number + 1) / len(shapes))
    finally:
        measured.close()
    return points


class _OfRun:
    """The store of the run as a `Measured`."""

    name = "store"

    def __init__(self, store: SimStore) -> None:
        self.run = store.run_now

    def cost(self, *calls: ScriptCall) -> Spent:
        raise NotImplementedError

    def clear(self) -> None:
        """Do nothing: the store is new."""

    def close(self) -> None:
        """Do nothing: the owner closes the store."""


def _shares(nodes: int, draws: int, choices: int, *, chance: random.Random, store: str) -> dict[str, float]:
    opened = open_store(store)
    try:
        measured = _OfRun(opened)
        select_cost.fill(measured, Shape(nodes, 1))
        counts = shares(measured, Shape(nodes, 1), draws, chance, choices)
    finally:
        _close(opened)
    return shares_found(counts)


def _register_all(store: SimStore, members: int, alive: int, generation: str) -> None:
    for start in range(0, members, select_cost.FLUSH):
        numbers = range(start, min(start + select_cost.FLUSH, members))
        leases = [LEASE_MS if number < alive else SHORT_LEASE_MS for number in numbers]
        calls = [
            _register(f"gpu-{number}", generation, lease_ms, [PAIR])
            for number, lease_ms in zip(numbers, leases, strict=True)
        ]
        store.run_now(calls)


def _register(node: str, generation: str, lease_ms: int, pairs: list[str]) -> ScriptCall:
    return register_node(NOW_MS, lease_ms, node, generation, "p", select_cost.SLOTS, "", pairs, "", [])


def _select(store: SimStore, now_ms: int, seed: int, reservation: str, pair: str) -> tuple[str, str]:
    want = Want(reservation, pair, now_ms + 10**6, "", ())
    ((node, reply),) = store.run_now([select_node(now_ms, seed, 2, REMOVALS_MAX, [want])])
    return node, reply


def _close(store: SimStore) -> None:
    if isinstance(store, RealStore):
        store.close()
