"""Gauges that are computed at each scrape: jobs, nodes and slots in the table, the waiting queues and the registry.

They are taken on the loop, in turns, because only the loop may read these; the collector shows the last
values and may run in any thread.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import DISPATCHED, WAITING
from voxpool.scheduler.telemetry.metrics.labels import OTHER, PairLabels
from voxpool.scheduler.telemetry.metrics.observer import NAMESPACE
from voxpool.scheduler.telemetry.waiting_count import count_waiting, priorities

NODES_A_TURN = 1000
"""Nodes that are looked at before other work gets its turn."""
RECORD_BYTES = 610
"""A job in the table without its audio and the text of its result, measured by `make bench`."""
NODE_STATES = ("joining", "ready", "draining", "resting")
SLOT_STATES = ("used", "free", "closed")


@dataclass(slots=True)
class Figures:
    """The figures of one moment; each maps a label to a number. `pools`, `wait_s`, `wanted` are by pair label."""

    jobs: Mapping[str, int] = field(default_factory=dict)
    job_bytes: int = 0
    evicted: int = 0
    waiting: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By pair label and priority."""
    oldest_s: Mapping[int, float] = field(default_factory=dict)
    """The age of the oldest waiting job, for each priority that jobs can have."""
    keys_waiting: int = 0
    largest_key_part: float = 0.0
    wait_s: Mapping[str, float] = field(default_factory=dict)
    wanted: Mapping[str, float] = field(default_factory=dict)
    nodes: Counter[str] = field(default_factory=Counter)
    slots: Counter[str] = field(default_factory=Counter)
    pools: Counter[str] = field(default_factory=Counter)


async def take_figures(core: Core, finished: Mapping[str, int], pairs: PairLabels, now_ms: int) -> Figures:
    """Count jobs, nodes and slots of `core` at `now_ms`; `finished` are its finished jobs by state."""
    figures = Figures()
    dispatched = 0
    for count, node in enumerate(list(core.node_registry.nodes.values()), 1):
        state, used = node.state, len(node.reservations)
        dispatched += used
        figures.nodes[state] += 1
        figures.slots["used"] += used
        figures.slots["free" if state == "ready" else "closed"] += max(0, node.slots - used)
        pairs.serve(node.pairs)
        figures.pools.update({pairs.of(pair) for pair in node.pairs})
        if count % NODES_A_TURN == 0:
            await asyncio.sleep(0)
    waiting = await count_waiting(core)
    for (pair, priority), jobs in waiting.jobs.items():
        figures.waiting[pairs.of(pair), priority] += jobs
    figures.oldest_s = {
        priority: max(0, now_ms - waiting.since_ms.get(priority, now_ms)) / 1000 for priority in priorities(core)
    }
    figures.keys_waiting = len(waiting.keys)
    figures.largest_key_part = waiting.largest_part
    wait_s: dict[str, float] = {}
    for pair, wait_ms in core.intake.expected_waits_ms():
        label = pairs.of(pair)
        wait_s[label] = max(wait_s.get(label, 0.0), wait_ms / 1000)
    figures.wait_s = wait_s
    wanted: dict[str, float] = {}
    for pair, nodes in core.intake.nodes_wanted():
        label = pairs.of(pair)
        wanted[label] = wanted.get(label, 0.0) + nodes
    figures.wanted = wanted
    table = core.table
    dispatched = min(dispatched, table.unfinished)  # the nodes were counted over several turns
    figures.jobs = {WAITING: table.unfinished - dispatched, DISPATCHED: dispatched, **finished}
    figures.job_bytes = table.audio_bytes + RECORD_BYTES * len(table)
    figures.evicted = table.evicted
    return figures


class FiguresCollector(Collector):
    """Shows `figures`. Pairs that were seen once keep their series, at 0 when nothing waits."""

    def __init__(self, pairs: PairLabels) -> None:
        self._pairs = pairs
        self.figures = Figures()

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges, and the one counter that the table keeps."""
        figures = self.figures
        pairs = dict.fromkeys([*self._pairs, OTHER], 0)
        yield _gauge("jobs_resident", "Jobs in the table, by state.", "state", figures.jobs)
        text = (
            "Memory of all jobs in the table, whatever their state: the audio of unfinished ones (waiting, dispatched) "
            f"and {RECORD_BYTES} bytes a record; texts of results are not counted."
        )
        yield GaugeMetricFamily(f"{NAMESPACE}_jobs_resident_bytes", text, value=figures.job_bytes)
        text = "Finished jobs that were removed before their time, because of finished_max."
        yield CounterMetricFamily(f"{NAMESPACE}_jobs_evicted", text, value=figures.evicted)
        text = "Waiting jobs of a pair and priority, 1 to 5; all have priority 3 unless the setting order is fair."
        waiting = GaugeMetricFamily(f"{NAMESPACE}_jobs_waiting", text, labels=["pair", "priority"])
        for pair, priority in itertools.product(pairs, figures.oldest_s):
            waiting.add_metric([pair, str(priority)], figures.waiting[pair, priority])
        yield waiting
        text = "How long the oldest waiting job of a priority has waited, since its submit or its last attempt."
        oldest_s = {str(priority): age_s for priority, age_s in figures.oldest_s.items()}
        yield _gauge("oldest_waiting_seconds", text, "priority", oldest_s)
        text = "Keys with waiting jobs: tokens, and keys that a gateway names. GET /v1/waiting names the largest."
        yield GaugeMetricFamily(f"{NAMESPACE}_keys_waiting", text, value=figures.keys_waiting)
        text = "The part of the waiting jobs that are of the key with most of them, 0 to 1."
        yield GaugeMetricFamily(f"{NAMESPACE}_largest_key_part", text, value=figures.largest_key_part)
        text = "The expected wait of a job of a pair that is submitted now; the longest of several pairs."
        yield _gauge("expected_wait_seconds", text, "pair", {**pairs, **figures.wait_s})
        yield _gauge("nodes", "Connected nodes.", "state", {**dict.fromkeys(NODE_STATES, 0), **figures.nodes})
        text = "Slots of connected nodes: used by a job, free, or closed (unused, of a node that takes no new jobs)."
        yield _gauge("slots", text, "state", {**dict.fromkeys(SLOT_STATES, 0), **figures.slots})
        yield _gauge("pool_nodes", "Connected nodes that serve a pair.", "pair", {**pairs, **figures.pools})
        text = (
            "Nodes that the jobs of a pair need: running jobs, and waiting ones by the share of 30 s that each takes, "
            "over the slots of a node. Not rounded: take ceil(sum(…)) over the pairs of a pool and all schedulers."
        )
        yield _gauge("nodes_wanted", text, "pair", {**pairs, **figures.wanted})


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{NAMESPACE}_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
