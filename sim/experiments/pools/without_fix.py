"""The 'without' sides of the experiment `pools`.

C1 to C3 measure probabilities: the old choice on a small keyspace, with the run's seed. C4, C5, C9 and the cost by size
measure costs and the server's random draws: the old scripts on a real server.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.experiments.keyspace import Keyspace
from voxpool.sim.experiments.pools.select_cost import chi_square_a_degree
from voxpool.sim.experiments.pools.size import Figures, Point, Size
from voxpool.sim.experiments.pools.without import pool_scripts
from voxpool.sim.experiments.pools.without.random_tries import RandomTries
from voxpool.sim.experiments.pools.without.sharded_pools import SHARD_MAX, ShardedPools
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.experiments.servers import Server, Spent, open_server, system_redis

PAIR = "zh:en"
NOBODYS_PAIR = "fr:de"
DEAD_S, ALIVE_S = 1.0, 1e9
AT_ONCE = 1000
"""Number of members that one SRANDMEMBER draws."""


class _Time:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def ghosts(size: Size, seed: int, _store: str, tell: Tell) -> Figures:
    """C1: first choices in a pool in which most members are dead."""
    found: Figures = {}
    for number, alive in enumerate(size.alive):
        now = _Time()
        pool = RandomTries(Keyspace(now), plain_random(seed, f"ghosts/{alive}"))
        for node in range(size.members):
            pool.register(f"gpu-{node}", PAIR, ALIVE_S if node < alive else DEAD_S)
        now.now_s = 2 * DEAD_S
        nobody = sum(pool.choose(PAIR) is None for _ in range(size.tries))
        found[f"nobody {alive}"] = 100.0 * nobody / size.tries
        tell((number + 1) / len(size.alive))
    return found


def gap(size: Size, seed: int, _store: str, tell: Tell) -> Figures:
    """C2: shards, one of which in the middle is empty."""
    pools = ShardedPools(Keyspace(lambda: 0.0), plain_random(seed, "gap"))
    nodes = [f"gpu-{number}" for number in range(size.shards * SHARD_MAX)]
    for node_id in nodes:
        pools.register(node_id, PAIR)
    gone = nodes[3 * SHARD_MAX : 4 * SHARD_MAX]
    for node_id in gone:
        pools.offline(node_id, PAIR)
    living = len(nodes) - len(gone)
    seen = Counter(pools.choose(PAIR) for _ in range(size.draws_a_node * living))
    behind = sum(seen[node_id] for node_id in nodes[4 * SHARD_MAX :])
    tell(1.0)
    return {"reached": 100.0 * len(seen) / living, "behind": 100.0 * behind / seen.total()}


def lonely(size: Size, seed: int, _store: str, tell: Tell) -> dict[str, float]:
    """C3: full shards, and one with a single member."""
    pools = ShardedPools(Keyspace(lambda: 0.0), plain_random(seed, "lonely"))
    nodes = [f"gpu-{number}" for number in range(size.lonely)]
    for node_id in nodes:
        pools.register(node_id, PAIR)
    seen = Counter(pools.choose(PAIR) for _ in range(size.draws_a_node * size.lonely))
    counts = [seen[node_id] for node_id in nodes]
    tell(1.0)
    return shares_found(counts)


def shares_found(counts: Sequence[int]) -> dict[str, float]:
    """Return the figures of C3 and C9 from the number of choices of each node; the last node is alone in its shard."""
    fair = sum(counts) / len(counts)
    return {
        "share": 100.0 * counts[-1] / sum(counts),
        "chi_square": chi_square_a_degree(counts) * (len(counts) - 1),
        "a_degree": chi_square_a_degree(counts),
        "busiest": max(counts) / fair,
        "rarest": min(counts) / fair,
    }


def one_and_two(one: Mapping[str, float], two: Mapping[str, float]) -> dict[str, float]:
    """Return the figures of C9: the shares of a single draw, and of the first of two."""
    return {f"one {key}": value for key, value in one.items()} | {f"two {key}": value for key, value in two.items()}


def choices(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """C4: a normal choice, one for a pair without nodes, and one with a session's node of other pairs."""
    server = open_server(store)
    try:
        _fill(server, size.served)
        found: Figures = {"server": server.name}
        for kind, arguments in (("normal", (PAIR, "")), ("nobody", (NOBODYS_PAIR, "")), ("affine", (PAIR, "gpu-x"))):
            spent = _spent(server, pool_scripts.CHOOSE, [arguments] * size.choices)
            found[f"{kind} commands"] = spent.commands / size.choices
            found[f"{kind} us"] = spent.script_us / size.choices
        return found
    finally:
        server.close()


def beats(size: Size, seed: int, store: str, tell: Tell) -> Figures:
    """C5: the cost of a heartbeat by the number of pairs that the node serves."""
    server = open_server(store)
    try:
        found: Figures = {"server": server.name}
        for count in size.pairs:
            arguments = ["gpu-1", *(f"l{number}:en" for number in range(count))]
            spent = _spent(server, pool_scripts.BEAT, [arguments] * size.choices)
            found[f"{count} commands"] = spent.commands / size.choices
            found[f"{count} us"] = spent.script_us / size.choices
        return found
    finally:
        server.close()


def srandmember(size: Size, seed: int, store: str, tell: Tell) -> dict[str, dict[str, float]]:
    """C9: the draws of SRANDMEMBER on the run's server and on this machine's Redis, with the server's random numbers.

    The unevenness of a set depends on the server's hash seed, so the figure of a negative count is a mean over several
    sets.
    """
    servers = [open_server(store)]
    if "://" not in store and system_redis():
        servers.append(Server(binary=system_redis()))
    found: dict[str, dict[str, float]] = {}
    try:
        for server in servers:
            sets = [_negative_count(server, size, number) for number in range(size.sets)]
            one = {key: statistics.mean(each[key] for each in sets) for key in sets[0]}
            found[server.name] = one_and_two(one, _first_of_two(server, size))
    finally:
        for server in servers:
            server.close()
    return found


def _negative_count(server: Server, size: Size, number: int) -> dict[str, float]:
    """Return the shares in set `number`; each set has different members, so one hash seed spreads it differently."""
    members = [f"gpu-{number}-{member}" for member in range(size.pool)]
    _fill_set(server, members)
    seen = Counter[str]()
    for drawn in server.pipeline([("SRANDMEMBER", _SET, -AT_ONCE)] * (size.shares_a_node * size.pool // AT_ONCE)):
        seen.update(drawn)
    return shares_found([seen[member] for member in members])


def _first_of_two(server: Server, size: Size) -> dict[str, float]:
    members = [f"gpu-{member}" for member in range(size.small_pool)]
    _fill_set(server, members)
    draws = server.pipeline([("SRANDMEMBER", _SET, 2)] * (size.shares_a_node * size.small_pool))
    seen = Counter(first for first, _ in draws)
    return shares_found([seen[member] for member in members])


def by_size(size: Size, seed: int, store: str, tell: Tell) -> list[Point]:
    """Return the cost of the old choice by the number of nodes in its pool."""
    server = open_server(store)
    points = []
    try:
        for number, nodes in enumerate(size.nodes_in_one):
            server.clear()
            _fill(server, nodes)
            spent = [_spent(server, pool_scripts.CHOOSE, [(PAIR, "")] * 20) for _ in range(size.rounds)]
            us = statistics.quantiles((each.script_us / 20 for each in spent), n=5)[0]
            points.append(Point(nodes, 1, max(each.commands for each in spent) / 20, us, None))
            tell((number + 1) / len(size.nodes_in_one))
    finally:
        server.close()
    return points


_SET = f"{pool_scripts.PREFIX}:members"


def _fill(server: Server, nodes: int) -> None:
    server.pipeline(
        command for number in range(nodes) for command in pool_scripts.registered(f"gpu-{number}", number, PAIR)
    )


def _fill_set(server: Server, members: Sequence[str]) -> None:
    server.pipeline([("DEL", _SET), *(("SADD", _SET, member) for member in members)])


def _spent(server: Server, script: str, calls: Sequence[Sequence[str]]) -> Spent:
    before = server.spent()
    server.evaluate(script, calls)
    return server.spent().since(before)
