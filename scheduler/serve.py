"""The composition root of production: real clock, real store, real sockets around the core."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from prometheus_client import disable_created_metrics
from uvicorn import Server

from scheduler.chance import fresh_random
from scheduler.clock import SystemClock
from scheduler.config import Settings, ms
from scheduler.core import Core
from scheduler.errors import CannotStart, VoxpoolError
from scheduler.stores import open_store
from scheduler.telemetry.events import Event
from scheduler.telemetry.exporter import Exporter, Meters
from scheduler.telemetry.fan_out import fan_out
from scheduler.telemetry.live import Live
from scheduler.telemetry.live_history import LiveHistory
from scheduler.telemetry.logs import Log, LogObserver
from scheduler.web.app import Doors
from scheduler.web.health import Health
from scheduler.web.results import Results
from scheduler.web.server import DoorServer, listen, url_of, uvicorn_config
from scheduler.why import Why

EXIT_STOPPED = 0
EXIT_FAILED = 1


class StoreLost(VoxpoolError):
    """Another scheduler works on the store of this one."""


async def serve(settings: Settings, log: Log, state_dir: Path | None = None) -> int:
    """Run a scheduler until SIGTERM or SIGINT; return the exit code. The event scheduler_started names its URL.

    Raises ConfigError, CannotStart or StoreUnavailable when it can't start.
    """
    stop = _Stop()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # each series would have a twin: when it was made
    async with AsyncExitStack() as closing:
        listener = closing.enter_context(listen(settings))
        url = url_of(listener)
        clock = SystemClock()
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        owner = f"{socket.gethostname()}, process {os.getpid()}, {url}"
        try:
            store = await open_store(settings.store, state_dir, owner, lambda reason: _fail(lost, reason))
        except OSError as error:
            raise CannotStart(f"store {settings.store}: {error}") from None
        closing.push_async_callback(store.close)
        random = fresh_random()
        results = Results(settings.waiters_max, ms(settings.retry_after_s))
        health = Health()
        meters = Meters(store, clock.seconds, clock.now_ms)
        why = Why(clock, settings.why_jobs_max, settings.why_every)
        history = LiveHistory(clock)
        observer = fan_out([LogObserver(log), health, meters.observer, why, history])
        core = Core.build(
            settings=settings,
            clock=clock,
            runner=meters.runner,
            sink=results,
            observer=observer,
            random=random,
            instance=f"{random.getrandbits(40):010x}",
            why=why,
        )
        exporter = Exporter(meters, core, store, settings)
        history.attach(core, exporter.residents.predict)
        live = Live(settings, core, history, meters.observer.finished, health.store, clock.now_ms, clock.seconds)
        doors = Doors(settings, core, results, health, observer, random, log, exporter, live=live)
        failed = core.start()
        closing.push_async_callback(core.stop)
        exporter.start()
        closing.push_async_callback(exporter.stop)
        server = DoorServer(uvicorn_config(settings, doors.app, log))
        await server.startup([listener])
        stop.listen()
        gc.collect()
        gc.freeze()  # what the start has made stays: the collector need not visit it again and again
        log(Event.SCHEDULER_STARTED, url=url, store=settings.store)
        code = await _run(server, stop, [failed, lost], log)
        results.let_go()
        live.stop()
        await server.stop([listener], 0.0 if stop.twice else settings.stop_s)
    log(Event.SCHEDULER_STOPPED)
    return code


async def _run(server: Server, stop: _Stop, failures: list[asyncio.Future[None]], log: Log) -> int:
    """Wait for a signal, or for a failure that nothing survives: a role died, or the store belongs to another now."""
    ticks = asyncio.ensure_future(server.main_loop())
    signalled = asyncio.ensure_future(stop.asked.wait())
    waited: list[asyncio.Future[Any]] = [ticks, signalled, *failures]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    ticks.cancel()
    signalled.cancel()
    for failed in failures:
        if failed.done() and not failed.cancelled():
            error = failed.exception()
            log(Event.SCHEDULER_FAILED, error=f"{type(error).__name__}: {error}")
            return EXIT_FAILED
    log(Event.SCHEDULER_STOPPING, reason=stop.reason)
    return EXIT_STOPPED


class _Stop:
    """The wish to stop. The second signal leaves the open connections no time."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.reason = ""
        self.twice = False

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        self.twice = self.asked.is_set()
        self.reason = number.name
        self.asked.set()


def _fail(future: asyncio.Future[None], reason: str) -> None:
    if not future.done():
        future.set_exception(StoreLost(reason))
