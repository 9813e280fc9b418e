"""Calls the function of the user, one call a job. Plain functions run in threads, coroutine functions on the loop.

It knows neither messages nor the connection. `Batches` is the kind that calls the function for several jobs at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from voxpool.scheduler.engines import Work


class Calls:
    """At most `threads` calls of a plain `function` at a time; a coroutine function has no such bound here."""

    def __init__(self, function: Callable[..., Any], threads: int, name: str) -> None:
        self.function = function
        self.is_async = is_async(function)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._at_work: set[object] = set()
        """One object for each call in a thread; the threads enter and leave it."""

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
        """Call `function`, in a thread unless it is a coroutine function."""
        if self.is_async if function is self.function else is_async(function):
            return await function(*arguments)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        call = self._threads.submit(contextvars.copy_context().run, self._in_thread, function, arguments)
        call.add_done_callback(partial(_ended, loop, answer))
        try:
            return await answer
        except asyncio.CancelledError:
            call.cancel()  # a call that has begun goes on
            raise

    async def close(self) -> None:
        """Begin no more calls. Those in threads go on."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _in_thread(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        call = object()
        self._at_work.add(call)
        try:
            return function(*arguments)
        except StopIteration as error:
            raise no_result_but(error) from error
        finally:
            self._at_work.discard(call)


def _ended(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], call: Future[Any]) -> None:
    """Pass the end of `call` on to `loop`: what asyncio.wrap_future does, at half its cost. Runs in the thread."""
    if not loop.is_closed():
        with contextlib.suppress(RuntimeError):  # it was closed in this moment
            loop.call_soon_threadsafe(_settle, answer, call)


def _settle(answer: asyncio.Future[Any], call: Future[Any]) -> None:
    if answer.done():
        return
    if call.cancelled():
        answer.cancel()
    elif (error := call.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(call.result())


def no_result_but(error: StopIteration) -> RuntimeError:
    """Return what stands for `error`: a future can't carry a StopIteration, and would hang."""
    return RuntimeError("the work raised StopIteration")


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether `function`, or the object with __call__, is a coroutine function."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
