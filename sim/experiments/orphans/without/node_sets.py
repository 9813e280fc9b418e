"""M4 and M5: nodes in sets from which only an explicit goodbye removes them.

The node's key has a time to live; the set of all node ids, the pool sets and the node-to-pool hash have none. When a
node goes silent its key expires, and its entries in the others stay for ever, because these have no owner.
"""

from __future__ import annotations

from voxpool.sim.experiments.keyspace import Keyspace

LEASE_S = 45.0
ALL_NODES = "nodes:all"


class NodeSets:
    """The old registration of nodes."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keys = keyspace

    def register(self, node_id: str, pairs: list[str]) -> None:
        """Write the node's key, and add it to the set of all nodes and the pool of each pair."""
        self._keys.hset(f"node:{node_id}", slots="1")
        self._keys.expire(f"node:{node_id}", LEASE_S)
        self._keys.sadd(ALL_NODES, node_id)
        for pair in pairs:
            self._keys.sadd(f"pool:{pair}:nodes", node_id)
            self._keys.hset("node:pools", **{node_id: ",".join(pairs)})

    def heartbeat(self, node_id: str) -> None:
        """Renew the key of the node."""
        self._keys.expire(f"node:{node_id}", LEASE_S)

    def offline(self, node_id: str) -> None:
        """Remove a node that sent goodbye. It is never called for a silent one."""
        for pair in self._keys.hgetall("node:pools").get(node_id, "").split(","):
            self._keys.srem(f"pool:{pair}:nodes", node_id)
        self._keys.hdel("node:pools", node_id)
        self._keys.srem(ALL_NODES, node_id)
        self._keys.delete(f"node:{node_id}")

    def choose(self, pair: str) -> str | None:
        """Return the first living member of the pool; dead ones before it are removed from this pool (and no other)."""
        for node_id in self._keys.smembers(f"pool:{pair}:nodes"):
            if self._keys.exists(f"node:{node_id}"):
                return node_id
            self._keys.srem(f"pool:{pair}:nodes", node_id)
        return None

    # ---- counts of the experiment

    def ids(self) -> int:
        """Return the members of the set of all nodes."""
        return self._keys.scard(ALL_NODES)

    def ghosts(self) -> int:
        """Return the members of pools whose node is gone."""
        return sum(
            not self._keys.exists(f"node:{node_id}")
            for key in self._keys.scan("pool:*:nodes")
            for node_id in self._keys.smembers(key)
        )

    def without_owner(self) -> int:
        """Return the fields of the node-to-pool hash whose node is gone."""
        return sum(not self._keys.exists(f"node:{node_id}") for node_id in self._keys.hgetall("node:pools"))
