"""Calls the function of the user, one call a job. Plain functions run in threads, coroutine functions on the loop.

It knows neither messages nor the connection. `Batches` is the kind that calls the function for several jobs at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from voxpool.scheduler.engines import Work


class Calls:
    """At most `threads` calls of a plain `function` at a time; a coroutine function has no such bound here.

    A thread takes one waiting call after the other. It asks for another thread when more wait and none has been asked
    for that has not begun: a burst of short calls is done by one thread, and of long calls each soon has its own
    (DESIGN.md has what it saves).
    """

    def __init__(self, function: Callable[..., Any], threads: int, name: str) -> None:
        self.function = function
        self.is_async = is_async(function)
        self._threads_max = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        """Guards what follows, up to `_at_work`."""
        self._queued: deque[_Call] = deque()
        self._running = 0
        """Threads that take calls, or were asked for."""
        self._has_asked = False
        """Whether a thread was asked for that has not begun."""
        self._is_closed = False
        self._at_work = 0
        """Threads that are in a call."""
        self._ended: deque[_Call] = deque()
        """Calls whose end the loop has not seen; the threads append to it."""
        self._has_told = False
        """Whether the loop was told of them."""

    @property
    def idle(self) -> bool:
        """Whether no thread is in a call; one whose function ignores its cancellation may be, even after `close`."""
        return not self._at_work

    async def output_of(self, work: Work) -> Any:
        """Return what the function returns for `work`, or raise what it raises."""
        return await self.call(self.function, work)

    def ends_at_once(self, work: Work) -> bool:
        """Return whether the task that awaits `output_of(work)` may be cancelled; else the call goes on to its end."""
        return self.is_async

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call `function`, in a thread unless it is a coroutine function. Raises RuntimeError after `close`."""
        if self.is_async if function is self.function else is_async(function):
            return await function(*arguments)
        loop = asyncio.get_running_loop()
        call = _Call(function, arguments, loop, loop.create_future())
        with self._lock:
            if self._is_closed:
                raise RuntimeError("no more calls are begun")
            self._queued.append(call)
            self._ask_for_thread()
        try:
            return await call.answer
        except asyncio.CancelledError:
            with self._lock, contextlib.suppress(ValueError):  # a call that has begun goes on
                self._queued.remove(call)
            raise

    async def close(self) -> None:
        """Begin no more calls. Those in threads go on."""
        with self._lock:
            self._is_closed = True
            queued, self._queued = self._queued, deque()
        for call in queued:
            call.answer.cancel()
        self._threads.shutdown(wait=False)

    def _ask_for_thread(self) -> None:
        """Ask for one more thread if it is of use. The caller has the lock."""
        if self._queued and not self._has_asked and self._running < self._threads_max:
            self._has_asked = True
            self._running += 1
            self._threads.submit(self._work_off)

    # ---- in a thread

    def _work_off(self) -> None:
        """Do calls until none waits."""
        with self._lock:
            self._has_asked = False
            call = self._take()
        while call is not None:
            call.run()
            self._tell(call)
            with self._lock:
                self._at_work -= 1
                call = self._take()

    def _take(self) -> _Call | None:
        if not self._queued:
            self._running -= 1
            return None
        call = self._queued.popleft()
        self._at_work += 1
        self._ask_for_thread()
        return call

    def _tell(self, call: _Call) -> None:
        """Let the loop see the end of `call`. It sees all that have ended when it comes to it."""
        self._ended.append(call)
        if not self._has_told:
            self._has_told = True
            if not call.loop.is_closed():
                with contextlib.suppress(RuntimeError):  # it was closed in this moment
                    call.loop.call_soon_threadsafe(self._settle)

    # ---- in the loop again

    def _settle(self) -> None:
        self._has_told = False  # first: a call that ends from now on tells again
        while self._ended:
            self._ended.popleft().settle()


@dataclass(slots=True, eq=False)
class _Call:
    """One call, and who waits for its end."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    output: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        """Do it."""
        try:
            self.output = self.context.run(self.function, *self.arguments)
        except StopIteration as error:
            self.error = no_result_but(error)
            self.error.__cause__ = error
        except BaseException as error:
            self.error = error

    def settle(self) -> None:
        """Tell who waits, if somebody does."""
        if self.answer.done():
            return
        if self.error is not None:
            self.answer.set_exception(self.error)
            self.error = None  # its traceback refers to this call
        else:
            self.answer.set_result(self.output)


def no_result_but(error: StopIteration) -> RuntimeError:
    """Return what stands for `error`: a future can't carry a StopIteration, and would hang."""
    return RuntimeError("the work raised StopIteration")


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether `function`, or the object with __call__, is a coroutine function."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
