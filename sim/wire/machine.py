"""The computer of a scheduler in virtual time: its clock, random numbers, socket and store come from the simulation."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import simpy

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.service.machine import Machine
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.app import Doors
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.network.network import Network
from voxpool.sim.virtual_time.clock import VirtualClock
from voxpool.sim.world.stores import StoreSeam


class MachineClock(SystemClock):
    """A SystemClock that reads the time of `env`."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.now_ms = VirtualClock(env).now_ms  # type: ignore[method-assign]  # bound here: it is called very often

    def now_ns(self) -> int:
        return self.now_ms() * 1_000_000

    def seconds(self) -> float:
        return self._env._now


class ObservedStore(MemoryStore):
    """The store of the world as one scheduler sees it: calls go through `seam`, which reports them to the watchers."""

    def __init__(self, store: MemoryStore, seam: StoreSeam) -> None:
        self.__dict__ = store.__dict__
        self._seam = seam

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        return await self._seam.run(calls)


class SimulatedMachine(Machine):
    """One start of the scheduler on a machine of `network`; `name` distinguishes it from other starts.

    `store` outlives the scheduler, as a Redis server does. `on_built` is called before the scheduler does anything.
    """

    def __init__(
        self,
        network: Network,
        seed: int,
        name: str,
        store: MemoryStore,
        seam: StoreSeam,
        observers: Sequence[Observer],
        on_built: Callable[[Core, Doors], None],
    ) -> None:
        super().__init__()
        self._network, self._seed, self._name = network, seed, name
        self._store = ObservedStore(store, seam)
        self._observers, self._on_built = observers, on_built
        self._sources = 0

    def clock(self) -> SystemClock:
        return MachineClock(self._network.loop.env)

    def random(self) -> random.Random:
        self._sources += 1
        return plain_random(self._seed, f"{self._name}/{self._sources}")

    def process_name(self) -> str:
        return self._name

    def listen(self, settings: Settings) -> Any:
        return self._network.listen(settings.port)

    def within_limits(self, settings: Settings, log: Log) -> Settings:
        return settings

    async def open_store(self, spec: str, owner: str, on_lost: Callable[[str], None]) -> MemoryStore:
        return self._store

    def observers(self) -> list[Observer]:
        return [*self._observers]

    def built(self, core: Core, doors: Doors) -> None:
        self._on_built(core, doors)

    def started(self) -> None:
        """Leave the garbage collector as it is: other runs follow in this process."""
