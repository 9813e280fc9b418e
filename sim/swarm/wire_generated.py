"""Draws the scenario of a run whose ends are production code: few machines, one pair, all kinds of clients.

The settings have timeouts that no fault reaches, so that every job has to complete: an accepted job that is lost or
given up shows.
"""

from __future__ import annotations

import random

import msgspec

from voxpool.scheduler.config import FAIR
from voxpool.sim.chance.distributions import Even, Exponential, Lognormal
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.faults import FaultKind, faults_of
from voxpool.sim.scenario.scenario import Fault, Links, Nodes, Scenario, StoreDelay, Traffic

PAIR = "en:en"
SETTINGS = {
    "waiting_timeout_s": 600.0,
    "no_node_grace_s": 600.0,
    "attempts_max": 20,
    "dispatch_timeout_s": 60.0,
    "retention_s": 60.0,
}
STRIKES = 12.0
"""Faults a run, about."""
CLIENT_WEIGHT = 2.0
"""How much more often faults of clients strike: each hits one of several."""
SHARE_OF_KINDS = 0.6
SHORT_S, LONG_S = (0.3, 6.0), (5.0, 40.0)
"""Durations of faults; a run has short or long ones of a kind."""
FAIR_SHARE = 0.3
"""Share of the runs whose waiting jobs start by priority and key."""
CLIENT_GONE_S = (0.3, 8.0)
"""A crashed client is back within the grace of its session."""
PARTIALS_EVERY, PARTIALS_REST = 7, 5
"""Clients ask for partial results in the runs of seeds with this rest. The seeds that are known for planted bugs have
others, so that their runs are what they were."""
LARGE_AUDIO_BYTES = (300_000.0, 1_200_000.0)
"""More than the buffers of a connection, now and then."""


def draw_wire_scenario(seed: int) -> Scenario:
    """Return the scenario of `seed`."""
    chance = plain_random(seed, "wire/shape")
    duration_s = chance.uniform(4.0, 10.0)
    nodes = chance.randint(2, 5)
    slots = chance.randint(1, 3)
    work = chance.choice([Even(mean=0.2, spread=0.9), Lognormal(mean=0.5, cv=3.0), Lognormal(mean=1.5, cv=4.0)])
    traffic = [
        _stream(chance, over, work, large=chance.random() < 0.3 and over == "session")
        for over in ("session", "in_order", "http")
    ]
    order, traffic = _sharing(plain_random(seed, "wire/teams"), traffic)
    if seed % PARTIALS_EVERY == PARTIALS_REST:
        partials = plain_random(seed, "wire/partials")
        traffic[:2] = [msgspec.structs.replace(one, partials=partials.choice([0, 1, 5, 30])) for one in traffic[:2]]
    return Scenario(
        name="swarm-wire",
        seed=seed,
        duration_s=duration_s,
        ends="wire",
        tokens=chance.random() < 0.3,
        settings={
            **SETTINGS,
            **order,
            "in_order_grace_s": chance.choice([2.0, 5.0]),
            "drain_s": chance.choice([0.0, 1.0, 30.0]),
        },
        links=Links(delay_ms=Even(mean=chance.choice([0.5, 1.6, 30.0]), spread=0.8)),
        store=StoreDelay(delay_ms=chance.choice([0.0, 0.0, 0.5, 20.0])),
        nodes=[Nodes(count=nodes, pairs=[PAIR], slots=slots)],
        traffic=traffic,
        faults=_faults(plain_random(seed, "wire/faults"), duration_s, nodes),
    )


def _stream(chance: random.Random, over: str, work: object, large: bool) -> Traffic:
    return Traffic(
        pair=PAIR,
        rate_per_s=chance.uniform(1.0, 5.0 if over == "in_order" else 3.0),
        work_s=work,  # type: ignore[arg-type]
        audio_bytes=chance.choice(LARGE_AUDIO_BYTES) if large else Exponential(4000.0),
        sessions={"http": 0, "in_order": 1, "session": chance.randint(1, 2)}[over],
        affinity=over == "session" and chance.random() < 0.3,
        retries=0 if over == "in_order" else 1,  # a submit that is sent again takes a new place in the order
        over=over,  # type: ignore[arg-type]
    )


def _sharing(chance: random.Random, traffic: list[Traffic]) -> tuple[dict[str, str], list[Traffic]]:
    """Draw the order of the waiting jobs; in the order `fair` the streams have keys and priorities."""
    if chance.random() >= FAIR_SHARE:
        return {}, traffic
    shared = [
        msgspec.structs.replace(stream, key=chance.choice(["", "a", "b"]), priority=chance.choice([1, 3, 3, 5]))
        for stream in traffic
    ]
    return {"order": FAIR}, shared


def _faults(chance: random.Random, duration_s: float, nodes: int) -> list[Fault]:
    """Return the faults of a run, which has a part of the kinds (swarm testing)."""
    kinds = [name for name in sorted(faults_of("wire")) if chance.random() < SHARE_OF_KINDS]
    weights = {name: CLIENT_WEIGHT if name.startswith("client") else 1.0 for name in kinds}
    each = STRIKES / sum(weights.values())
    table = faults_of("wire")
    return [_fault(chance, name, table[name], duration_s, nodes, each * weights[name]) for name in kinds]


def _fault(chance: random.Random, name: str, kind: FaultKind, duration_s: float, nodes: int, strikes: float) -> Fault:
    lasts_s = CLIENT_GONE_S if name == "client_crash" else chance.choice([SHORT_S, LONG_S])
    return Fault(
        kind=name,
        per_target_per_h=strikes * 3600 / duration_s / (nodes if kind.is_of_each_node else 1),
        lasts_s=None if kind.is_momentary else lasts_s,
    )
