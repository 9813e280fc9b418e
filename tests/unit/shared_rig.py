"""Cores of several schedulers on one model of the store; nothing runs by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tests.unit.fakes import HandClock
from tests.unit.rig import Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.shared.dispatcher import SharedDispatcher
from voxpool.scheduler.shared.parts import classes_of
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.sim.instances.store import PartitionStore


class Partition:
    """A ScriptRunner on one partition."""

    restarts = 0

    def __init__(self, store: PartitionStore) -> None:
        self.store = store
        self.before_answer: Callable[[], None] = lambda: None
        """What happens while a flush is on its way."""

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[Any]]:
        answers = [self.store.run(call) for call in calls]
        self.before_answer()
        return answers


class Silent:
    """A subscription; the rig passes hints on by itself."""

    async def run_forever(self) -> None:
        await asyncio.get_running_loop().create_future()


class Stores:
    """Two partitions, and the schedulers on them."""

    def __init__(self) -> None:
        self.clock = HandClock(1_000_000)
        self.partitions = [Partition(PartitionStore(number)) for number in range(2)]
        self.rigs: list[SharedRig] = []

    def hints(self, partition: int, scheduler: str, *on: Callable[..., None]) -> Silent:
        return Silent()

    def scheduler(self, name: str, settings: Settings | None = None) -> SharedRig:
        """Start a scheduler."""
        rig = SharedRig(name, self, settings or Settings(store="redis://", jobs="redis"))
        self.rigs.append(rig)
        return rig

    def kill(self, rig: SharedRig) -> None:
        """It does nothing more."""
        self.rigs.remove(rig)

    @property
    def audio(self) -> int:
        """How many audios there are."""
        return sum(len(partition.store.audio) for partition in self.partitions)

    async def settle(self) -> None:
        """Send what is queued, and pass messages on, until nothing is left."""
        while True:
            sent = [await feed.run_once(feed) for rig in self.rigs for feed in rig.shared.feeds]
            if not any(sent) and not self._pass_hints():
                return

    async def pass_time(self, seconds: float, step_s: float = 0.25) -> None:
        """Advance the clock in steps, and let the roles do the due work after each."""
        end_ms = self.clock.ms + round(seconds * 1000)
        while self.clock.ms < end_ms:
            self.clock.ms += round(step_s * 1000)
            for rig in self.rigs:
                while rig.core.timeouts.run_once():
                    pass
                rig.core.leases.run_once()
                for members in rig.shared.members:
                    members.run_once()
            await self.settle()

    def _pass_hints(self) -> bool:
        passed = False
        for rig in self.rigs:
            for partition, feed in zip(self.partitions, rig.shared.feeds, strict=True):
                hints = partition.store.hints.get(rig.shared.instance)
                while hints:
                    feed.hinted(hints.popleft())
                    passed = True
        return passed


class SharedRig(Rig):
    """One scheduler."""

    def __init__(self, name: str, stores: Stores, settings: Settings) -> None:
        classes = classes_of(MemoryStore(), stores, lambda runner: runner)  # type: ignore[arg-type]
        super().__init__(classes, settings=settings, instance=name, clock=stores.clock)
        assert isinstance(self.dispatcher, SharedDispatcher)
        self.shared: SharedDispatcher = self.dispatcher
        self._stores = stores
        for feed in self.shared.feeds:
            feed.subscribed()

    async def settle(self) -> None:
        await self._stores.settle()
