"""The scenario of the long soak: one fleet for weeks, with traffic and faults drawn separately for each day.

Each kind of fault is active on half of the days, so that days have different combinations, and is frequent enough to
occur a hundred times in total.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.faults import FAULTS
from voxpool.sim.scenario.scenario import Fault, Links, Nodes, Scenario, StoreDelay, Traffic
from voxpool.sim.swarm.generated import fault

DAY_S = 86_400.0
PAIRS = ("zh:en", "en:zh", "en:fr", "ja:en")
LASTS_S = (1.0, 60.0)
"""Range of the duration of faults."""
SETTINGS: dict[str, Any] = {"sessions_max": 500, "rest_s": 15.0}


@dataclass(frozen=True, slots=True)
class LongSize:
    """The size of the long soak."""

    days: float = 30.0
    parts: int = 30
    """Number of parts of the run with separate traffic and faults: days, in the full size."""
    rate_per_s: float = 5.0
    strikes: float = 170.0
    """Mean number of faults of each kind over the whole run."""
    strikes_min: int = 100
    sample_s: float = 3600.0
    """Virtual seconds between two samples."""

    @property
    def duration_s(self) -> float:
        """Length of the traffic."""
        return self.days * DAY_S


FULL = LongSize()
QUICK = LongSize(days=0.1, parts=4, strikes=6.0, strikes_min=1, sample_s=60.0)


def sized(days: float) -> LongSize:
    """Return the size of a run of `days` days, at the full density of faults."""
    part = days / FULL.days
    return LongSize(
        days=days,
        parts=max(2, math.ceil(days)),
        strikes=FULL.strikes * part,
        strikes_min=int(FULL.strikes_min * part),
        sample_s=min(FULL.sample_s, days * DAY_S / 150),
    )


def draw_long(seed: int, size: LongSize) -> Scenario:
    """Return the scenario of `seed`."""
    nodes = [
        Nodes(count=10, pairs=list(PAIRS[:2]), slots=2, name="gpu"),
        Nodes(count=8, pairs=list(PAIRS), slots=3, speed=0.7, name="slow"),
        Nodes(count=6, pairs=list(PAIRS[1:]), slots=1, speed=1.5, name="fast"),
    ]
    return Scenario(
        name=f"soak {seed}",
        seed=seed,
        duration_s=size.duration_s,
        settings=SETTINGS,
        links=Links(delay_ms=Exponential(1.0)),
        store=StoreDelay(delay_ms=0.3),
        nodes=nodes,
        traffic=_traffic(seed, size),
        faults=_faults(seed, size, sum(group.count for group in nodes)),
    )


def _traffic(seed: int, size: LongSize) -> list[Traffic]:
    """Draw a stream for each part and pair; the shares of the constant total rate and the work change."""
    part_s = size.duration_s / size.parts
    chance = plain_random(seed, "long/traffic")
    made = []
    for number in range(size.parts):
        shares = [chance.uniform(0.5, 1.5) for _ in PAIRS]
        for pair, share in zip(PAIRS, shares, strict=True):
            sessions = chance.choice([0, 0, 200])
            made.append(
                Traffic(
                    pair=pair,
                    rate_per_s=size.rate_per_s * share / sum(shares),
                    work_s=Exponential(chance.uniform(0.5, 3.0)),
                    arrivals=chance.choice(["poisson", "poisson", "bursts"]),
                    audio_bytes=Exponential(2000.0),
                    start_s=number * part_s,
                    end_s=(number + 1) * part_s,
                    timeout_s=chance.choice([None, None, 30.0]),
                    retries=3,
                    sessions=sessions,
                    affinity=bool(sessions),
                )
            )
    return made


def _faults(seed: int, size: LongSize, nodes: int) -> list[Fault]:
    """Draw for each kind half of the parts, with twice its mean rate."""
    part_s = size.duration_s / size.parts
    made = []
    for kind in sorted(FAULTS):
        chance = plain_random(seed, f"long/faults/{kind}")
        days = sorted(chance.sample(range(size.parts), max(1, size.parts // 2)))
        for day in days:
            made.append(
                fault(
                    kind,
                    strikes=size.strikes / len(days),
                    nodes=nodes,
                    over_s=part_s,
                    lasts_s=LASTS_S,
                    between_s=(day * part_s, (day + 1) * part_s),
                )
            )
    return made
