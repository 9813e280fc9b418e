"""C2 and C3: a pool in shards of 100 nodes, scanned from 0 on; a shard is drawn, and then a member of it.

The scan ends at the first empty shard after one with members: when all nodes of a middle shard have left, those behind
it are never chosen. A shard with one member is drawn as often as one with a hundred.
"""

from __future__ import annotations

import random

from voxpool.sim.experiments.keyspace import Keyspace

SHARD_MAX = 100
SHARDS_MAX = 1000


class ShardedPools:
    """Sharded pools with the old random choice. `chance` is the random generator."""

    def __init__(self, keyspace: Keyspace, chance: random.Random) -> None:
        self._keys = keyspace
        self._chance = chance

    def register(self, node_id: str, pair: str) -> None:
        """Add the node to the first shard of `pair` with room."""
        shard = next(n for n in range(SHARDS_MAX) if self._keys.scard(_key(pair, n)) < SHARD_MAX)
        self._keys.sadd(_key(pair, shard), node_id)

    def offline(self, node_id: str, pair: str) -> None:
        """Remove the node; later shards keep their numbers."""
        for shard in range(SHARDS_MAX):
            self._keys.srem(_key(pair, shard), node_id)

    def choose(self, pair: str) -> str | None:
        """Return a node of `pair`: a uniform draw of a scanned shard, then of a member of it."""
        shards = self._scan(pair)
        if not shards:
            return None
        return self._chance.choice(self._keys.smembers(_key(pair, self._chance.choice(shards))))

    def _scan(self, pair: str) -> list[int]:
        found: list[int] = []
        for shard in range(SHARDS_MAX):
            if self._keys.scard(_key(pair, shard)):
                found.append(shard)
            elif found:
                break
        return found


def _key(pair: str, shard: int) -> str:
    return f"pool:{pair}:{shard}"
