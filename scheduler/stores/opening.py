"""Opens the store that the setting `store` names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voxpool.scheduler.config import SUBMIT
from voxpool.scheduler.errors import ConfigError, VoxpoolError
from voxpool.scheduler.stores.shown import without_password

if TYPE_CHECKING:
    from voxpool.scheduler.stores.cluster.job_stores import JobStores
    from voxpool.scheduler.stores.embedded import EmbeddedStore
    from voxpool.scheduler.stores.memory import MemoryStore
    from voxpool.scheduler.stores.redis import RedisStore


SEVERAL = ("redis+", "rediss+")
"""How addresses of more than one server begin (cluster/addresses.py)."""


def _cluster(shown: str) -> str:
    return (
        f"store = {shown!r} is a node of a Redis Cluster, which has a part of the keys only: with jobs = redis write "
        "redis+cluster://HOST:PORT, with jobs = memory use a server that is not in a cluster"
    )


def _ignore(_reason: str) -> None:
    """Ignore it."""


async def open_store(
    spec: str, state_dir: Path | None = None, owner: str = "", on_lost: Callable[[str], None] = _ignore
) -> MemoryStore | RedisStore | EmbeddedStore:
    """Return the store that `spec` names, ready to run scripts: embedded, memory or redis://….

    `state_dir` keeps the data of the embedded one over restarts. With an `owner` (a text for people) a redis://
    store is claimed for one scheduler, and `on_lost` is called when another one has taken it over; the other stores
    belong to this process anyway. Raises ConfigError or StoreUnavailable.
    """
    if spec == "memory":
        from voxpool.scheduler.stores.memory import MemoryStore

        return MemoryStore()
    if spec == "embedded":
        from voxpool.scheduler.stores.embedded import EmbeddedStore

        embedded = EmbeddedStore(state_dir)
        await embedded.start()
        return embedded
    if spec.startswith(("redis://", "rediss://", "unix://")):
        from voxpool.scheduler.stores.redis import RedisStore

        store = RedisStore(spec)
        try:
            await store.ping()
            if owner:
                if (await store.facts(lambda: 0)).is_cluster:
                    raise ConfigError(_cluster(store.url))
                await store.claim(owner, on_lost)
        except VoxpoolError:
            await store.close()
            raise
        return store
    if spec.startswith(SEVERAL):
        raise ConfigError(f"store = {without_password(spec)!r} needs jobs = redis; jobs = memory: redis://HOST:PORT/DB")
    raise ConfigError(f"store = {without_password(spec)!r} is none of embedded, memory, redis://HOST:PORT/DB")


async def open_jobs(url: str, partitions: int, acks: int, order: str = SUBMIT) -> JobStores:
    """Return the stores of the jobs that several schedulers share at `url`; they are the same as for all of them.

    Raises ConfigError, also when the data there are in another number of partitions, or StoreUnavailable.
    """
    from voxpool.scheduler.stores.cluster.job_stores import JobStores

    stores = JobStores(url, partitions, acks, order=order)
    try:
        await stores.ping()
        if not stores.is_cluster and (await stores.facts(lambda: 0)).is_cluster:
            raise ConfigError(_cluster(stores.url))
        await stores.agree()
    except VoxpoolError:
        await stores.close()
        raise
    return stores
