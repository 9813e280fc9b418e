"""Nodes and pools for viewers: bounded lists, taken on the loop in turns."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter

import msgspec

from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.nodes.node import Node

NODES_SHOWN_MAX = 2000
"""Above this number, those that need attention come first: not ready, then silent for longest."""
POOLS_SHOWN_MAX = 1000
PAIRS_SHOWN_MAX = 8
WORK_A_TURN = 2000
"""Nodes, pairs and jobs that are looked at before other work gets its turn; under a millisecond."""
_CALM = {"joining": 0, "resting": 0, "draining": 1, "ready": 2}


class NodeRow(msgspec.Struct, array_like=True, gc=False):
    """A node. `pairs` is an index into FleetView.pair_lists, `silent_ms` the age of its last message."""

    node_id: str
    state: str
    used: int
    slots: int
    silent_ms: int
    failures_in_a_row: int
    pairs: int


class PairList(msgspec.Struct, array_like=True):
    """The first pairs of a node, and how many it serves in all."""

    first: tuple[str, ...]
    count: int


class PoolRow(msgspec.Struct, array_like=True):
    """A pair: the nodes that serve it and those of them that are ready, their slots, and the jobs of the pair.

    `used` and `free` are slots of these nodes, whichever pair's job is in them; `running` and `waiting` are jobs of
    this pair.
    """

    pair: str
    nodes: int = 0
    ready: int = 0
    slots: int = 0
    used: int = 0
    free: int = 0
    running: int = 0
    waiting: int = 0


class FleetView(msgspec.Struct):
    """The view of nodes and pools. The totals count also those that aren't shown."""

    nodes_total: int
    pools_total: int
    nodes: list[NodeRow]
    pair_lists: list[PairList]
    pools: list[PoolRow]
    states: dict[str, int]
    slots: dict[str, int]


class _PairSum:
    """Sums over the nodes with the same pairs, so that each pair is visited once for them and not once a node."""

    __slots__ = ("free", "nodes", "ready", "slots", "used")

    def __init__(self) -> None:
        self.nodes = self.ready = self.slots = self.used = self.free = 0


async def take_fleet(core: Core, now_ms: int) -> FleetView:
    """Look at all nodes of `core`."""
    nodes = list(core.node_registry.nodes.values())
    states: Counter[str] = Counter()
    sums: dict[tuple[str, ...], _PairSum] = {}
    running: Counter[str] = Counter()
    slots_used = slots_free = slots_closed = 0
    work = 0
    for node in nodes:
        state, used = node.state, len(node.reservations)
        room = max(0, node.slots - used)
        states[state] += 1
        slots_used += used
        one = sums.get(node.pairs)
        if one is None:
            one = sums[node.pairs] = _PairSum()
        one.nodes += 1
        one.slots += node.slots
        one.used += used
        if state == "ready":
            one.ready += 1
            one.free += room
            slots_free += room
        else:
            slots_closed += room
        for job in node.reservations.values():
            running[job.pair] += 1
        work += 1 + used
        if work >= WORK_A_TURN:
            work = 0
            await asyncio.sleep(0)
    pools = await _pools(core, sums, running)
    shown = _shown(nodes)
    places: dict[tuple[str, ...], int] = {}
    rows = [
        NodeRow(
            node.node_id,
            node.state,
            len(node.reservations),
            node.slots,
            max(0, now_ms - node.seen_ms),
            node.failures_in_a_row,
            places.setdefault(node.pairs, len(places)),
        )
        for node in shown
    ]
    return FleetView(
        nodes_total=len(nodes),
        pools_total=len(pools),
        nodes=rows,
        pair_lists=[PairList(pairs[:PAIRS_SHOWN_MAX], len(pairs)) for pairs in places],
        pools=heapq.nsmallest(POOLS_SHOWN_MAX, pools.values(), key=lambda pool: (-pool.waiting, pool.pair)),
        states=dict(states),
        slots={"used": slots_used, "free": slots_free, "closed": slots_closed},
    )


async def _pools(core: Core, sums: dict[tuple[str, ...], _PairSum], running: Counter[str]) -> dict[str, PoolRow]:
    pools: dict[str, PoolRow] = {}
    work = 0
    for pairs, one in sums.items():
        for pair in pairs:
            pool = pools.get(pair)
            if pool is None:
                pool = pools[pair] = PoolRow(pair)
            pool.nodes += one.nodes
            pool.ready += one.ready
            pool.slots += one.slots
            pool.used += one.used
            pool.free += one.free
        work += len(pairs)
        if work >= WORK_A_TURN:
            work = 0
            await asyncio.sleep(0)
    for pair, jobs in running.items():
        (pools.get(pair) or pools.setdefault(pair, PoolRow(pair))).running = jobs
    for pair, jobs in core.waiting.counts():
        (pools.get(pair) or pools.setdefault(pair, PoolRow(pair))).waiting = jobs
    return pools


def _shown(nodes: list[Node]) -> list[Node]:
    if len(nodes) <= NODES_SHOWN_MAX:
        return nodes
    return heapq.nsmallest(NODES_SHOWN_MAX, nodes, key=lambda node: (_CALM[node.state], node.seen_ms))
