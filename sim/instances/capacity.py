"""Plans schedulers, partitions and servers of Redis for a rate of jobs from measured costs. A calculation, no run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from voxpool.sim.instances.costs import SharedCosts
from voxpool.sim.report.limits import shown
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import WITH, Line, Picture, Report, Table

BUSY_MAX = 0.6
"""The part of a core that is planned to be used: the rest is for bursts, and for a scheduler or server that died."""
PARTITIONS_A_SHARD = 4
"""Partitions of a server of Redis, so that the pairs spread evenly. With more, each flush has fewer jobs."""
FLUSH_S = 0.002
"""The time of a flush of a scheduler to a partition, in which jobs come together for the next one."""
BEAT_S = 10.0 / 3
"""The time between the beats of a scheduler in each partition: a third of scheduler_lease_s."""
PARTITIONS_MIN = 16
"""The default of the setting."""
PARTITIONS_MAX = 1024
"""The bound of the setting."""
SHARDS_MAX = 1000
"""The most primaries that the documentation of Redis Cluster advises."""
CONNECTION_BYTES = 25_000
"""Of a scheduler's memory, for a client or node (docs/guides/fleet.md)."""
DECADES = 5


class Wish(NamedTuple):
    """What is to be carried."""

    jobs_per_s: float
    work_s: float
    """Mean time of a job on a slot."""
    slots: int
    audio_bytes: float = 10_000
    retention_s: float = 300.0
    wait_s: float = 1.0
    """Mean wait of a job."""


class Plan(NamedTuple):
    """What carries it."""

    nodes: int
    schedulers: int
    jobs: str
    """The setting."""
    shards: int
    partitions: int
    redis_bytes: float
    """The memory of all primaries together."""
    elsewhere: float
    """The part of the jobs whose node is at another scheduler."""
    breaks: str
    """The part that is nearest to its bound."""


def plan(wish: Wish, costs: SharedCosts) -> Plan:
    """Return the smallest plan in which no core is used more than BUSY_MAX."""
    nodes = math.ceil(wish.jobs_per_s * wish.work_s / wish.slots / BUSY_MAX)
    if wish.jobs_per_s * costs.memory_us / 1e6 <= BUSY_MAX:
        return Plan(nodes, 1, "memory", 0, 0, 0.0, 0.0, "the scheduler's core")
    schedulers, shards, partitions = 1, 1, PARTITIONS_MIN
    while True:  # more schedulers have more of their jobs elsewhere, more partitions have smaller flushes
        elsewhere = 1 - 1 / schedulers
        batch = wish.jobs_per_s / schedulers / partitions * FLUSH_S
        server = wish.jobs_per_s * costs.server_us(elsewhere, wish.audio_bytes, batch) / 1e6
        server += schedulers * partitions / BEAT_S * costs.call_us / 1e6
        cores = wish.jobs_per_s * costs.schedulers_us(elsewhere) / 1e6
        wanted = math.ceil(cores / BUSY_MAX), math.ceil(server / BUSY_MAX)
        if wanted[0] <= schedulers and (wanted[1] <= shards or partitions > PARTITIONS_MAX):
            break
        schedulers, shards = max(schedulers, wanted[0]), max(shards, wanted[1])
        partitions = max(PARTITIONS_MIN, PARTITIONS_A_SHARD * shards)
    unfinished = wish.jobs_per_s * (wish.wait_s + wish.work_s)
    redis_bytes = unfinished * wish.audio_bytes + wish.jobs_per_s * wish.retention_s * costs.record_bytes
    parts = {
        "a scheduler's core": cores / schedulers / BUSY_MAX,
        "a core of Redis": server / shards / BUSY_MAX,
        "partitions": partitions / PARTITIONS_MAX,
        "servers of a cluster": shards / SHARDS_MAX,
    }
    impossible = {name: used for name, used in parts.items() if used > 1}
    breaks = max(impossible or parts, key=parts.__getitem__)
    return Plan(nodes, schedulers, "redis", shards, partitions, redis_bytes, elsewhere, breaks)


def plans(wish: Wish, costs: SharedCosts) -> list[tuple[Wish, Plan]]:
    """Return the plans of the rate and of its decades below, the lowest first."""
    wishes = [wish._replace(jobs_per_s=wish.jobs_per_s / 10**power) for power in reversed(range(DECADES))]
    return [(each, plan(each, costs)) for each in wishes]


def report(wish: Wish, costs: SharedCosts, options: dict[str, Any]) -> Report:
    """Return the plans as a report, with a table and a picture."""
    found = plans(wish, costs)
    _, whole = found[-1]
    possible = whole.partitions <= PARTITIONS_MAX and whole.shards <= SHARDS_MAX
    columns = ["jobs/s", "nodes", "jobs =", "schedulers", "Redis primaries", "partitions", "Redis GB", "nearest bound"]
    rows = [_row(each, one) for each, one in found]
    return Report(
        experiment="capacity",
        question=f"what carries {wish.jobs_per_s:,.0f} jobs a second?",
        seed=0,
        options=options,
        lines=[
            Line("", "nodes", "", None, whole.nodes),
            Line("", "schedulers", "", None, whole.schedulers),
            Line("", "primaries of Redis", "", None, whole.shards, limit=f"<= {SHARDS_MAX}"),
            Line("", "partitions", "", None, whole.partitions, limit=f"<= {PARTITIONS_MAX}"),
        ],
        variants={WITH: {"plans": [{**each._asdict(), **one._asdict()} for each, one in found]}},
        variant=WITH,
        notes=[
            f"costs: {costs.machine}",
            f"{BUSY_MAX:.0%} of a core are planned; jobs of {wish.work_s:g} s on {wish.slots} slots a node, "
            f"{wish.audio_bytes:,.0f} bytes of audio, {wish.retention_s:g} s of retention; clients and nodes at random",
            *([] if possible else ["not possible in one cluster: split the pairs over several"]),
        ],
        tables=[Table("From a thousandth of the rate", columns, rows)],
        pictures=[lambda: _picture(found)],
    )


def _row(wish: Wish, found: Plan) -> Sequence[str]:
    numbers = (wish.jobs_per_s, found.nodes)
    rest = (found.schedulers, found.shards, found.partitions, round(found.redis_bytes / 1e9, 1))
    return [*(shown(number) for number in numbers), found.jobs, *(shown(number) for number in rest), found.breaks]


def _picture(found: Sequence[tuple[Wish, Plan]]) -> Picture:
    rates = [each.jobs_per_s for each, _ in found]
    drawn = [
        Curve(name, rates, [max(1.0, float(getattr(one, field))) for _, one in found], colour=colour)
        for name, field, colour in (
            ("nodes", "nodes", "#2e8b57"),
            ("schedulers", "schedulers", "#1f6fb2"),
            ("primaries of Redis", "shards", "#c0392b"),
        )
    ]
    return curves("plan", "What carries a rate", "jobs a second", "number", drawn, "", y_scale="log", x_scale="log")
