"""The facts about a Redis or Valkey server that a scheduler depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

OWNER_KEY = "vp:{0}:owner"
"""The key of the claim (claim.py): its value names the scheduler that works on the store."""


class StoreFacts(msgspec.Struct):
    """A server that holds the data of a scheduler. `redis_version` is the one that a Valkey is compatible with."""

    url: str
    """Without a password."""
    product: str
    version: str
    redis_version: str
    eviction: str
    """maxmemory-policy: what it evicts when its memory is full."""
    role: str
    """master or slave, in the words of INFO."""
    clock_ahead_ms: int
    """Its clock less that of the caller, beyond what the time of the answer explains; 0 = they may agree."""
    owner: str
    """The scheduler that works on it, as it calls itself; "" = none, or one that needs no claim."""
    asked_by: str = ""
    """The name under which the caller has claimed it, also while an emptied store has no owner; "" = it has not."""
    is_cluster: bool = False
    """Whether it is a node of a Redis Cluster."""
    replicas: int = 0
    """Replicas that are connected to it."""
    others: list[StoreFacts] = []
    """The other primaries of the cluster that have jobs."""


async def ask_facts(client: Any, url: str, now_ms: Callable[[], int], asked_by: str = "") -> StoreFacts:
    """Ask the server that `client` (of redis-py) reaches. Raises what the client raises."""
    info: dict[str, Any] = await client.info()
    before_ms = now_ms()
    seconds, microseconds = await client.time()
    after_ms = now_ms()
    is_cluster = bool(info.get("cluster_enabled"))
    valkey = info.get("valkey_version")
    return StoreFacts(
        url=url,
        product="Valkey" if valkey else "Redis",
        version=str(valkey or info["redis_version"]),
        redis_version=str(info["redis_version"]),
        eviction=str(info["maxmemory_policy"]),
        role=str(info["role"]),
        clock_ahead_ms=ahead_ms(int(seconds) * 1000 + int(microseconds) // 1000, before_ms, after_ms),
        owner="" if is_cluster else str(await client.get(OWNER_KEY) or ""),
        asked_by=asked_by,
        is_cluster=is_cluster,
        replicas=int(info.get("connected_slaves", 0)),
    )


def ahead_ms(then_ms: int, before_ms: int, after_ms: int) -> int:
    """Return how far a clock that read `then_ms` is ahead (below 0: behind) of one that read the others around it."""
    if then_ms < before_ms:
        return then_ms - before_ms
    return max(0, then_ms - after_ms)
