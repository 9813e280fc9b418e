"""Plays a seed: faults for a while, then healing; and what must be true in between and in the end."""

from __future__ import annotations

import random
import traceback
from typing import NamedTuple

from voxpool.sim.instances.world import PRODUCTION, Parts, Shape, World

SETTLE_EVERY = 40
SETTLE_STEPS = 800
HEAL_MS = 30_000
HEAL_STEPS = 100_000
NOT_SETTLING = ("work", "beat", "knock", "expire")


class Played(NamedTuple):
    """What came of a seed; `wrong` is empty when all is well."""

    wrong: list[str]
    requests: int
    runs: int
    ran_twice: int
    deaths: int
    losses: int


def shape_of(seed: int, loses_writes: bool) -> Shape:
    """Draw the sizes of a world."""
    chance = random.Random(seed * 7 + 1)
    pairs = [f"p{number}:en" for number in range(chance.randint(1, 4))]
    return Shape(
        schedulers=chance.randint(2, 4),
        partitions=chance.randint(1, 2),
        pairs=pairs,
        nodes=chance.randint(1, 5),
        slots_max=chance.randint(1, 3),
        loses_writes=loses_writes,
        skew_ms=chance.choice((0, 0, 400)),
        lost_share=chance.choice((0.03, 0.03, 0.2)),
        stall_share=chance.choice((0.002, 0.002, 0.01)),
        has_twin=chance.random() < 0.3,
        expiring_share=chance.choice((0.0, 0.0, 0.2)),
        waiting_ms=chance.choice((10**7, 10**7, 4_000)),
    )


def play(seed: int, steps: int = 600, loses_writes: bool = False, parts: Parts = PRODUCTION) -> Played:
    """Play one seed."""
    world = World(seed, shape_of(seed, loses_writes), parts)
    wrong: list[str] = []
    try:
        for number in range(steps):
            world.step()
            if number % SETTLE_EVERY == SETTLE_EVERY - 1 and not wrong:
                wrong += _settle(world)
        wrong += _heal(world)
        wrong += _left(world)
    except Exception as error:
        wrong.append(f"{error!r}\n{traceback.format_exc()[-1500:]}")
    finally:
        for scheduler in list(world.schedulers):
            world.kill(scheduler)
    seen = world.seen
    ran_twice = sum(1 for runs in seen.runs.values() if runs > 1)
    return Played(wrong, len(world.requests), sum(seen.runs.values()), ran_twice, world.deaths, world.losses)


def _settle(world: World) -> list[str]:
    """Let everything happen but work, faults and time: then no free slot may be beside a waiting job."""
    for _ in range(SETTLE_STEPS):
        found = [step for step, name in world.steps(quiet=True) if name not in NOT_SETTLING]
        if not found:
            break
        world.chance.choice(found)()
    else:
        return ["it never settles"]
    names = {scheduler.name for scheduler in world.schedulers}
    if any(set(store.members("schedulers")) != names for store in world.stores):
        return []
    return _idle(world) + _names(world)


def _names(world: World) -> list[str]:
    """Return what is wrong with the names of nodes: each is at one scheduler, and the store knows at which."""
    here = sorted(f"{s.name}|{node_id}" for s in world.schedulers for node_id in s.desk.nodes)
    stored = sorted(entry for store in world.stores for entry in store.members("enrolled"))
    if here == stored and len({entry.split("|")[1] for entry in here}) == len(here):
        return []
    return [f"nodes here: {here}; stored: {stored}"]


def _idle(world: World) -> list[str]:
    found = []
    for store in world.stores:
        for entry in store.members("waiting"):
            pair, *_, job_id = entry.split("|")
            for node in world.nodes:
                if node.scheduler is not None and pair in node.pairs and len(node.running) < node.slots:
                    found.append(f"{node.node_id} is idle beside {job_id} of {pair}")
    return found[:3]


def _heal(world: World) -> list[str]:
    """Nothing breaks any more: everything ends, within some leases."""
    if not world.schedulers:
        world.bear()
    end_ms = world.now_ms + HEAL_MS
    for _ in range(HEAL_STEPS):
        if not any(client.open for client in world.clients):
            break
        if world.now_ms > end_ms:
            open_jobs = [list(client.open.items())[:3] for client in world.clients]
            return [f"never ended: {open_jobs}", *_idle(world)]
        world.step(quiet=True)
    end_ms = max(end_ms, world.now_ms + HEAL_MS)
    late_ms = end_ms + 4 * HEAL_MS
    while world.now_ms <= end_ms or (world.now_ms <= late_ms and any(one.members("records") for one in world.stores)):
        world.step(quiet=True)  # a job that lost writes have brought back may end late
    return []


def _may_fail(world: World, request_id: str, outcome: str) -> bool:
    """Attempts may be lost with their schedulers and nodes, or for want of audio that the store has lost."""
    if outcome == "expired":
        return request_id in world.expires
    return outcome.startswith("attempts_max|") or (outcome == "waiting_timeout" and world.shape.waiting_ms < HEAL_MS)


def _left(world: World) -> list[str]:
    """Return what is wrong with what the ends have seen, and what is left in the store and the schedulers."""
    seen, wrong = world.seen, list(world.seen.wrong)
    if not world.losses:
        wrong += [f"{job} attempt {number} was sent twice" for (job, number), n in seen.attempts.items() if n > 1]
    if len(seen.ends) != len(world.requests):
        wrong.append(f"{len(world.requests)} requests, {len(seen.ends)} ended")
    failed = [
        f"{request} {end}"
        for request, end in seen.ends.items()
        if end[0] == "f" and not _may_fail(world, request, end[1])
    ]
    if failed:
        wrong.append(f"failed: {failed[:3]}")
    names = {scheduler.name for scheduler in world.schedulers}
    for store in world.stores:
        dump = store.dump()
        for family in ("records", "waiting", "taken", "due", "ended", "flows", "turns", "listed"):
            if dump.get(family):
                wrong.append(f"{family} left: {dump[family][:3]}")
        for family in ("mail", "hungry"):
            owners = {name.split("|")[0 if family == "mail" else -1] for name in store.members(family)}
            if lost := {name for name in owners if ":" not in name} - names:
                wrong.append(f"{family} of nobody: {sorted(lost)}")
        for field, counts in dump.get("counts", []):
            if field[1:] not in names if field.startswith("@") else counts.split("|")[1:3] != ["0", "0"]:
                wrong.append(f"counts: {field} {counts}")
    for scheduler in world.schedulers:
        if any(scheduler.desk.sizes):
            wrong.append(f"{scheduler.name} keeps {scheduler.desk.sizes} (held, wishes, early)")
    return wrong
