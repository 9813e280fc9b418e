"""A partition on a Redis Cluster of virtual time: a script may touch only the keys that its server has.

A call goes to the server of the KEYS that it declares. One without KEYS can be sent anywhere, and goes to a server that
is drawn.
"""

from __future__ import annotations

import binascii
import random
from collections.abc import Mapping

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import ScriptFailed, StoreUnavailable
from voxpool.scheduler.stores.cluster.locating import SLOTS
from voxpool.scheduler.stores.script_sources import JOBS, ScriptSource, load_sources
from voxpool.sim.experiments.schedulers.without.scripts import builds_its_names
from voxpool.sim.instances.store import PartitionStore

PRIMARIES = 3
_GUARD = """
local real, OWNERS = redis, {%s}
local redis = {call = function(command, key, ...)
  local is_local = OWNERS[key] == %d or command == 'SPUBLISH'
  return real.call(is_local and command or 'ERR Script attempted to access a non local key in a cluster node', key, ...)
end}
"""


class ClusteredStore(PartitionStore):
    """A partition whose scripts are `sources`. Without `has_keys` they declare none."""

    def __init__(self, partition: int, sources: Mapping[str, ScriptSource], has_keys: bool, chance: random.Random):
        keys = JOBS.keys(partition)
        owners = {key: server_of(key) for key in (*keys, *(key.replace("{", "").replace("}", "") for key in keys))}
        super().__init__(
            partition,
            {
                f"{name}@{server}": ScriptSource(guard_of(owners, server) + source.prelude, source.body)
                for name, source in sources.items()
                for server in range(PRIMARIES)
            },
        )
        self.calls = self.failed = 0
        self._scripts = set(sources)
        self._servers = {owners[key] for key in keys}
        self._has_keys = has_keys
        self._chance = chance

    def run(self, call: ScriptCall) -> list[str]:
        """Carry out one call. Raises StoreUnavailable when its server refuses it."""
        if call.name not in self._scripts:
            return super().run(call)  # a command of single keys: clients of a cluster know their servers
        self.calls += 1
        server = next(iter(self._servers)) if self._has_keys else self._chance.randrange(PRIMARIES)
        try:
            if self._has_keys and len(self._servers) > 1:
                raise ScriptFailed("CROSSSLOT Keys in request don't hash to the same slot")
            return super().run(call._replace(name=f"{call.name}@{server}"))
        except ScriptFailed as error:
            self.failed += 1
            raise StoreUnavailable(str(error)) from None


def with_keys(partition: int, chance: random.Random) -> ClusteredStore:
    """Return a partition with production's scripts."""
    return ClusteredStore(partition, load_sources(JOBS.folder), True, chance)


def without_keys(partition: int, chance: random.Random) -> ClusteredStore:
    """Return a partition with scripts that build their names."""
    return ClusteredStore(partition, builds_its_names(partition), False, chance)


def guard_of(owners: Mapping[str, int], server: int) -> str:
    """Return Lua text that comes before a script at `server`."""
    return _GUARD % (", ".join(f"['{key}'] = {owner}" for key, owner in owners.items()), server)


def server_of(key: str) -> int:
    """Return the primary that has `key`: the slots are spread evenly."""
    tag = key[key.find("{") + 1 : key.find("}")] if "{" in key else key
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS * PRIMARIES // SLOTS
