"""Builds the metrics: the meters around a core, and the text that Prometheus reads.

Meters comes before the core (its observer and its runner are handed to it), Exporter after it.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from voxpool.scheduler import __version__
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.telemetry.checkup import Inspected
from voxpool.scheduler.telemetry.metrics.figures import FiguresCollector, take_figures
from voxpool.scheduler.telemetry.metrics.loop_lag import LoopLag
from voxpool.scheduler.telemetry.metrics.observer import NAMESPACE, MetricsObserver
from voxpool.scheduler.telemetry.metrics.residents import Residents
from voxpool.scheduler.telemetry.metrics.store_census import Countable, StoreCensus
from voxpool.scheduler.telemetry.metrics.timed_runner import TimedRunner

CANCEL_AGAIN_S = 0.1


class MeasuredStore(Countable, Inspected, Protocol):
    """A store that can count its members, with facts about its server."""


class Meters:
    """The meters of a core: give it `observer` and `runner`.

    `seconds` is a fine clock for measuring, `now_ms` the wall clock of the core.
    """

    def __init__(self, runner: ScriptRunner, seconds: Callable[[], float], now_ms: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.seconds = seconds
        self.now_ms = now_ms
        self.observer = MetricsObserver(self.registry, now_ms)
        self.runner = TimedRunner(runner, self.registry, seconds)
        """For stores of several partitions: `runner.beside` times one of them."""


class Exporter:
    """Answers scrapes; its own roles (loop lag, store census, residents) run between `start` and `stop`."""

    def __init__(self, meters: Meters, core: Core, store: MeasuredStore, settings: Settings) -> None:
        self.seconds = meters.seconds
        self.now_ms = meters.now_ms
        self.store = store
        self._meters = meters
        self._core = core
        self._figures = FiguresCollector(meters.observer.pairs)
        self._lag = LoopLag(meters.registry, meters.seconds)
        self._census = StoreCensus(meters.registry, store, meters.now_ms)
        self.residents = Residents(meters.registry, settings, core, meters.now_ms)
        self._one_at_a_time = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        meters.registry.register(self._figures)
        ProcessCollector(namespace=NAMESPACE, registry=meters.registry)  # memory, CPU and files, where there is a /proc
        build = Gauge(
            "build_info",
            "1, with the versions of this scheduler and where its jobs are (memory or redis) as labels.",
            ["version", "python", "jobs"],
            namespace=NAMESPACE,
            registry=meters.registry,
        )
        build.labels(__version__, platform.python_version(), settings.jobs).set(1)

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and its media type: OpenMetrics if `accept` (of HTTP) asks for it.

        The text is made in a thread: some thousand series take 20 ms, and the loop has jobs to dispatch. Only one
        scrape runs at a time, so that many of them take one core and not all threads.
        """
        try:
            encode, media_type = choose_encoder(accept)
        except (ValueError, TypeError):  # a version that is no number
            encode, media_type = choose_encoder("")
        async with self._one_at_a_time:
            observer, pairs = self._meters.observer, self._meters.observer.pairs
            self._figures.figures = await take_figures(self._core, observer.finished, pairs, self.now_ms())
            self.residents.show()
            return await asyncio.to_thread(encode, self._meters.registry), media_type

    def start(self) -> None:
        """Start the roles on the running loop."""
        roles: list[tuple[str, Coroutine[Any, Any, None]]] = [
            ("loop lag", self._lag.run_forever()),
            ("store census", self._census.run_forever()),
            ("residents", self.residents.run_forever()),
        ]
        self._tasks = [asyncio.create_task(role, name=name) for name, role in roles]

    async def stop(self) -> None:
        """End the roles."""
        for task in self._tasks:
            while not task.done():  # a cancellation that meets an answer in the redis client can get lost
                task.cancel()
                await asyncio.wait([task], timeout=CANCEL_AGAIN_S)
        self._tasks.clear()
