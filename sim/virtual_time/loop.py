"""An asyncio event loop whose clock is a simpy.Environment: it runs production coroutines in virtual time.

It orders ready callbacks and knows nothing of jobs or nodes. Time advances only when nothing is ready, so the duration
of a run depends on its processor time only. Access to sockets, threads and processes raises `Refused`.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from asyncio import events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from typing import Any, TypeVarTuple, Unpack

import simpy
from simpy.events import NORMAL

from voxpool.sim.virtual_time.errors_fatal import LoudLoop, RunFailed
from voxpool.sim.virtual_time.loop_internals import After, Handle, SimFuture, SimTask, Timer
from voxpool.sim.virtual_time.pending_tasks import describe_waiters
from voxpool.sim.virtual_time.unsupported import Refused

__all__ = ["Deadlock", "Refused", "RunFailed", "SimFuture", "SimTask", "VirtualLoop"]

Args = TypeVarTuple("Args")

FOR_EVER = float("inf")
COMPACT_AT = 1024
"""Cancelled timers that may stay in the heap; more are removed when they are at least half of it."""


class Deadlock(RuntimeError):
    """Coroutines wait although no event is left. The text names each waiting coroutine."""


class VirtualLoop(LoudLoop):
    """The loop. `env` is its clock; SimPy processes run on it beside the coroutines.

    One turn runs the callbacks that were ready at its begin, as in asyncio; all events of the current instant are
    processed before it.
    """

    def __init__(self, env: simpy.Environment | None = None) -> None:
        super().__init__()
        self.env = env or simpy.Environment(0.0)
        self._queue: list[tuple[float, Any, int, Any]] = self.env._queue
        self._eid = self.env._eid
        self._ready: deque[Handle | Timer] = deque()
        self._births = 0
        self._cancelled_timers = 0
        self._factory: Callable[..., Any] | None = None
        self._generators: list[AsyncGenerator[Any, Any]] = []
        self._running = False
        self._stopping = False
        self._closed = False
        self.is_stalled = False
        """True while callbacks of asyncio are paused and SimPy's events continue: the process of the coroutines is
        stopped, its surroundings are not."""

    # ---- events without a process

    def after(self, delay_s: float, fn: Callable[..., object], *args: Any) -> None:
        """Call `fn(*args)` in `delay_s` virtual seconds (0: in this instant, after the events already due)."""
        heappush(self._queue, (self.env._now + delay_s, NORMAL, next(self._eid), After(fn, *args)))

    def at(self, when_s: float, fn: Callable[..., object], *args: Any) -> None:
        """Call `fn(*args)` at the virtual time `when_s`, which must not be past."""
        heappush(self._queue, (when_s, NORMAL, next(self._eid), After(fn, *args)))

    def passing(self, delay_s: float) -> asyncio.Future[Any]:
        """Return a future that is done in `delay_s` virtual seconds: a cheaper asyncio.sleep (a third of its time)."""
        future = self.create_future()
        self.after(delay_s, _pass, future)
        return future

    def when_instant_ends(self, hook: Callable[[], None]) -> None:
        """Call `hook` once, after the last event of this instant, before the clock advances."""
        self._at_end.append(hook)

    @property
    def pending(self) -> int:
        """Number of scheduled events, cancelled timers included."""
        return len(self._queue)

    # ---- running

    def run(self, until_s: float = FOR_EVER, done: Callable[[], bool] | None = None) -> bool:
        """Run until `done()` is true (checked after each turn), virtual time passes `until_s`, or no event is left.

        Returns whether `done()` was true. Events at `until_s` itself are processed. Raises RunFailed when a task or
        callback raised, and any exception of a SimPy process or an `after`.
        """
        if done is not None and done():
            return True
        with self.entered():
            return self._run(until_s, done)

    def _run(self, until_s: float, done: Callable[[], bool] | None) -> bool:
        env, queue, ready, at_end = self.env, self._queue, self._ready, self._at_end
        now, last_s = env._now, min(until_s, sys.float_info.max)
        while True:
            when = queue[0][0] if queue else FOR_EVER
            if when > now:
                # The events of this instant are processed; a turn of the loop may add further ones.
                if ready and (not self.is_stalled or self._has_turn_while_stalled()):
                    self._turn()
                    if self._failures:
                        self._raise_failure()
                    if done is not None and done():
                        return True
                    continue
                if at_end:
                    hooks = at_end.copy()
                    at_end.clear()
                    for hook in hooks:
                        hook()
                    continue
                if done is not None and done():
                    return True
                if when > last_s:
                    if until_s != FOR_EVER:
                        env._now = max(now, until_s)
                    return False
                env._now = now = when
            event = heappop(queue)[3]
            if type(event) is After:
                event()
            elif type(event) is Timer:
                self.timer_fired(event)
            else:
                self._step(event)

    def _has_turn_while_stalled(self) -> bool:
        """Return whether some callbacks may run although the loop is stalled: none here."""
        return False

    def _turn(self) -> None:
        ready = self._ready
        handle: Handle | Timer
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self.call_exception_handler({"message": f"callback {handle!r} raised", "exception": error})

    def _step(self, event: simpy.Event) -> None:
        """Process an event as Environment.step does."""
        callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
        for callback in callbacks:
            callback(event)
        if not event._ok and not event.defused:
            raise event._value

    def run_until_complete(self, future: Any) -> Any:
        """Run until `future` is done and return its result; raises Deadlock when no event is left before."""
        self._check_open()
        waited: asyncio.Future[Any] = asyncio.ensure_future(future, loop=self)
        waited.add_done_callback(_taken)
        if not self.run(done=waited.done):
            waiters = self.waiters()
            if waited is not future:
                waited.cancel()
                self.run(done=waited.done)
            raise Deadlock("no event is left, and these tasks wait: " + "; ".join(waiters))
        return waited.result()

    def run_forever(self) -> None:
        """Run until `stop()`; raises Deadlock when no event is left."""
        self._stopping = False
        if not self.run(done=lambda: self._stopping):
            raise Deadlock("no event is left, and these tasks wait: " + "; ".join(self.waiters()))

    def stop(self) -> None:
        self._stopping = True

    def waiters(self) -> list[str]:
        """Return one line for each unfinished task, the oldest first: its name, where it waits, and for what."""
        return describe_waiters(self)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make this the running loop, so that code outside of a run can call functions that need one."""
        self._check_open()
        if self._running:
            raise RuntimeError("this loop is already running; from inside, await instead of running it")
        if events._get_running_loop() is not None:
            raise RuntimeError("another event loop is running in this thread")
        hooks = sys.get_asyncgen_hooks()
        events._set_running_loop(self)
        self._running = True
        sys.set_asyncgen_hooks(firstiter=self._generators.append, finalizer=self._close_generator)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*hooks)
            self._running = False
            events._set_running_loop(None)

    # ---- the interface of an asyncio loop

    def time(self) -> float:
        """Virtual seconds."""
        return self.env._now

    def call_soon(
        self,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.env._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = Timer(when, callback, args, self, context)
        heappush(self._queue, (max(when, self.env._now), NORMAL, next(self._eid), timer))
        return timer

    def timer_fired(self, timer: Timer) -> None:
        timer._scheduled = False
        if timer._cancelled:
            self._cancelled_timers -= 1
        else:
            self._ready.append(timer)

    def _timer_handle_cancelled(self, timer: asyncio.TimerHandle) -> None:
        """Called by TimerHandle.cancel: cancelled timers stay in the heap until there are too many."""
        if not timer._scheduled:  # type: ignore[attr-defined]
            return
        self._cancelled_timers += 1
        if self._cancelled_timers > COMPACT_AT and self._cancelled_timers * 2 > len(self._queue):
            self._queue[:] = [entry for entry in self._queue if not (type(entry[3]) is Timer and entry[3]._cancelled)]
            heapify(self._queue)
            self._cancelled_timers = 0

    def create_future(self) -> asyncio.Future[Any]:
        self._births += 1
        future: SimFuture[Any] = SimFuture(loop=self)
        future.birth = self._births
        return future

    def create_task(self, coro: Any, *, name: object = None, context: Any = None, **options: Any) -> Any:
        self._check_open()
        if self._factory is not None:
            if name is not None:
                options["name"] = name
            if context is not None:
                options["context"] = context
            return self._factory(self, coro, **options)
        self._births += 1
        name = f"task-{self._births}" if name is None else str(name)
        task: SimTask[Any] = SimTask(coro, self._births, loop=self, name=name, context=context, **options)
        task.add_done_callback(self._task_done)
        return task

    def set_task_factory(self, factory: Callable[..., Any] | None) -> None:
        self._factory = factory

    def get_task_factory(self) -> Callable[..., Any] | None:
        return self._factory

    # ---- state and end

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this loop is closed")

    def close(self) -> None:
        if self._running:
            raise RuntimeError("a running loop can't be closed")
        self._closed = True
        self._ready.clear()
        self._queue.clear()

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Ignored: the debug mode of asyncio measures real time."""

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._closed:
            self.create_task(generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        generators, self._generators = self._generators, []
        for generator in generators:
            await generator.aclose()

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do nothing: there is no executor."""


def _pass(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)


def _taken(future: asyncio.Future[Any]) -> None:
    """Do nothing: run_until_complete retrieves the exception."""
    if not future.cancelled():
        future.exception()
