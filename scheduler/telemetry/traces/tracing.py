"""Builds the traces: the observer that makes spans, and their export. Off without an endpoint."""

from __future__ import annotations

import asyncio
import os
import random
from urllib.parse import urlsplit

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.telemetry.traces.observer import TraceObserver
from voxpool.scheduler.telemetry.traces.span_ship import SpanShip
from voxpool.scheduler.telemetry.traces.traced_runner import TracedRunner

PATH = "/v1/traces"
"""The path of OTLP receivers; added to an endpoint that has no path."""
FLUSH_S = 1.0
"""How long a stop waits for the last spans."""


class Tracing:
    """Give a core `observer` and the runner that `around` returns; `close` sends what waits."""

    def __init__(self, observer: TraceObserver, ship: SpanShip) -> None:
        self.observer = observer
        self.ship = ship

    def around(self, runner: ScriptRunner) -> ScriptRunner:
        """Return `runner`, watched."""
        return TracedRunner(runner, self.observer)

    async def close(self) -> None:
        """Send what waits, for FLUSH_S at most."""
        await asyncio.to_thread(self.ship.close, FLUSH_S)


def open_tracing(
    settings: Settings, clock: SystemClock, random: random.Random, log: Log, instance: str
) -> Tracing | None:
    """Return the tracing by the settings; None when they have no endpoint. Raises ConfigError."""
    if not settings.traces_endpoint:
        return None
    endpoint = _whole(settings.traces_endpoint)
    try:
        from voxpool.scheduler.telemetry.traces.otlp import OtlpExporter
    except ImportError:
        raise ConfigError("traces_endpoint is set, OpenTelemetry is missing: pip install 'voxpool[traces]'") from None
    exporter = OtlpExporter(endpoint, settings.traces_timeout_s, instance, clock.seconds, os.environ)
    ship = SpanShip(exporter, settings.traces_queue_max, log, clock.seconds)
    return Tracing(TraceObserver(settings.traces_sample, clock.now_ns, random, ship.give), ship)


def _whole(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigError(
            f"traces_endpoint = {endpoint!r} is no URL of an OTLP receiver; write http://127.0.0.1:4318, say"
        )
    return endpoint if parts.path.strip("/") else endpoint.rstrip("/") + PATH
