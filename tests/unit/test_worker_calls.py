"""The calls of a worker in threads: how many at a time, and what becomes of those that wait."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.e2e.processes import until
from voxpool.scheduler.sdk import Work
from voxpool.scheduler.sdk.work.calls import Calls

THREADS = 8
LONG_S = 10.0


def work(number: int = 0) -> Work:
    """Return the work of a job."""
    return Work(f"j{number}", 1, "zh:en", b"")


@asynccontextmanager
async def calling(function: Callable[..., Any], threads: int = THREADS) -> AsyncIterator[Calls]:
    """Yield the calls of `function`; none may take long."""
    calls = Calls(function, threads, "n")
    try:
        async with asyncio.timeout(LONG_S):
            yield calls
    finally:
        await calls.close()


class Gate:
    """A function whose calls wait until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.began: list[str] = []

    def __call__(self, work: Work) -> str:
        self.began.append(work.job_id)
        assert self.opened.wait(LONG_S)
        return work.job_id

    async def until_began(self, count: int) -> None:
        """Wait until so many calls have begun."""
        await until(lambda: len(self.began) >= count)


async def test_calls_that_wait_for_each_other_all_have_a_thread() -> None:
    barrier = threading.Barrier(THREADS)

    def meet(work: Work) -> str:
        barrier.wait(LONG_S)
        return work.job_id

    async with calling(meet) as calls:
        for _ in range(3):
            outputs = await asyncio.gather(*(calls.output_of(work(number)) for number in range(THREADS)))
            assert outputs == [f"j{number}" for number in range(THREADS)]


async def test_no_more_calls_run_at_a_time_than_there_are_threads() -> None:
    gate = Gate()
    async with calling(gate, 2) as calls:
        all_of_them = [asyncio.create_task(calls.output_of(work(number))) for number in range(5)]
        await gate.until_began(2)
        await asyncio.sleep(0)
        assert sorted(gate.began) == ["j0", "j1"] and not calls.idle
        gate.opened.set()
        assert await asyncio.gather(*all_of_them) == ["j0", "j1", "j2", "j3", "j4"]
        await until(lambda: calls.idle)


async def test_a_call_that_is_cancelled_before_it_began_never_begins() -> None:
    gate = Gate()
    async with calling(gate, 1) as calls:
        first, second, third = (asyncio.create_task(calls.output_of(work(number))) for number in range(3))
        await gate.until_began(1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.opened.set()
        assert list(await asyncio.gather(first, third)) == ["j0", "j2"]
    assert gate.began == ["j0", "j2"]


async def test_close_ends_what_waits_and_lets_the_running_call_end() -> None:
    gate = Gate()
    async with calling(gate, 1) as calls:
        running, waiting = (asyncio.create_task(calls.output_of(work(number))) for number in range(2))
        await gate.until_began(1)
        await calls.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.opened.set()
        assert await running == "j0"
        with pytest.raises(RuntimeError, match="no more calls"):
            await calls.output_of(work(2))


async def test_many_short_calls_from_many_tasks_all_end() -> None:
    async with calling(lambda work: work.job_id) as calls:

        async def some(first: int) -> list[str]:
            return [await calls.output_of(work(first + number)) for number in range(200)]

        ended = await asyncio.gather(*(some(1000 * task) for task in range(32)))
    assert [one for outputs in ended for one in outputs] == [f"j{1000 * t + n}" for t in range(32) for n in range(200)]


async def test_a_call_has_the_context_of_its_task() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")

    async with calling(lambda work: name.get()) as calls:

        async def named(value: str) -> Any:
            name.set(value)
            return await calls.output_of(work())

        assert await asyncio.gather(*(asyncio.create_task(named(value)) for value in "abc")) == ["a", "b", "c"]


def test_a_call_may_end_after_its_loop() -> None:
    gate = Gate()
    calls = Calls(gate, 1, "n")

    async def begin() -> None:
        task = asyncio.create_task(calls.output_of(work()))
        await gate.until_began(1)
        task.cancel()
        await calls.close()

    asyncio.run(begin())
    gate.opened.set()
    for thread in [one for one in threading.enumerate() if one.name.startswith("n_")]:
        thread.join(LONG_S)
    assert calls.idle
