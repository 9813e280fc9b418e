"""A worker node: it gets at most as many jobs at a time as it has slots, runs the engine on each, and answers.

The engine runs in threads (or on the loop, when it is a coroutine function). A broken connection is made again; results
that were ready meanwhile are offered then.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import random
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from voxpool.scheduler import __version__
from voxpool.scheduler.chance import fresh_random
from voxpool.scheduler.core.clock import Clock, SystemClock
from voxpool.scheduler.core.jobs.error_text import cleaned, error_text, traceback_text
from voxpool.scheduler.core.jobs.reasons import ENGINE_ERROR
from voxpool.scheduler.engines import Engine, Work, WorkFailed
from voxpool.scheduler.errors import BadInput, ConfigError
from voxpool.scheduler.protocol.codec import check_output, to_node
from voxpool.scheduler.protocol.messages import (
    Assign,
    CancelAttempt,
    Drain,
    Error,
    Heartbeat,
    NodeResult,
    Register,
    Registered,
    Reregister,
    ToNode,
    WorkError,
)
from voxpool.scheduler.sdk.errors import PASSING, refusal
from voxpool.scheduler.sdk.given import given_token, given_url
from voxpool.scheduler.sdk.tracing import current_trace, work_span
from voxpool.scheduler.sdk.wire.backoff import Backoff
from voxpool.scheduler.sdk.wire.connection import BROKEN, PING_S, Connection, Door
from voxpool.scheduler.sdk.wire.trouble import trouble

HEARTBEAT_S = 15.0
"""Beats from the register on, until the scheduler has sent its own time: a lost answer must not silence the node."""
OUTPUT_BYTES_MAX = 2**31
"""The largest output before the scheduler has sent its limit: until then only the form is checked."""
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
    traceback goes to `on_event` only.

    `drain_s` bounds how long `stop` waits for running work. `token` and `ca_file` (a PEM file; for wss) are those of
    the scheduler; without `url` and `token`, VOXPOOL_URL and VOXPOOL_TOKEN are used. `random` and `clock` are for
    simulations; by default they are the system's.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        node_id: str,
        pairs: Sequence[str],
        work: Engine | AsyncEngine,
        slots: int = 1,
        token: str | None = None,
        ca_file: str | Path | None = None,
        drain_s: float = 60.0,
        ping_s: float = PING_S,
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
        self.slots = slots
        self.done = 0
        """Attempts that were answered with an output or an error."""
        self._work = work
        self._is_async = inspect.iscoroutinefunction(work) or inspect.iscoroutinefunction(type(work).__call__)
        self._drain_s = drain_s
        self._on_event = on_event
        self._engines: set[Attempt] = set()
        """Attempts whose engine is at work in a thread; the threads enter and leave it."""
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix=node_id)
        self._running: dict[Attempt, tuple[Work, asyncio.Task[None]]] = {}
        self._cancelled: dict[Attempt, asyncio.Task[None]] = {}
        """Cancelled attempts whose engine has not returned yet: they still take a slot."""
        self._unsent: dict[Attempt, NodeResult] = {}
        self._output_bytes_max = OUTPUT_BYTES_MAX
        self._connection: Connection[ToNode] | None = None
        self._beats: asyncio.Task[None] | None = None
        self._beats_every_s = 0.0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop` was called and all is done. Raises Refused when the scheduler refuses this node."""
        serving = asyncio.create_task(self._stay_connected())
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
            self._threads.shutdown(wait=False, cancel_futures=True)
        if not serving.cancelled():
            serving.result()

    def stop(self) -> None:
        """Take no new jobs, finish those that run, then end `run`."""
        self._stopping.set()

    @property
    def idle(self) -> bool:
        """Whether no engine is at work; one that ignores its cancellation may be, even after `run`."""
        return not self._engines

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
                    self._beat_every(connection, HEARTBEAT_S)
                    await self._read(connection, backoff)
                except BROKEN as error:
                    self._on_event(f"connection lost: {error or type(error).__name__}")
                finally:
                    self._connection = None
                    if self._beats is not None:
                        self._beats.cancel()
                        await asyncio.gather(self._beats, return_exceptions=True)
                        self._beats = None
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

    def _beat_every(self, connection: Connection[ToNode], every_s: float) -> None:
        if self._beats is not None:
            if self._beats_every_s == every_s:
                return
            self._beats.cancel()
        self._beats_every_s = every_s
        self._beats = asyncio.create_task(self._beat(connection, every_s))

    async def _beat(self, connection: Connection[ToNode], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await connection.send(Heartbeat(self._holding(), load=len(self._running) / self.slots))

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
                self._beat_every(connection, message.heartbeat_ms / 1000)
                self._on_event(f"registered as {self.node_id} for {', '.join(self.pairs)}, {self.slots} slots")
                if message.cut_off is not None:
                    self._on_event(f"the scheduler had cut off the last connection: {message.cut_off}")
                if self._stopping.is_set():
                    await connection.send(Drain(True))
                for attempt, result in list(self._unsent.items()):
                    await self._answer(attempt, result)
            elif isinstance(message, Reregister):
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
        )
        task = asyncio.create_task(self._do(attempt, work))
        self._running[attempt] = (work, task)

    def _cancel(self, attempt: Attempt) -> None:
        self._unsent.pop(attempt, None)
        if attempt in self._running:
            work, task = self._running.pop(attempt)
            self._cancelled[attempt] = task
            work.cancelled.set()
            if self._is_async:
                task.cancel()
            task.add_done_callback(lambda _: self._cancelled.pop(attempt, None))

    async def _do(self, attempt: Attempt, work: Work) -> None:
        with work_span(work, self.node_id) as ended:
            result = await self._outcome(attempt, work)
            result.trace = current_trace() or work.trace
            ended(result.error)
        if attempt in self._running:
            del self._running[attempt]
            self.done += 1
            await self._answer(attempt, result)

    async def _outcome(self, attempt: Attempt, work: Work) -> NodeResult:
        """Return the output of the engine for `work`."""
        try:
            if self._is_async:
                output = await self._work(work)
            else:
                loop, run = asyncio.get_running_loop(), contextvars.copy_context().run
                output = await loop.run_in_executor(self._threads, run, self._in_thread, work)
            check_output(output, self._output_bytes_max)
        except WorkFailed as failed:
            return NodeResult(
                *attempt, error=WorkError(cleaned(str(failed.reason)), failed.retryable, cleaned(str(failed.detail)))
            )
        except BadInput as error:
            self._on_event(f"{work.job_id}: {error.reason}: {error.detail}")
            return NodeResult(*attempt, error=WorkError(error.reason, detail=cleaned(error.detail)))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._raised(attempt, error)  # something that the work awaited was cancelled, not this attempt
        except Exception as error:
            return self._raised(attempt, error)
        return NodeResult(*attempt, output)

    def _raised(self, attempt: Attempt, error: BaseException) -> NodeResult:
        """Return the answer for an attempt whose work raised `error`, and log its traceback here."""
        detail = error_text(error)
        self._on_event(f"{attempt[0]}: the work raised {detail}\n{traceback_text(error)}")
        return NodeResult(*attempt, error=WorkError(ENGINE_ERROR, retryable=True, detail=detail))

    def _in_thread(self, work: Work) -> Any:
        self._engines.add((work.job_id, work.attempt))
        try:
            return self._work(work)
        except StopIteration as error:
            raise RuntimeError("the work raised StopIteration") from error  # a future can't carry it, and would hang
        finally:
            self._engines.discard((work.job_id, work.attempt))

    async def _answer(self, attempt: Attempt, result: NodeResult) -> None:
        """Send `result`, or keep it for the next connection."""
        self._unsent[attempt] = result
        if self._connection is not None:
            with contextlib.suppress(*BROKEN):
                await self._connection.send(result)
                self._unsent.pop(attempt, None)
