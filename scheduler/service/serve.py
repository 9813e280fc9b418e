"""The composition root of production: the machine's clock, store and sockets around the core."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

from prometheus_client import disable_created_metrics

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.core.why import Why
from voxpool.scheduler.errors import CannotStart, VoxpoolError
from voxpool.scheduler.security.secret_files import SecretFiles
from voxpool.scheduler.service.ending import Deadline, drain, hand_back, store_knows
from voxpool.scheduler.service.machine import Machine
from voxpool.scheduler.service.stores import open_stores
from voxpool.scheduler.stores.shown import without_password
from voxpool.scheduler.telemetry.dashboard.history import DashboardHistory
from voxpool.scheduler.telemetry.dashboard.snapshot import Dashboard
from voxpool.scheduler.telemetry.fan_out import fan_out
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.telemetry.logs.observer import LogObserver
from voxpool.scheduler.telemetry.metrics.exporter import Exporter, Meters
from voxpool.scheduler.telemetry.traces.tracing import open_tracing
from voxpool.scheduler.web.app import Doors
from voxpool.scheduler.web.health import Health
from voxpool.scheduler.web.sessions.results import Results
from voxpool.scheduler.web.wire.server import HURRY_S, DoorServer, url_of, uvicorn_config

EXIT_STOPPED = 0
EXIT_FAILED = 1
BEATS_GATHERED = 60
"""A beat reaches the store within this part of `heartbeat_s`, with the others of that time."""


class StoreLost(VoxpoolError):
    """Another scheduler works on the store of this one."""


async def serve(settings: Settings, log: Log, machine: Machine) -> int:
    """Run a scheduler until SIGTERM or SIGINT; return the exit code. The event scheduler_started names its URL.

    Raises ConfigError, CannotStart or StoreUnavailable when it can't start.
    """
    stop = _Stop()
    secrets = SecretFiles(settings, log)
    secrets.listen()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # each series would have a twin: when it was made
    async with AsyncExitStack() as closing:
        listener = closing.enter_context(machine.listen(settings))
        url = url_of(listener, secrets.tls)
        wanted, settings = settings, machine.within_limits(settings, log)
        clock = machine.clock()
        random = machine.random()
        instance = f"{random.getrandbits(40):010x}"  # nosec B311  # a name, no secret
        tracing = open_tracing(settings, clock, machine.random(), log, instance)
        if tracing is not None:
            closing.push_async_callback(tracing.close)
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        owner = f"{machine.process_name()}, {url}"
        try:
            opened = await open_stores(settings, machine, owner, lambda reason: _fail(lost, reason))
        except OSError as error:
            raise CannotStart(f"store {without_password(settings.store)}: {error}") from None
        deadline = Deadline(settings.stop_s)
        closing.push_async_callback(lambda: opened.store.close(HURRY_S if stop.again.done() else deadline.left_s()))
        results = Results(settings.result_waiters_max, ms(settings.retry_after_s))
        health = Health()
        meters = Meters(opened.runner, clock.seconds, clock.now_ms)
        why = Why(clock, settings.why_jobs_max, settings.why_every)
        history = DashboardHistory(clock)
        observers = [LogObserver(log, settings.log_sample), health, meters.observer, why, history, *machine.observers()]
        runner: ScriptRunner = meters.runner
        if tracing is not None:
            observers.insert(0, tracing.observer)  # before the observers that log the ids of traces
            runner = tracing.around(runner)
            meters.registry.register(tracing.ship)
        observer = fan_out(observers)
        core = Core.build(
            settings=settings,
            clock=clock,
            runner=runner,
            sink=results,
            observer=observer,
            random=random,
            instance=instance,
            classes=opened.classes(meters.runner.beside),
            why=why,
        )
        core.queue.gather_beats_s = settings.heartbeat_s / BEATS_GATHERED
        exporter = Exporter(meters, core, opened.store, settings)
        history.attach(core, exporter.residents.predict)
        dashboard = Dashboard(
            settings, core, history, meters.observer.finished, health.store, clock.now_ms, clock.seconds
        )
        let_in = secrets.authentication
        doors = Doors(settings, core, results, health, observer, random, log, exporter, let_in, dashboard, wanted)
        machine.built(core, doors)
        failed = core.start()
        closing.push_async_callback(core.stop)
        exporter.start()
        closing.push_async_callback(exporter.stop)
        config = uvicorn_config(settings, doors.request_filter, doors.incoming, observer, log)
        server = DoorServer(config, doors.connections, secrets.tls)
        await server.startup([listener])
        stop.listen()
        machine.started()
        log(Event.SCHEDULER_STARTED, url=url, store=without_password(settings.store), instance=instance)
        secrets.warn(listener.getsockname()[0], url)
        failures: list[asyncio.Future[None]] = [failed, lost]
        ticks = asyncio.ensure_future(server.main_loop())
        await asyncio.wait([stop.asked, *failures], return_when=asyncio.FIRST_COMPLETED)
        doors.rate_limit.stopping = dashboard.stopping = True
        core.dispatcher.stop_taking()
        unfinished = core.table.unfinished
        if stop.asked.done():
            log(Event.SCHEDULER_STOPPING, reason=stop.reason, unfinished=unfinished)
            await drain(core, settings.drain_s, [stop.again, *failures])
        deadline.begin()
        code = _exit_code(failures, log)
        handed_back = await hand_back(core)
        results.release()
        dashboard.stop()
        ticks.cancel()
        await server.stop([listener], deadline.left_s(but_s=2 * HURRY_S), stop.again)
        if code == EXIT_STOPPED:
            await store_knows(core, HURRY_S if stop.again.done() else deadline.left_s(but_s=HURRY_S))
    log(Event.SCHEDULER_STOPPED, ended=unfinished - handed_back, handed_back=handed_back)
    return code


def _exit_code(failures: list[asyncio.Future[None]], log: Log) -> int:
    """Return the exit code; log a fatal failure: a role died, or another scheduler has the store."""
    for failed in failures:
        if failed.done() and not failed.cancelled():
            error = failed.exception()
            log(Event.SCHEDULER_FAILED, error=f"{type(error).__name__}: {error}")
            return EXIT_FAILED
    return EXIT_STOPPED


class _Stop:
    """The request to stop: the first signal asks for an orderly end, the second for a quick one."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.asked: asyncio.Future[None] = loop.create_future()
        self.again: asyncio.Future[None] = loop.create_future()
        self.reason = ""

    def listen(self) -> None:
        """Handle SIGTERM and SIGINT from now on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if not self.asked.done():
            self.reason = number.name
            self.asked.set_result(None)
        elif not self.again.done():
            self.again.set_result(None)


def _fail(future: asyncio.Future[None], reason: str) -> None:
    if not future.done():
        future.set_exception(StoreLost(reason))
