"""C1: a node is drawn from the pool at random, up to 64 times, until it is alive.

Dead nodes stay in the pool. The more there are, the more likely all 64 tries draw dead nodes: the answer is then "no
node" although a connected node has room.
"""

from __future__ import annotations

import random

from voxpool.sim.experiments.keyspace import Keyspace

TRIES = 64


class RandomTries:
    """One pool with the old random choice. `chance` is the random generator."""

    def __init__(self, keyspace: Keyspace, chance: random.Random) -> None:
        self._keys = keyspace
        self._chance = chance

    def register(self, node_id: str, pair: str, lease_s: float) -> None:
        """Write the node's key with an expiry of `lease_s`, and add it to the pool, where it stays."""
        self._keys.hset(f"node:{node_id}", slots="1")
        self._keys.expire(f"node:{node_id}", lease_s)
        self._keys.sadd(f"pool:{pair}:nodes", node_id)

    def choose(self, pair: str) -> str | None:
        """Return a living node, or None when all tries drew dead ones."""
        members = self._keys.smembers(f"pool:{pair}:nodes")
        for _ in range(TRIES):
            node_id = self._chance.choice(members)
            if self._keys.exists(f"node:{node_id}"):
                return node_id
        return None
