"""What a scheduler takes from the computer it runs on: time, random numbers, a socket, the store, and limits.

`serve` reaches the world through this class and the running event loop only, so that the simulation can run it on a
machine in virtual time.
"""

from __future__ import annotations

import gc
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voxpool.scheduler.chance import fresh_random
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.service.open_files import connections_within
from voxpool.scheduler.stores.opening import open_jobs, open_store
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.app import Doors
from voxpool.scheduler.web.wire.server import listen

if TYPE_CHECKING:
    from voxpool.scheduler.stores.cluster.job_stores import JobStores
    from voxpool.scheduler.stores.embedded import EmbeddedStore
    from voxpool.scheduler.stores.memory import MemoryStore
    from voxpool.scheduler.stores.redis import RedisStore


class Machine:
    """The real computer. `state_dir` keeps the data of an embedded store over restarts."""

    def __init__(self, state_dir: Path | None = None) -> None:
        self._state_dir = state_dir

    def clock(self) -> SystemClock:
        """Return the wall clock."""
        return SystemClock()

    def random(self) -> random.Random:
        """Return a new source of random numbers."""
        return fresh_random()

    def process_name(self) -> str:
        """Return the name of this process for people: host and process id."""
        return f"{socket.gethostname()}, process {os.getpid()}"

    def listen(self, settings: Settings) -> socket.socket:
        """Return the socket that listens where the settings say. Raises CannotStart or ConfigError."""
        return listen(settings)

    def within_limits(self, settings: Settings, log: Log) -> Settings:
        """Return the settings with the bounds that the operating system allows."""
        return connections_within(settings, log)

    async def open_store(
        self, spec: str, owner: str, on_lost: Callable[[str], None]
    ) -> MemoryStore | RedisStore | EmbeddedStore:
        """Return the store of the setting `store`; see `open_store`."""
        return await open_store(spec, self._state_dir, owner, on_lost)

    async def open_jobs(self, settings: Settings) -> JobStores:
        """Return where the jobs are that several schedulers share. Raises ConfigError or StoreUnavailable."""
        return await open_jobs(settings.store, settings.partitions, settings.acks, settings.order)

    def observers(self) -> list[Observer]:
        """Return what observes the core beside logs, metrics, traces and dashboard."""
        return []

    def built(self, core: Core, doors: Doors) -> None:
        """Receive the parts of a scheduler before it does anything."""

    def started(self) -> None:
        """The scheduler accepts connections: exempt the objects of the start, which stay, from garbage collection."""
        gc.collect()
        gc.freeze()
