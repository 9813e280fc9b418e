"""Opens the store that the setting `store` names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voxpool.scheduler.errors import ConfigError, VoxpoolError
from voxpool.scheduler.stores.shown import without_password

if TYPE_CHECKING:
    from voxpool.scheduler.stores.embedded import EmbeddedStore
    from voxpool.scheduler.stores.memory import MemoryStore
    from voxpool.scheduler.stores.redis import RedisStore


def _ignore(_reason: str) -> None:
    """Take no notice."""


async def open_store(
    spec: str, state_dir: Path | None = None, owner: str = "", on_lost: Callable[[str], None] = _ignore
) -> MemoryStore | RedisStore | EmbeddedStore:
    """Return the store that `spec` names, ready to run scripts: embedded, memory or redis://….

    `state_dir` keeps the data of the embedded one over restarts. With an `owner` (who and where, for people to read)
    a redis:// store is claimed for one scheduler, and `on_lost` is called when another one has taken it over; the other
    stores are nobody else's anyway. Raises ConfigError or StoreUnavailable.
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
                await store.claim(owner, on_lost)
        except VoxpoolError:
            await store.close()
            raise
        return store
    raise ConfigError(f"store = {without_password(spec)!r} is none of embedded, memory, redis://HOST:PORT/DB")
