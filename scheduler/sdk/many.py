"""A bounded number of calls at a time, for `Client.map`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk.errors import SubmitRejected


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of one of many submits: a result or a rejection. `index` counts the input from 0."""

    index: int
    result: JobResult | None
    rejected: SubmitRejected | None = None

    @property
    def completed(self) -> bool:
        """Whether there is an output."""
        return self.result is not None and self.result.state == "completed"


async def in_parallel(
    audios: Iterable[bytes], submit: Callable[[bytes], Awaitable[JobResult]], at_most: int
) -> AsyncGenerator[Done, None]:
    """Call `submit` for each of `audios`, `at_most` of them at a time, and yield each as it is done."""
    rest = enumerate(audios)
    running: dict[asyncio.Task[Done], None] = {}  # a dict keeps its order, a set of tasks does not

    async def one(index: int, audio: bytes) -> Done:
        try:
            return Done(index, await submit(audio))
        except SubmitRejected as rejected:
            return Done(index, None, rejected)

    try:
        while True:
            while len(running) < at_most and (following := next(rest, None)) is not None:
                running[asyncio.create_task(one(*following))] = None
            if not running:
                return
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                del running[task]
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
