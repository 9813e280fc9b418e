"""A worker node: it gets at most as many jobs at a time as it has slots, runs the engine on each, and answers.

What calls the engine, for each job or for batches of them, is in work/. A broken connection is made again; results that
became ready in that time are offered then.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from voxpool.scheduler import __version__
from voxpool.scheduler.chance import fresh_random
from voxpool.scheduler.core.clock import Clock, SystemClock
from voxpool.scheduler.core.jobs.error_text import error_text, traceback_text
from voxpool.scheduler.engines import Batch, Engine, Work
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.codec import to_node
from voxpool.scheduler.protocol.messages import (
    Assign,
    CancelAttempt,
    Drain,
    Error,
    Heartbeat,
    NodePartial,
    NodeResult,
    Register,
    Registered,
    Reregister,
    ToNode,
)
from voxpool.scheduler.sdk.errors import PASSING, SetupFailed, refusal
from voxpool.scheduler.sdk.given import given_token, given_url
from voxpool.scheduler.sdk.tracing import current_trace, work_span
from voxpool.scheduler.sdk.wire.backoff import Backoff
from voxpool.scheduler.sdk.wire.connection import BROKEN, PING_S, Connection, Door
from voxpool.scheduler.sdk.wire.health_port import REGISTERED, HealthPort
from voxpool.scheduler.sdk.wire.heartbeats import Heartbeats
from voxpool.scheduler.sdk.wire.trouble import trouble
from voxpool.scheduler.sdk.work.batches import Batches
from voxpool.scheduler.sdk.work.calls import Calls
from voxpool.scheduler.sdk.work.outcome import outcome_of
from voxpool.scheduler.sdk.work.partials import Partials, PartialsOfWork

HEARTBEAT_S = 15.0
"""Beats from the register on, until the scheduler has sent its own time: a lost answer must not silence the node."""
OUTPUT_BYTES_MAX = 2**31
"""The largest output before the scheduler has sent its limit: until then only the form is checked."""
SETTING_UP, CONNECTING = "setting up", "connecting"
PASSING_REASONS = PASSING | {"not_held", "bad_output", "output_too_large"}
"""Errors from the scheduler that don't mean a refusal of this node."""

UNSENT_LOOK_S = 0.05
"""While draining without a connection: the time between two looks whether the last results were received."""

Attempt = tuple[str, int]
AsyncEngine = Callable[[Work], Awaitable[Any]]


class Worker:
    """Use it as `await Worker("ws://127.0.0.1:5010", node_id="gpu-1", pairs=["zh:en"], work=function).run()`.

    `work` gets a Work and returns the output. WorkFailed ends the job, or, with retryable=True, only the attempt. Any
    other exception ends the attempt with the reason `engine_error`: the job is tried again, on another node if there is
    one, until its attempts run out. The client gets type and message of the exception, at most 500 characters; its
    traceback goes to `on_event` only. A Batch as `work` gets several jobs in one call; its `slots` are 2 x max then.
    `setup` is called before the node registers, so that a node is in the fleet when its model is loaded; a plain one is
    called in a thread, for a Batch in that of its calls. When it raises, `run` raises SetupFailed. `work` may also be
    what `@worker` made; its setup counts when none is given.

    `drain_s` bounds how long `stop` waits for running work. With a `health_port` (0: a free one) GET /healthz and
    /readyz are answered on `health_host`. `token` and `ca_file` (a PEM file; for wss) are those of the scheduler;
    without `url` and `token`, VOXPOOL_URL and VOXPOOL_TOKEN are used. `random` and `clock` are for simulations; by
    default they are the system's.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        node_id: str,
        pairs: Sequence[str],
        work: Engine | AsyncEngine | Batch,
        slots: int | None = None,
        setup: Callable[[], Any] | None = None,
        token: str | None = None,
        ca_file: str | Path | None = None,
        drain_s: float = 60.0,
        ping_s: float = PING_S,
        health_port: int | None = None,
        health_host: str = "127.0.0.1",
        on_event: Callable[[str], None] = lambda text: None,
        random: random.Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(pairs, str):
            raise ConfigError(f"pairs is a list: write pairs=[{pairs!r}]")
        self._random = random or fresh_random()
        self._clock = clock
        self._door = Door.of(given_url(url), "/ws/node", ca_file, ping_s)
        self._token = given_token(token)
        self.node_id = node_id
        self.process_id = f"p-{self._random.getrandbits(64):016x}"
        self.pairs = list(pairs)
        if getattr(work, "is_worker_app", False):  # its engine shows whether it is a batch, and async
            setup, work = setup or work.setup, work.engine  # type: ignore[union-attr]
        self.slots = slots or (work.slots if isinstance(work, Batch) else 1)
        self.done = 0
        """Attempts that were answered with an output or an error."""
        self._calls = Batches(work, node_id) if isinstance(work, Batch) else Calls(work, self.slots, node_id)
        self._setup = setup
        self._drain_s = drain_s
        self._on_event = on_event
        self._running: dict[Attempt, tuple[Work, asyncio.Task[None]]] = {}
        self._cancelled: dict[Attempt, asyncio.Task[None]] = {}
        """Cancelled attempts whose engine has not returned yet: they still take a slot."""
        self._unsent: dict[Attempt, NodeResult] = {}
        self._output_bytes_max = OUTPUT_BYTES_MAX
        self._partials = Partials(self._send_partial, on_event)
        self._connection: Connection[ToNode] | None = None
        self._heartbeats = Heartbeats(lambda: Heartbeat(self._holding(), load=len(self._running) / self.slots))
        self._health = None if health_port is None else HealthPort(health_host, health_port, lambda: self.state)
        self._state = SETTING_UP
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop` was called and all is done.

        Raises Refused when the scheduler refuses this node, SetupFailed, and ConfigError for a health port in use.
        """
        if self._health is not None:
            await self._health.open()
        serving = asyncio.create_task(self._serve())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await self._drain(serving)
        finally:
            tasks = [serving, stopping, *(task for _, task in self._running.values()), *self._cancelled.values()]
            for work, _ in self._running.values():
                work.cancelled.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._partials.close()
            await self._calls.close()
            if self._health is not None:
                await self._health.close()
        if not serving.cancelled():
            serving.result()

    def stop(self) -> None:
        """Take no new jobs, finish those that run, then end `run`."""
        self._stopping.set()

    @property
    def state(self) -> str:
        """What it does: setting up, connecting, registered or draining. It gets jobs while it is registered."""
        return "draining" if self._stopping.is_set() else self._state

    @property
    def health_port(self) -> int | None:
        """The port that /healthz and /readyz are answered on, once `run` has begun; None without one."""
        return None if self._health is None else self._health.port

    @property
    def idle(self) -> bool:
        """Whether no engine is at work; one that ignores its cancellation may be, even after `run`."""
        return self._calls.idle

    async def _drain(self, serving: asyncio.Task[None]) -> None:
        """Send drain, wait for the running jobs, and deliver their results, over a new connection if necessary."""
        self._on_event(f"draining, {len(self._running)} running")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await self._say_draining()
                while (self._running or self._unsent) and not serving.done():
                    if self._running:
                        tasks = [task for _, task in self._running.values()]
                        await asyncio.wait([serving, *tasks], return_when=asyncio.FIRST_COMPLETED)
                    else:
                        await asyncio.wait([serving], timeout=UNSENT_LOOK_S)
                if self._connection is not None:
                    with contextlib.suppress(*BROKEN):
                        await self._connection.round_trip()

    async def _say_draining(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*BROKEN):
                await self._connection.send(Drain(True))
                await self._connection.round_trip()

    async def _serve(self) -> None:
        if self._setup is not None:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            self._on_event("setting up")
            try:
                await self._calls.call(self._setup)
            except Exception as error:
                self._on_event(f"the setup raised {error_text(error)}\n{traceback_text(error)}")
                raise SetupFailed(f"the setup raised {error_text(error)}") from error
            self._on_event(f"set up in {loop.time() - began_s:.1f} s")
        self._state = CONNECTING
        await self._stay_connected()

    async def _stay_connected(self) -> None:
        backoff = Backoff(self._random)
        while True:
            try:
                connection = await Connection.open(self._door, to_node)
            except BROKEN as error:
                self._on_event(f"can't reach {trouble(self._door.url, error)}")
            else:
                try:
                    await connection.send(self._register())
                    self._connection = connection
                    self._heartbeats.every(connection, HEARTBEAT_S)
                    await self._read(connection, backoff)
                except BROKEN as error:
                    self._on_event(f"connection lost: {error or type(error).__name__}")
                finally:
                    self._connection = None
                    self._state = CONNECTING
                    await self._heartbeats.stop()
                    await connection.close()
            await asyncio.sleep(backoff.pause_s())

    def _register(self) -> Register:
        return Register(
            self.node_id,
            self.process_id,
            self.pairs,
            self.slots,
            self._holding(),
            version=__version__,
            token=self._token,
            # A new clock at each registration: the system may have corrected its time.
            now_ms=(self._clock or SystemClock()).now_ms(),
        )

    def _holding(self) -> list[Attempt]:
        return [*self._running, *self._unsent]

    async def _read(self, connection: Connection[ToNode], backoff: Backoff) -> None:
        while True:
            message = await connection.receive()
            if isinstance(message, Assign):
                await self._assigned(connection, message)
            elif isinstance(message, CancelAttempt):
                self._cancel((message.job_id, message.attempt))
            elif isinstance(message, Registered):
                backoff.reset()
                self._output_bytes_max = message.output_bytes_max or OUTPUT_BYTES_MAX
                self._partials.output_bytes_max = self._output_bytes_max
                self._state = REGISTERED
                self._heartbeats.every(connection, message.heartbeat_ms / 1000)
                self._on_event(f"registered as {self.node_id} for {', '.join(self.pairs)}, {self.slots} slots")
                if message.cut_off is not None:
                    self._on_event(f"the scheduler had cut off the last connection: {message.cut_off}")
                if self._stopping.is_set():
                    await connection.send(Drain(True))
                for attempt, result in list(self._unsent.items()):
                    await self._answer(attempt, result)
            elif isinstance(message, Reregister):
                self._state = CONNECTING
                await connection.send(self._register())
            else:
                self._complained(message)

    def _complained(self, error: Error) -> None:
        self._on_event(f"the scheduler reports {error.reason}: {error.detail}")
        if error.reason not in PASSING_REASONS:
            raise refusal(error.reason, error.detail)

    async def _assigned(self, connection: Connection[ToNode], assign: Assign) -> None:
        attempt = (assign.job_id, assign.attempt)
        if attempt in self._running or attempt in self._unsent:
            return
        if self._stopping.is_set() or len(self._running) + len(self._cancelled) >= self.slots:
            await connection.send(NodeResult(assign.job_id, assign.attempt, busy=True))
            return
        work = Work(
            assign.job_id,
            assign.attempt,
            assign.pair,
            assign.audio,
            assign.deadline_ms,
            assign.session_id,
            trace=assign.trace,
            send_partial=self._partials.of(*attempt) if assign.partials else None,
        )
        task = asyncio.create_task(self._do(attempt, work))
        self._running[attempt] = (work, task)

    def _cancel(self, attempt: Attempt) -> None:
        self._unsent.pop(attempt, None)
        if attempt in self._running:
            work, task = self._running.pop(attempt)
            self._cancelled[attempt] = task
            _end_partials(work)
            work.cancelled.set()
            if self._calls.ends_at_once(work):
                task.cancel()
            task.add_done_callback(lambda _: self._cancelled.pop(attempt, None))

    async def _do(self, attempt: Attempt, work: Work) -> None:
        with work_span(work, self.node_id) as ended:
            result = await outcome_of(work, self._calls, self._output_bytes_max, self._on_event)
            result.trace = current_trace() or work.trace
            ended(result.error)
        _end_partials(work)
        if attempt in self._running:
            del self._running[attempt]
            self.done += 1
            await self._answer(attempt, result)

    async def _answer(self, attempt: Attempt, result: NodeResult) -> None:
        """Send `result`, or keep it for the next connection."""
        self._unsent[attempt] = result
        if self._connection is not None:
            with contextlib.suppress(*BROKEN):
                await self._connection.send(result)
                self._unsent.pop(attempt, None)

    async def _send_partial(self, partial: NodePartial) -> None:
        """Send `partial`; without a connection it is dropped."""
        if self._connection is not None:
            with contextlib.suppress(*BROKEN):
                await self._connection.send(partial)


def _end_partials(work: Work) -> None:
    if isinstance(work.send_partial, PartialsOfWork):
        work.send_partial.end()
