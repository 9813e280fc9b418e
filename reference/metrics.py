"""The block of docs/reference/metrics.md: each metric of a scheduler, read from its registry."""

from __future__ import annotations

import asyncio
import random

from prometheus_client import CollectorRegistry, Metric

from reference.blocks import Generator, table
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.seams import ResultSink
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.telemetry.metrics.exporter import Exporter, Meters
from voxpool.scheduler.web.sessions.results import Results

SUFFIXES = {"counter": "_total"}
"""Suffixes that the text format adds to a name."""


def metrics() -> str:
    """Return each metric with its type, labels and meaning."""
    registry = asyncio.run(_registry())
    rows = [
        (
            f"`{metric.name}{SUFFIXES.get(metric.type, '')}`",
            metric.type,
            _labels(registry, metric),
            metric.documentation,
        )
        for metric in sorted(registry.collect(), key=lambda metric: metric.name)
    ]
    return table(("metric", "type", "labels", "meaning"), rows)


async def _registry() -> CollectorRegistry:
    """Return the registry of a new scheduler."""
    settings, clock, store = Settings(), SystemClock(), MemoryStore()
    meters = Meters(store, clock.seconds, clock.now_ms)
    sink: ResultSink = Results(1, 1)
    core = Core.build(
        settings=settings,
        clock=clock,
        runner=meters.runner,
        sink=sink,
        observer=meters.observer,
        random=random.Random(1),
        instance="reference",
    )
    await Exporter(meters, core, store, settings).scrape("")
    return meters.registry


def _labels(registry: CollectorRegistry, metric: Metric) -> str:
    names = {name for sample in metric.samples for name in sample.labels} - {"le"}
    collector = registry._names_to_collectors.get(metric.name)
    names |= set(getattr(collector, "_labelnames", ()))
    return " ".join(f"`{name}`" for name in sorted(names))


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    return {"metrics": metrics}
