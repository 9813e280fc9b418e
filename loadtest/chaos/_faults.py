"""The kinds of faults, and the order in which a seed has them.

A fault takes something that no other fault has, breaks it, waits, and heals it. Its random is its own.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from redis.crc import key_slot

from voxpool.loadtest.chaos._judge import STORE
from voxpool.loadtest.chaos._site import Scheduler, Site, Worker
from voxpool.loadtest.chaos._sizes import PARTITIONS, SCHEDULER_LEASE_S, Sizes
from voxpool.loadtest.processes._line import Line
from voxpool.loadtest.processes._own_process import OwnProcess
from voxpool.loadtest.processes._own_redis import OwnRedis

DOWN_S = (0.1, 2.0)
"""From a kill to the restart."""
LONG_S = (0.3, 2.5 * SCHEDULER_LEASE_S)
"""Of faults that may be shorter or longer than the leases."""
SHORT_S = (0.2, 2.0)
WHOLE_S = 30.0
"""The time in which a cluster is whole again after a fail-over."""
LAG_S = (0.3, 1.0)
LOOK_S = 0.1

T = TypeVar("T", Scheduler, Worker)
Act = Callable[[Site, random.Random], Awaitable[bool]]


class Kind(NamedTuple):
    """A kind of fault. `act` returns False when there was nothing that it could take."""

    act: Act
    sentence: str
    stores: tuple[str, ...] = ("redis", "cluster")
    loses_writes: bool = False
    """Redis forgets what it has acknowledged."""


class Planned(NamedTuple):
    """A fault of a run: when it begins, and the seed of its random."""

    at_s: float
    kind: str
    seed: str


def kinds_of(sizes: Sizes) -> list[str]:
    """Return the kinds of a run, in the order of the table."""
    fits = [name for name, kind in KINDS.items() if sizes.store in kind.stores]
    return [name for name in fits if not sizes.kinds or name in sizes.kinds]


def planned(sizes: Sizes) -> list[Planned]:
    """Return the faults of a run: rounds, in each of which every kind comes once."""
    chance = random.Random(f"{sizes.seed} faults")
    kinds, at_s = kinds_of(sizes), 0.0
    faults: list[Planned] = []
    round_: list[str] = []
    while True:
        at_s += chance.uniform(0.5, 1.5) * sizes.every_s
        if at_s >= sizes.duration_s or not kinds:
            return faults
        if not round_:
            round_ = chance.sample(kinds, len(kinds))
        kind = round_.pop()
        faults.append(Planned(at_s, kind, f"{sizes.seed} {len(faults)} {kind}"))


# ---- processes


async def _kill_scheduler(site: Site, chance: random.Random) -> bool:
    scheduler = _free(site, chance, site.schedulers)
    if scheduler is None:
        return False
    with site.fault("kill_scheduler", scheduler.name):
        scheduler.kill()
        await asyncio.sleep(chance.uniform(*DOWN_S))
        await scheduler.start()
    return True


async def _stop_scheduler(site: Site, chance: random.Random) -> bool:
    scheduler = _free(site, chance, site.schedulers)
    if scheduler is None:
        return False
    with site.fault("stop_scheduler", scheduler.name):
        await scheduler.stop()
        await scheduler.start()
    return True


async def _freeze_scheduler(site: Site, chance: random.Random) -> bool:
    scheduler = _free(site, chance, site.schedulers)
    if scheduler is None:
        return False
    await _freeze(site, "freeze_scheduler", scheduler.name, scheduler.process, chance.uniform(*LONG_S))
    return True


async def _kill_node(site: Site, chance: random.Random) -> bool:
    node = _free(site, chance, site.nodes)
    if node is None:
        return False
    with site.fault("kill_node", node.name):
        node.process.kill()
        await asyncio.sleep(chance.uniform(*DOWN_S))
        node.start()
    return True


async def _freeze_node(site: Site, chance: random.Random) -> bool:
    node = _free(site, chance, site.nodes)
    if node is None:
        return False
    await _freeze(site, "freeze_node", node.name, node.process, chance.uniform(*LONG_S))
    return True


async def _freeze(site: Site, kind: str, name: str, process: OwnProcess, long_s: float) -> None:
    with site.fault(kind, name):
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(long_s)
        finally:
            process.send_signal(signal.SIGCONT)


# ---- links of clients and nodes


def _of_peers(kind: str, break_: Callable[[Line, int], None]) -> Act:
    """Break what lies between one scheduler and half of its clients or nodes."""

    async def act(site: Site, chance: random.Random) -> bool:
        scheduler = _free(site, chance, site.schedulers)
        if scheduler is None:
            return False
        nodes = chance.random() < 0.5
        lines = [node.line for node in site.nodes] if nodes else site.client_lines
        chosen = chance.sample(lines, max(1, len(lines) // 2))
        with site.fault(kind, f"{scheduler.name} {'nodes' if nodes else 'clients'}"):
            await _broken(chosen, scheduler.port, break_, chance.uniform(*LONG_S))
        return True

    return act


async def _broken(lines: Sequence[Line], port: int | None, break_: Callable[..., None], long_s: float) -> None:
    for line in lines:
        break_(line, port)
    try:
        await asyncio.sleep(long_s)
    finally:
        for line in lines:
            line.mend(port)


# ---- links of the store


def _of_store(kind: str, break_: Callable[[Line], None], long_s: tuple[float, float]) -> Act:
    """Break what lies between one scheduler and the store; in a cluster, between all of them and one server."""

    async def act(site: Site, chance: random.Random) -> bool:
        if site.store.kind == "cluster":
            if STORE in site.busy:
                return False
            lines, name = site.store.line_to(chance.choice(site.store.servers)), STORE
        else:
            scheduler = _free(site, chance, site.schedulers)
            if scheduler is None:
                return False
            lines, name = site.store.lines_of(scheduler.number), scheduler.name
        with site.fault(kind, name):
            await _broken(lines, None, lambda line, _: break_(line), chance.uniform(*long_s))
        return True

    return act


# ---- servers of the store


async def _freeze_store(site: Site, chance: random.Random) -> bool:
    server = _primary(site, chance)
    if server is None:
        return False
    with site.fault("freeze_store", STORE):
        server.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(chance.uniform(*SHORT_S))
        finally:
            server.send_signal(signal.SIGCONT)
        await _whole(site)
    return True


async def _empty_store(site: Site, chance: random.Random) -> bool:
    """In a cluster the primary is back before its replica is promoted, and the replica copies that it is empty."""
    server = _primary(site, chance)
    if server is None:
        return False
    with site.fault("empty_store", STORE):
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(chance.uniform(*(SHORT_S if site.store.cluster is None else (0.0, 0.3))))
        await asyncio.to_thread(server.start)
        await _whole(site)
    return True


async def _fail_over(site: Site, chance: random.Random) -> bool:
    """A replica gets nothing for a while; then its primary dies. What no other replica has is lost."""
    cluster, primary = site.store.cluster, _primary(site, chance)
    if cluster is None or primary is None:
        return False
    with site.fault("fail_over", STORE):
        replicas = await asyncio.to_thread(cluster.replicas_of, primary)
        for replica in replicas[:1]:
            with cluster.client(replica) as client:
                await asyncio.to_thread(client.execute_command, "CLIENT", "KILL", "TYPE", "master")
            replica.send_signal(signal.SIGSTOP)  # alone, it would read what the kernel has kept for it
            await asyncio.sleep(chance.uniform(*LAG_S))
        await asyncio.to_thread(primary.kill)
        for replica in replicas[:1]:
            replica.send_signal(signal.SIGCONT)
            await _until(lambda: any(map(cluster.is_primary, replicas)))
        await asyncio.to_thread(primary.start)
        await _whole(site)
    return True


async def _swap(site: Site, chance: random.Random) -> bool:
    """A replica takes over without a kill, unless it has not the data; the old primary answers READONLY and MOVED."""
    cluster, primary = site.store.cluster, _primary(site, chance)
    if cluster is None or primary is None:
        return False
    has_swapped = False
    with site.fault("swap", STORE):
        for replica in (await asyncio.to_thread(cluster.replicas_of, primary))[:1]:
            with cluster.client(replica) as client:
                await asyncio.to_thread(client.execute_command, "CLUSTER", "FAILOVER")
            has_swapped = await _until(partial(cluster.is_primary, replica))
        await _whole(site)
    return has_swapped


async def _move_slot(site: Site, chance: random.Random) -> bool:
    """The slot of the next partition goes to another primary, with its keys."""
    cluster = site.store.cluster
    if cluster is None or STORE in site.busy:
        return False
    partition = sum(fault.kind == "move_slot" for fault in site.done) % PARTITIONS
    slot = key_slot(str(partition).encode())
    with site.fault("move_slot", STORE):
        return await asyncio.to_thread(cluster.move_slot, slot, chance.choice)


def _primary(site: Site, chance: random.Random) -> OwnRedis | None:
    if STORE in site.busy:
        return None
    cluster = site.store.cluster
    servers = site.store.servers if cluster is None else cluster.primaries()
    return chance.choice(servers) if servers else None


async def _whole(site: Site) -> None:
    """Return when a cluster has all its primaries and replicas."""
    cluster = site.store.cluster
    if cluster is not None and not await _until(cluster.is_whole):
        site.complaints.append(f"the cluster was not whole {WHOLE_S:g} s after a fault")


async def _until(holds: Callable[[], bool]) -> bool:
    """Return whether it holds within WHOLE_S."""
    for _ in range(int(WHOLE_S / LOOK_S)):
        if await asyncio.to_thread(holds):
            return True
        await asyncio.sleep(LOOK_S)
    return False


def _free(site: Site, chance: random.Random, among: Sequence[T]) -> T | None:
    taken = {word for target in site.busy for word in target.split()}
    free = [one for one in among if one.name not in taken]
    return chance.choice(free) if free else None


KINDS = {
    "kill_scheduler": Kind(_kill_scheduler, "kill -9 of a scheduler; it starts again after 0.1 to 2 s"),
    "stop_scheduler": Kind(_stop_scheduler, "SIGTERM to a scheduler; it starts again when it has ended"),
    "freeze_scheduler": Kind(_freeze_scheduler, "SIGSTOP of a scheduler, shorter or longer than its lease"),
    "kill_node": Kind(_kill_node, "kill -9 of a node; it starts again after 0.1 to 2 s"),
    "freeze_node": Kind(_freeze_node, "SIGSTOP of a node, shorter or longer than its lease"),
    "cut_peers": Kind(
        _of_peers("cut_peers", Line.cut), "RST of the connections between a scheduler and half of its clients or nodes"
    ),
    "half_open_peers": Kind(
        _of_peers("half_open_peers", Line.go_dead), "those connections hang for ever, and neither end is told"
    ),
    "hold_peers": Kind(_of_peers("hold_peers", Line.hold), "what is sent over them arrives late"),
    "lose_answers": Kind(
        _of_peers("lose_answers", Line.lose_answers), "what the scheduler sends over them does not arrive"
    ),
    "cut_store": Kind(
        _of_store("cut_store", Line.cut, LONG_S),
        "RST of the connections between a scheduler and Redis, or all and one server",
    ),
    "half_open_store": Kind(
        _of_store("half_open_store", Line.go_dead, SHORT_S), "those connections hang for ever, and neither end is told"
    ),
    "hold_store": Kind(_of_store("hold_store", Line.hold, LONG_S), "what is sent over them arrives late"),
    "freeze_store": Kind(_freeze_store, "SIGSTOP of Redis, or of a primary"),
    "empty_store": Kind(_empty_store, "kill -9 of Redis or of a primary, which comes back empty", loses_writes=True),
    "fail_over": Kind(
        _fail_over,
        "a primary dies when its replica lags: acknowledged writes are lost",
        ("cluster",),
        loses_writes=True,
    ),
    "swap": Kind(_swap, "CLUSTER FAILOVER: a replica takes over without a kill", ("cluster",)),
    "move_slot": Kind(_move_slot, "a partition goes to another primary in traffic: ASK, TRYAGAIN, MOVED", ("cluster",)),
}
"""Name -> kind."""
