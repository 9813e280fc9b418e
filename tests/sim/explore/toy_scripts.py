"""Flows of plain script calls: production's ScriptQueue on the virtual loop, one queue a flow; commits are steps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.unit.fakes import NO_SELECTS
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.script_queue import Outages, ScriptQueue
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.seams import Observer
from voxpool.sim.explore.model.execution import WRITE, Footprint, MakeExecution, Step
from voxpool.sim.virtual_time.clock import VirtualClock
from voxpool.sim.virtual_time.loop import VirtualLoop


class ScriptFlows:
    """Each flow makes its calls one after another; the end is the order of the commits.

    `hops` is the number of empty awaits between two calls; with `is_split` the answer is a step of its own.
    """

    def __init__(self, lengths: Sequence[int], hops: int = 0, is_split: bool = False, is_shared: bool = True) -> None:
        self.loop = VirtualLoop()
        self.log: list[str] = []
        self.is_split = is_split
        self.is_shared = is_shared
        self.open: dict[Step, asyncio.Future[None]] = {}
        self.touched: set[tuple[str, str]] = set()
        self.tasks: list[asyncio.Task[None]] = []  # asyncio itself only has weak references to them
        clock = VirtualClock(self.loop.env)
        with self.loop.entered():
            for name, calls in zip("ABCD", lengths, strict=False):
                queue = ScriptQueue(Runner(self, name), clock, 45_000, Observer(), Outages(Settings()), lambda: None)
                self.tasks.append(self.loop.create_task(queue.run_forever(NO_SELECTS)))
                self.tasks.append(self.loop.create_task(self.flow(queue, name, calls, hops)))
        self.loop.run(until_s=0.0)

    async def flow(self, queue: ScriptQueue, name: str, calls: int, hops: int) -> None:
        for number in range(calls):
            answered: asyncio.Future[list[str]] = self.loop.create_future()
            queue.call(ScriptCall(f"{name}{number}", []), answered.set_result)
            await answered
            for _ in range(hops):
                await asyncio.sleep(0)

    def open_steps(self) -> list[Step]:
        return list(self.open)

    def take(self, step: Step) -> Footprint:
        self.touched.clear()
        self.open.pop(step).set_result(None)
        self.loop.run(until_s=0.0)
        return frozenset(self.touched)

    def end(self) -> str:
        return " ".join(self.log if self.is_shared else sorted(self.log))

    def broken(self) -> list[str]:
        return []

    def close(self) -> None:
        self.loop.close()


class Runner:
    """A store of one flow; a call waits until its step is taken."""

    def __init__(self, execution: ScriptFlows, flow: str) -> None:
        self.restarts = 0
        self.execution = execution
        self.flow = flow

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        execution = self.execution
        await self.step(f"commit {calls[0].name}")
        execution.log += [call.name for call in calls]
        execution.touched.add((WRITE, "log" if execution.is_shared else f"log {self.flow}"))
        if execution.is_split:
            await self.step(f"reply {calls[0].name}")
        return [[] for _ in calls]

    async def step(self, label: str) -> None:
        done = self.execution.loop.create_future()
        self.execution.open[Step(label, self.flow)] = done
        await done


def script_flows(*lengths: int, hops: int = 0, is_split: bool = False, is_shared: bool = True) -> MakeExecution:
    """Return a function that makes such executions. Flows that aren't `is_shared` write to logs of their own."""
    return lambda: ScriptFlows(lengths, hops, is_split, is_shared)
