"""The composition root of production: real clock, real store, real sockets around the core."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from prometheus_client import disable_created_metrics
from uvicorn import Config, Server

from scheduler.chance import fresh_random
from scheduler.clock import SystemClock
from scheduler.config import Settings, ms
from scheduler.core import Core
from scheduler.errors import ConfigError, VoxpoolError
from scheduler.stores import open_store
from scheduler.telemetry.events import Event
from scheduler.telemetry.exporter import Exporter, Meters
from scheduler.telemetry.fan_out import fan_out
from scheduler.telemetry.logs import Log, LogObserver, StandardLogging
from scheduler.web.app import Doors, frame_bytes_max
from scheduler.web.health import Health
from scheduler.web.http_protocol import BoundedHttp
from scheduler.web.peer_socket import PeerSocket, SocketLimits
from scheduler.web.results import Results
from scheduler.why import Why

SEND_BUFFER_BYTES = 512 * 1024
"""The kernel's part of what waits to be sent to a peer; left to itself it takes 4 MB before anybody notices."""
BACKLOG = 2048
EXIT_STOPPED = 0
EXIT_FAILED = 1


class CannotStart(VoxpoolError):
    """Something outside prevents the start, such as a port that is taken."""


class StoreLost(VoxpoolError):
    """Another scheduler works on the store of this one."""


async def serve(settings: Settings, log: Log, state_dir: Path | None = None) -> int:
    """Run a scheduler until SIGTERM or SIGINT; return the exit code. The event scheduler_started names its URL.

    Raises ConfigError, CannotStart or StoreUnavailable when it can't start.
    """
    stop = _Stop()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # each series would have a twin: when it was made
    async with AsyncExitStack() as closing:
        listener = closing.enter_context(_listen(settings))
        url = _url_of(listener)
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
        meters = Meters(store, clock.seconds)
        why = Why(clock, settings.why_jobs_max, settings.why_every)
        observer = fan_out([LogObserver(log), health, meters.observer, why])
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
        exporter = Exporter(meters, core, store)
        doors = Doors(settings, core, results, health, observer, random, log, exporter)
        failed = core.start()
        closing.push_async_callback(core.stop)
        exporter.start()
        closing.push_async_callback(exporter.stop)
        server = _DoorServer(_uvicorn_config(settings, doors, log))
        await server.startup([listener])
        stop.listen()
        gc.collect()
        gc.freeze()  # what the start has made stays: the collector need not visit it again and again
        log(Event.SCHEDULER_STARTED, url=url, store=settings.store)
        code = await _run(server, stop, [failed, lost], log)
        results.let_go()
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


class _DoorServer(Server):
    """uvicorn's server, which leaves the signals to us."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await super().startup(sockets)

    async def stop(self, sockets: list[socket.socket], seconds: float) -> None:
        """Stop listening, close all connections in good order, and cut off those that stay open after `seconds`."""
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        while (self.server_state.connections or self.server_state.tasks) and loop.time() < end_s:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # uvicorn's sets tell nobody that they are empty
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _uvicorn_config(settings: Settings, doors: Doors, log: Log) -> Config:
    for name in ("uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers = [StandardLogging(log)]
        logger.propagate = False
    limits = SocketLimits(
        send_buffer_bytes_max=settings.send_buffer_bytes_max,
        send_stall_s=settings.send_stall_s,
        on_abort=lambda peer, reason: log(Event.PEER_ABORTED, peer=peer, reason=reason),
    )
    frame_bytes = frame_bytes_max(settings)
    return Config(
        doors.app,
        http=BoundedHttp.with_limit(max(16 * frame_bytes, 256 * 1024**2)),
        ws=PeerSocket.with_limits(limits),
        ws_max_size=frame_bytes,
        ws_ping_interval=settings.heartbeat_s,
        ws_ping_timeout=settings.lease_s + settings.heartbeat_s,  # a silent node: its lease tells first
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.stop_s),
    )


def _fail(future: asyncio.Future[None], reason: str) -> None:
    if not future.done():
        future.set_exception(StoreLost(reason))


def _listen(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotStart(f"no socket: {error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except socket.gaierror:
        listener.close()
        raise ConfigError(f"host = {settings.host!r} is not an address of this machine") from None
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise CannotStart(f"can't listen on {where}: {error.strerror}; choose another with --port") from None
    return listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
