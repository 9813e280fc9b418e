"""Where scripts run: in this process, on a server that comes with us, or on a Redis of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.errors import ConfigError

if TYPE_CHECKING:
    from scheduler.stores.embedded import EmbeddedStore
    from scheduler.stores.memory import MemoryStore
    from scheduler.stores.redis import RedisStore


async def open_store(spec: str, state_dir: Path | None = None) -> MemoryStore | RedisStore | EmbeddedStore:
    """Return the store that `spec` names, ready to run scripts: embedded, memory or redis://….

    `state_dir` keeps the data of the embedded one over restarts. Raises ConfigError or StoreUnavailable.
    """
    if spec == "memory":
        from scheduler.stores.memory import MemoryStore

        return MemoryStore()
    if spec == "embedded":
        from scheduler.stores.embedded import EmbeddedStore

        embedded = EmbeddedStore(state_dir)
        await embedded.start()
        return embedded
    if spec.startswith(("redis://", "rediss://", "unix://")):
        from scheduler.stores.redis import RedisStore

        store = RedisStore(spec)
        await store.ping()
        return store
    raise ConfigError(f"store = {spec!r} is none of embedded, memory, redis://HOST:PORT/DB")
