"""Gathers the jobs of a worker into batches of one language pair, and calls the function of the user for each batch.

One batch runs at a time, that of the job that waits longest. When a batch ends, the next jobs are still on their way
from the scheduler: the next batch starts when it is full, or `gather_ms` after that end. Without this pause a loaded
worker would settle at half-full batches (DESIGN.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import Any

from voxpool.scheduler.engines import Batch, Work
from voxpool.scheduler.sdk.work.calls import Calls, no_result_but

Attempt = tuple[str, int]


class Batches(Calls):
    """The calls of a `batch` function; an output or an exception of its result belongs to one job."""

    def __init__(self, batch: Batch, name: str) -> None:
        super().__init__(batch.function, 1, name)
        self._max = batch.max
        self._gather_s = batch.gather_ms / 1000
        self._waiting: dict[Attempt, _Place] = {}
        """In the order in which the jobs came."""
        self._batch: list[_Place] = []
        """The jobs of the present call."""
        self._call: asyncio.Task[Any] | None = None
        self._runner: asyncio.Task[None] | None = None
        """Runs while jobs wait or a call goes on."""
        self._news = asyncio.Event()
        self._ended_s = float("-inf")
        """When the last batch ended, in seconds of the loop."""

    async def output_of(self, work: Work) -> Any:
        place = _Place(work)
        self._waiting[work.job_id, work.attempt] = place
        self._news.set()
        if self._runner is None or self._runner.done():
            # In an empty context: a batch belongs to the trace of no single job.
            loop = asyncio.get_running_loop()
            self._runner = loop.create_task(self._run(), context=contextvars.Context())
        try:
            return await place.output
        finally:
            self._waiting.pop((work.job_id, work.attempt), None)
            if self._call is not None and all(place.output.done() for place in self._batch):
                self._call.cancel()  # all of its jobs were cancelled; a call that has ended does not care

    def ends_at_once(self, work: Work) -> bool:
        return self.is_async or (work.job_id, work.attempt) in self._waiting

    async def close(self) -> None:
        tasks = [task for task in (self._runner, self._call) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().close()

    async def _run(self) -> None:
        while self._waiting:
            await self._gather()
            self._batch = self._next_batch()
            if self._batch:
                await self._work_on(self._batch)

    async def _gather(self) -> None:
        """Wait until the next batch is full, or until gather_ms after the end of the last one."""
        loop = asyncio.get_running_loop()
        until_s = self._ended_s + self._gather_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                while until_s > loop.time() and len(self._next_batch()) < self._max:
                    self._news.clear()
                    await self._news.wait()

    def _next_batch(self) -> list[_Place]:
        """Return the places of the next batch: the job that came first, and the next ones of its pair."""
        waiting = [place for place in self._waiting.values() if not place.output.done()]
        return [place for place in waiting if place.work.pair == waiting[0].work.pair][: self._max]

    async def _work_on(self, batch: list[_Place]) -> None:
        loop = asyncio.get_running_loop()
        works = [place.work for place in batch]
        for work in works:
            del self._waiting[work.job_id, work.attempt]
        call = self._call = loop.create_task(self.call(self.function, works))
        try:
            await asyncio.wait([call])
        finally:
            call.cancel()
            self._call = None
        self._ended_s = loop.time()
        for place, outcome in zip(batch, _outcomes(call, len(batch)), strict=True):
            place.settle(outcome)


class _Place:
    """One job that waits for its batch, or is in it."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.output: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, outcome: Any) -> None:
        """Give the job its `outcome`: an exception is raised for it. A job that was cancelled needs none."""
        if self.output.done():
            return
        if isinstance(outcome, StopIteration):
            outcome = no_result_but(outcome)
        if isinstance(outcome, BaseException):
            self.output.set_exception(outcome)
        else:
            self.output.set_result(outcome)


def _outcomes(call: asyncio.Task[Any], count: int) -> list[Any]:
    """Return an output or an exception for each of the `count` jobs of a call that has ended."""
    try:
        outputs = call.result()
    except BaseException as error:  # also CancelledError: something that the function awaited was cancelled
        return [error] * count
    if isinstance(outputs, list | tuple) and len(outputs) == count:
        return list(outputs)
    shown = f"{len(outputs)} outputs" if isinstance(outputs, list | tuple) else type(outputs).__name__
    return [TypeError(f"the batch function returned {shown} for {count} jobs: return a list with one for each")] * count
