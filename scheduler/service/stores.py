"""Which stores a scheduler works on: the setting `jobs` is the one choice between the two data models of lua/."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from voxpool.scheduler.config import REDIS, Settings
from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.service.machine import Machine
from voxpool.scheduler.stores.facts import StoreFacts
from voxpool.scheduler.telemetry.metrics.exporter import MeasuredStore

if TYPE_CHECKING:
    from voxpool.scheduler.stores.cluster.job_stores import JobStores

Around = Callable[[ScriptRunner], ScriptRunner]


class Store(MeasuredStore, Protocol):
    """A store that can be measured and closed."""

    async def close(self, within_s: float = 0.0) -> None:
        """Close its connections."""
        ...


class SharedStore:
    """All servers of `jobs` as one store."""

    def __init__(self, jobs: JobStores) -> None:
        self._jobs = jobs

    async def census(self) -> dict[str, int]:
        """Return how many members each family has in all partitions. Raises StoreUnavailable."""
        return await self._jobs.census()

    async def facts(self, now_ms: Callable[[], int]) -> StoreFacts | None:
        """Return the facts about its servers. Raises StoreUnavailable."""
        return await self._jobs.facts(now_ms)

    async def close(self, within_s: float = 0.0) -> None:
        """Close all connections."""
        await self._jobs.close()


class Opened(NamedTuple):
    """`runner` has the nodes, `store` what other processes see; `classes` returns those of the core.

    Its argument wraps a runner of jobs, to measure it.
    """

    runner: ScriptRunner
    store: Store
    classes: Callable[[Around], CoreClasses]


async def open_stores(settings: Settings, machine: Machine, owner: str, on_lost: Callable[[str], None]) -> Opened:
    """Open them. Raises ConfigError, StoreUnavailable or OSError.

    With jobs = memory the store belongs to this scheduler, named `owner`, alone; `on_lost` is called when it no longer
    does.
    """
    if settings.jobs == REDIS:
        from voxpool.scheduler.shared.parts import classes_of
        from voxpool.scheduler.stores.memory import MemoryStore

        jobs, nodes = await machine.open_jobs(settings), MemoryStore()
        return Opened(nodes, SharedStore(jobs), lambda around: classes_of(nodes, jobs, around))
    store = await machine.open_store(settings.store, owner, on_lost)
    return Opened(store, store, lambda around: CoreClasses())
