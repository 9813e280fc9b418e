"""The faults of a wire run, as data: drawn first, struck later, so that a run can be repeated with fewer of them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NamedTuple

from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.wire.world import SCHEDULER, WireWorld

LONGEST_S = 60.0
"""The longest duration of a fault; it is drawn so that short ones are as likely as long ones on a logarithmic scale."""
CLIENT_GONE_S_MAX = 8.0
"""A crashed client comes back within this time, which is shorter than the grace of its session."""
CLIENT_CUT_S_MAX = 20.0
SCHEDULER_GONE_S_MAX = 3.0
SCHEDULER_FROZEN_S_MAX = 10.0
RECONNECTED_S = 8.0
"""The time that a client needs to reconnect after its link or process works again."""
PINGED_S = 75.0
"""The time until both ends have noticed a dead connection by their pings, and reconnected."""


class Strike(NamedTuple):
    """One fault: when it begins, its kind, a number that picks the target, and its duration."""

    at_s: float
    kind: str
    target: int
    lasts_s: float


class Cast(NamedTuple):
    """The machines of a run, and how to start their programs again."""

    nodes: list[str]
    clients: list[str]
    start_node: Callable[[str], None]
    start_client: Callable[[str], None]


def draw_strikes(seed: int, count: int, spread_s: float = 1.5) -> list[Strike]:
    """Return the faults of `seed`. Each run uses a part of the kinds, so that rare combinations occur."""
    random = plain_random(seed, "faults")
    kinds = [kind for kind in KINDS if random.random() < 0.6] or list(KINDS)
    at_s, strikes = 0.3, []
    for _ in range(count):
        at_s += random.random() * spread_s
        strikes.append(Strike(at_s, random.choice(kinds), random.randrange(1000), LONGEST_S ** random.random()))
    return strikes


def strike(world: WireWorld, cast: Cast, fault: Strike) -> None:
    """Begin `fault` now; it heals by itself. Targets that are ended or frozen are left out."""
    of, _, _ = fault.kind.partition("_")
    names = {"node": cast.nodes, "client": cast.clients, "scheduler": [SCHEDULER]}[of]
    name = names[fault.target % len(names)]
    process = world.process(name)
    if process.is_alive and not process.is_frozen:
        world.hub.fault_began(fault.kind, name)
        KINDS[fault.kind](world, cast, name, fault.lasts_s)


def _trouble(world: WireWorld, name: str, for_s: float) -> None:
    quiet = world.ledger.quiet_from_s
    quiet[name] = max(quiet.get(name, 0.0), world.env.now + for_s)


def _node_crash(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    world.process(name).kill()
    world.loop.after(min(lasts_s, SCHEDULER_GONE_S_MAX), cast.start_node, name)


def _node_power_off(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    world.process(name).kill(power_off=True)
    world.loop.after(lasts_s, cast.start_node, name)


def _freeze(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    process = world.process(name)
    process.freeze()
    world.loop.after(lasts_s, process.thaw)


def _cut(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    link = world.network.link(name, SCHEDULER)
    link.cut()
    world.loop.after(lasts_s, link.heal)


def _slow(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    link = world.network.link(name, SCHEDULER)
    link.bytes_per_s = 20_000.0

    def heal() -> None:
        link.bytes_per_s = 0.0

    world.loop.after(lasts_s, heal)


def _reset(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    for transport in list(world.process(name).transports):
        transport.reset()
    _trouble(world, name, RECONNECTED_S)


def _dark(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    for transport in list(world.process(name).transports):
        transport.go_dark()
    _trouble(world, name, PINGED_S)


def _client_cut(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    lasts_s = min(lasts_s, CLIENT_CUT_S_MAX)
    _cut(world, cast, name, lasts_s)
    _trouble(world, name, lasts_s + 2 * CLIENT_CUT_S_MAX)


def _client_slow(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    _slow(world, cast, name, lasts_s)
    _trouble(world, name, lasts_s + PINGED_S)


def _client_crash(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    lasts_s = min(lasts_s, CLIENT_GONE_S_MAX)
    world.kill_client(name)
    _trouble(world, name, lasts_s + RECONNECTED_S)
    world.loop.after(lasts_s, cast.start_client, name)


def _scheduler_in_trouble(world: WireWorld, cast: Cast) -> None:
    world.scheduler_fault_s = world.env.now
    for client in cast.clients:
        _trouble(world, client, 30.0)


def _start_scheduler(world: WireWorld) -> None:
    if not world.process(SCHEDULER).is_alive:
        world.start_scheduler()
    elif world.scheduler_is_away:  # it still ends in good order
        world.loop.after(0.2, _start_scheduler, world)


def _scheduler_kill(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    _scheduler_in_trouble(world, cast)
    world.scheduler_is_away = True
    world.process(name).kill()
    world.loop.after(min(lasts_s, SCHEDULER_GONE_S_MAX), _start_scheduler, world)


def _scheduler_terminate(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    _scheduler_in_trouble(world, cast)
    world.scheduler_is_away = True
    world.process(name).signal(signal.SIGTERM)
    world.loop.after(min(lasts_s, SCHEDULER_GONE_S_MAX), _start_scheduler, world)


def _scheduler_freeze(world: WireWorld, cast: Cast, name: str, lasts_s: float) -> None:
    _scheduler_in_trouble(world, cast)
    _freeze(world, cast, name, min(lasts_s, SCHEDULER_FROZEN_S_MAX))


KINDS: dict[str, Callable[[WireWorld, Cast, str, float], None]] = {
    "node_crash": _node_crash,
    "node_power_off": _node_power_off,
    "node_freeze": _freeze,
    "node_cut": _cut,
    "node_slow": _slow,
    "node_reset": _reset,
    "node_dark": _dark,
    "client_cut": _client_cut,
    "client_slow": _client_slow,
    "client_reset": _reset,
    "client_dark": _dark,
    "client_crash": _client_crash,
    "scheduler_kill": _scheduler_kill,
    "scheduler_terminate": _scheduler_terminate,
    "scheduler_freeze": _scheduler_freeze,
}
"""Kind -> what begins it on a machine for a time in seconds."""
