"""Draws a scenario from a seed: settings, nodes, traffic, delays, and faults with rates.

Each part and each kind of fault has a separate sub-seed, so a new kind does not change the draws of the others. Many
options are intentionally extreme, and each run uses only some of the features (swarm testing, Groce et al. 2012),
because some bugs only show when a feature is absent.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from voxpool.sim.chance.distributions import Distribution, Even, Exponential, Gamma, Lognormal, Pareto
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.faults import FAULTS
from voxpool.sim.scenario.scenario import Fault, Links, Nodes, Scenario, StoreDelay, Traffic, distribution
from voxpool.sim.swarm.wire_generated import draw_wire_scenario

PAIRS = ("zh:en", "en:zh", "en:fr", "fr:en", "ja:en", "ko:en")
DEPARTURES = ("node_crash", "node_vanish", "node_restart", "node_new_id", "node_reconnects", "link_partition")
"""Faults after which the jobs of a node go to other nodes."""
FOLLOWING = ("client_resubmit", "client_cancel", "client_disconnect", "node_crash", "node_freeze", "link_partition")
"""Faults that follow them: the client of the job acts, or its next node departs, too."""
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Size:
    """Upper bounds of the sizes of a swarm's runs."""

    name: str
    nodes_max: int
    jobs_max: int
    """Approximate number of requests per run."""
    lasts_s: tuple[float, float]
    strikes_max: float
    """Approximate number of faults of each kind."""


SMALL = Size("small", nodes_max=12, jobs_max=600, lasts_s=(30.0, 300.0), strikes_max=8.0)
LARGE = Size("large", nodes_max=60, jobs_max=3000, lasts_s=(60.0, 1800.0), strikes_max=30.0)
WIRE = Size("wire", nodes_max=5, jobs_max=120, lasts_s=(4.0, 10.0), strikes_max=8.0)
"""Runs with production's clients, nodes and endpoints."""
SIZES = {size.name: size for size in (SMALL, LARGE, WIRE)}
WIRE_EVERY = 20
"""Of the seeds of a small swarm each with this number is a run of the wire."""


def size_of(seed: int, size: str, store: str) -> str:
    """Return the size of a seed in a swarm of `size`."""
    return WIRE.name if (size, store) == (SMALL.name, "memory") and seed % WIRE_EVERY == 0 else size


def draw_scenario(seed: int, size: Size = SMALL) -> Scenario:
    """Return the scenario of `seed`; it has no expectations, only the checkers decide."""
    if size is WIRE:
        return draw_wire_scenario(seed)
    chance = plain_random(seed, "swarm/shape")
    duration_s = _log_even(chance, *size.lasts_s)
    pairs = PAIRS[: 1 + int(chance.random() * len(PAIRS))]
    nodes = _nodes(plain_random(seed, "swarm/nodes"), pairs, size)
    settings = _settings(plain_random(seed, "swarm/settings")) | _backoff(plain_random(seed, "swarm/backoff"))
    audio_bytes_max = min(5000, settings.get("audio_bytes_max", 5000))
    traffic = _traffic(plain_random(seed, "swarm/traffic"), pairs, nodes, duration_s, size, audio_bytes_max)
    work_s = distribution(traffic[0].work_s).mean or 0.0
    order, traffic = _sharing(plain_random(seed, "swarm/sharing"), traffic)
    return Scenario(
        name=f"swarm-{size.name}",
        seed=seed,
        duration_s=duration_s,
        settings=settings | order,
        links=Links(delay_ms=_delay(plain_random(seed, "swarm/links"), 0.5, 200.0)),
        store=StoreDelay(delay_ms=_delay(plain_random(seed, "swarm/store"), 0.1, 50.0)),
        nodes=nodes,
        traffic=traffic,
        faults=[*_faults(seed, nodes, duration_s, size), *_departures(seed, nodes, duration_s, work_s, size)],
    )


def _log_even(chance: random.Random, low: float, high: float) -> float:
    """Return a number between `low` and `high`, uniform on a logarithmic scale."""
    return float(round(math.exp(chance.uniform(math.log(low), math.log(high))), 4))


def _one_of(chance: random.Random, items: Sequence[Item]) -> Item:
    return items[int(chance.random() * len(items))]


def _settings(chance: random.Random) -> dict[str, Any]:
    """Draw the settings that affect jobs; some bounds are so low that they are reached."""
    heartbeat_s = _log_even(chance, 0.5, 15.0)
    drawn: dict[str, Any] = {
        "heartbeat_s": heartbeat_s,
        "lease_s": heartbeat_s * chance.uniform(1.2, 4.0),
        "retention_s": chance.choice([0.0, _log_even(chance, 0.5, 120.0)]),
        "cleanup_interval_s": _log_even(chance, 0.5, 60.0),
        "waiting_timeout_s": _log_even(chance, 0.5, 120.0),
        "dispatch_timeout_s": _log_even(chance, 1.0, 120.0),
        "attempts_max": 1 + int(chance.random() * 6),
        "choices": 1 + int(chance.random() * 4),
        "removals_max": _one_of(chance, (1, 2, 10, 1000)),
        "select_batch_max": _one_of(chance, (1, 3, 20, 100)),
        "rest_after_failures": _one_of(chance, (0, 1, 2, 5)),
        "rest_s": _log_even(chance, 0.5, 60.0),
        "busy_rest_s": _log_even(chance, 0.1, 5.0),
        "store_sweep_s": _log_even(chance, 0.2, 5.0),
        "retry_after_s": _log_even(chance, 0.1, 5.0),
        "sweep_slice": _one_of(chance, (1, 10, 500)),
        "timeouts_slice": _one_of(chance, (1, 10, 500)),
        "sessions_max": _one_of(chance, (1, 10, 1000)),
        "finished_max": _one_of(chance, (0, 10, 100, 100_000)),
    }
    if chance.random() < 0.2:
        drawn["jobs_max"] = 1 + int(chance.random() * 50)
    if chance.random() < 0.2:
        drawn["audio_total_bytes_max"] = 5000 + int(chance.random() * 100_000)
        drawn["audio_bytes_max"] = 5000
    elif chance.random() < 0.1:
        drawn["audio_bytes_max"] = 2000
    return drawn


def _backoff(chance: random.Random) -> dict[str, Any]:
    """Draw the pause after an error: none, short, or longer than the timeouts of some runs."""
    first_s = 0.0 if chance.random() < 0.25 else _log_even(chance, 0.05, 20.0)
    return {"backoff_s": first_s, "backoff_max_s": _log_even(chance, 0.1, 60.0)}


def _sharing(chance: random.Random, traffic: Sequence[Traffic]) -> tuple[dict[str, Any], list[Traffic]]:
    """Draw the order of the waiting jobs; in the order `fair` the streams are divided between keys and priorities."""
    drawn: dict[str, Any] = {}
    if chance.random() < 0.3:
        drawn["late_factor"] = _log_even(chance, 0.2, 5.0)
    if chance.random() < 0.6:
        return drawn, [*traffic]
    keys = [(f"k{number}", _log_even(chance, 0.2, 5.0)) for number in range(1 + int(chance.random() * 4))]
    priorities = _one_of(chance, ((3,), (3,), (1, 3), (1, 2, 3, 4, 5)))
    shared = [
        msgspec.structs.replace(
            stream,
            rate_per_s=stream.rate_per_s / len(keys),
            key=key,
            weight=weight,
            priority=_one_of(chance, priorities),
        )
        for stream in traffic
        for key, weight in keys
    ]
    return drawn | {"order": "fair"}, shared


def _delay(chance: random.Random, low_ms: float, high_ms: float) -> float | Distribution:
    if chance.random() < 0.25:
        return 0.0
    mean = _log_even(chance, low_ms, high_ms)
    kinds: tuple[Distribution, ...] = (
        Even(mean),
        Even(mean, 0.9),
        Exponential(mean),
        Gamma(mean, 2.0),
        Pareto(mean, 2.2),
    )
    return _one_of(chance, kinds)


def _nodes(chance: random.Random, pairs: Sequence[str], size: Size) -> list[Nodes]:
    groups: list[Nodes] = []
    left = max(1, round(_log_even(chance, 1.0, size.nodes_max)))
    while left > 0 and len(groups) < 5:
        count = 1 + int(chance.random() * left)
        served = sorted(chance.sample(list(pairs), 1 + int(chance.random() * len(pairs))))
        slots = _one_of(chance, (1, 1, 2, 3, 8))
        speed = _log_even(chance, 0.3, 3.0)
        groups.append(Nodes(count=count, pairs=served, slots=slots, speed=speed, name=f"g{len(groups)}"))
        left -= count
    return groups


def _traffic(
    chance: random.Random,
    pairs: Sequence[str],
    nodes: Sequence[Nodes],
    duration_s: float,
    size: Size,
    audio_bytes_max: float,
) -> list[Traffic]:
    """Draw streams with loads from low to overload, with at most the jobs that `size` allows."""
    load = chance.uniform(0.1, 1.3)
    capacity = sum(group.count * group.slots * group.speed for group in nodes)
    work_s = _log_even(chance, 0.05, 20.0)
    rate_per_s = min(load * capacity / work_s, size.jobs_max / duration_s)
    streams = 1 + int(chance.random() * len(pairs))
    works: tuple[Distribution, ...] = (Even(work_s), Exponential(work_s), Lognormal(work_s, 1.5), Pareto(work_s, 2.2))
    made = []
    for _ in range(streams):
        sessions = _one_of(chance, (0, 0, 1, 20))
        made.append(
            Traffic(
                pair=_one_of(chance, pairs),
                rate_per_s=rate_per_s / streams,
                work_s=_one_of(chance, works),
                arrivals="bursts" if chance.random() < 0.3 else "poisson",
                burst=_one_of(chance, (2, 10, 50)),
                audio_bytes=Exponential(_log_even(chance, 10, audio_bytes_max / 2)),
                timeout_s=_log_even(chance, 1.0, 100.0) if chance.random() < 0.2 else None,
                retries=_one_of(chance, (0, 3)),
                sessions=sessions,
                affinity=bool(sessions) and chance.random() < 0.7,
            )
        )
    return made


def _faults(seed: int, nodes: Sequence[Nodes], duration_s: float, size: Size) -> list[Fault]:
    """Draw the faults: each kind is included with probability 1/2, at a random rate."""
    total = sum(group.count for group in nodes)
    share = plain_random(seed, "swarm/faults").choice([0.0, 0.2, 0.5, 0.5, 1.0])
    drawn = []
    for kind in sorted(FAULTS):
        chance = plain_random(seed, f"swarm/faults/{kind}")
        if chance.random() >= share:
            continue
        strikes = _log_even(chance, 0.5, size.strikes_max)
        shortest_s = _log_even(chance, 0.1, 20.0)
        longest_s = min(shortest_s * _log_even(chance, 1.0, 10.0), duration_s)
        lasts_s = (min(shortest_s, longest_s), longest_s)
        drawn.append(fault(kind, strikes=strikes, nodes=total, over_s=duration_s, lasts_s=lasts_s))
    return drawn


def _departures(seed: int, nodes: Sequence[Nodes], duration_s: float, work_s: float, size: Size) -> list[Fault]:
    """Draw, for half of the seeds, faults of nodes at work, and faults that follow them at the same job.

    The delays are of the order of the work, so that the job is not over by then.
    """
    chance = plain_random(seed, "swarm/departures")
    if chance.random() < 0.5:
        return []
    total = sum(group.count for group in nodes)
    follows_s = (0.0, work_s * _log_even(chance, 0.1, 3.0))
    departures = [
        msgspec.structs.replace(
            fault(
                kind,
                strikes=_log_even(chance, size.strikes_max, 4 * size.strikes_max),
                nodes=total,
                over_s=duration_s,
                lasts_s=(0.1, _log_even(chance, 0.2, 20.0)),
            ),
            at_work=True,
        )
        for kind in chance.sample(DEPARTURES, 2)
    ]
    followers = [
        Fault(
            kind,
            0.0,
            lasts_s=None if FAULTS[kind].is_momentary else (0.1, _log_even(chance, 0.2, 20.0)),
            follows=chance.random(),
            follows_s=follows_s,
        )
        for kind in FOLLOWING
    ]
    return departures + followers


def fault(
    kind: str,
    *,
    strikes: float,
    nodes: int,
    over_s: float,
    lasts_s: tuple[float, float],
    between_s: tuple[float, float] | None = None,
) -> Fault:
    """Return a fault with a mean of `strikes` occurrences in `over_s` seconds of a run with `nodes` nodes."""
    return Fault(
        kind=kind,
        per_target_per_h=strikes * 3600 / over_s / (nodes if FAULTS[kind].is_of_each_node else 1),
        lasts_s=None if FAULTS[kind].is_momentary else lasts_s,
        between_s=between_s,
    )
