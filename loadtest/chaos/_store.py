"""The store of a chaos run: one Redis or a cluster, with a proxy before each link, and what is left in it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from voxpool.loadtest.processes._line import Line
from voxpool.loadtest.processes._own_cluster import OwnCluster, cluster_ports
from voxpool.loadtest.processes._own_redis import OwnRedis

PRIMARIES = 3
OWNED = re.compile(
    r"vp:partitions|vp:\{\d+\}:owner|vp:jobs:\{\d+\}:(counts|data_version|order|partitions|schedulers|hungry)"
)
"""Keys that may be there while no node is connected and no job is kept, beside those with a time to live. Of hunger the
owner is a living scheduler.
"""


class Store:
    """The servers; `lines_of` are the proxies that a scheduler uses. Starts within `stack`."""

    def __init__(self, folder: Path, kind: str, schedulers: int, replicas: int) -> None:
        self.kind = kind
        self.servers: list[OwnRedis] = []
        self.cluster: OwnCluster | None = None
        self._folder = folder
        self._lines: list[Line] = []
        """One Redis: a line for each scheduler; a cluster: for each node, used by all."""
        self._schedulers = schedulers
        self._replicas = replicas

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Start the servers. Raises CannotLoad."""
        if self.kind == "cluster":
            ports = cluster_ports(PRIMARIES * (1 + self._replicas))
            self._lines = [await stack.enter_async_context(Line(port).open()) for port in ports]
            announced = [line.port for line in self._lines]
            self.cluster = await asyncio.to_thread(OwnCluster, self._folder, ports, announced, PRIMARIES)
            self.servers = self.cluster.nodes
        else:
            self.servers = [await asyncio.to_thread(OwnRedis, self._folder / "redis.log")]
            port = self.servers[0].port
            self._lines = [await stack.enter_async_context(Line(port).open()) for _ in range(self._schedulers)]
        stack.callback(self._stop)

    def url(self, scheduler: int) -> str:
        """Return the value of --store for a scheduler."""
        if self.kind == "cluster":
            hosts = ",".join(f"127.0.0.1:{line.port}" for line in self._lines)
            return f"redis+cluster://{hosts}"
        return f"redis://127.0.0.1:{self._lines[scheduler].port}/0"

    def lines_of(self, scheduler: int) -> list[Line]:
        """Return the proxies between a scheduler and the store; in a cluster all schedulers share them."""
        return self._lines if self.kind == "cluster" else [self._lines[scheduler]]

    def line_to(self, server: OwnRedis) -> list[Line]:
        """Return the proxies before one server."""
        return [self._lines[self.servers.index(server)]] if self.kind == "cluster" else self._lines

    def left(self) -> Counter[str]:
        """Return what is left without an owner, when no job and no node is: key without its partition -> members."""
        found: Counter[str] = Counter()
        for client in self._primaries():
            for key in client.scan_iter(count=500):
                found.update(_unowned(client, key))
        return found

    def expiring(self) -> int:
        """Return the number of keys that only their time to live removes."""
        return sum(sum(int(client.ttl(key)) > 0 for key in client.scan_iter(count=500)) for client in self._primaries())

    def members(self) -> int:
        """Return the number of schedulers that the store believes in, in the partition that has most."""
        most = 0
        for client in self._primaries():
            for key in client.scan_iter(match="vp:jobs:*:schedulers"):
                most = max(most, int(client.zcard(key)))
        return most

    def _primaries(self) -> Iterator[redis.Redis]:
        servers = self.servers if self.cluster is None else self.cluster.primaries()
        for server in servers:
            with redis.Redis(host="127.0.0.1", port=server.port, decode_responses=True, socket_timeout=5) as client:
                yield client

    def _stop(self) -> None:
        for server in self.servers:
            server.stop()


def _unowned(client: redis.Redis, key: str) -> dict[str, int]:
    plain = re.sub(r"\{\d+\}", "{p}", key)
    if key.endswith(":counts"):
        _, open_, bytes_, _ = str(client.hget(key, "all")).split("|")
        return {f"{plain} {name}": int(value) for name, value in (("open", open_), ("bytes", bytes_)) if int(value)}
    if key.endswith(":hungry"):
        names: Any = client.zrange(key.replace(":hungry", ":schedulers"), 0, -1)
        members: Any = client.zrange(key, 0, -1)
        of_nobody = [member for member in members if not {*names} & {*member.split("|")}]
        return {plain: len(of_nobody)} if of_nobody else {}
    if OWNED.fullmatch(key) or int(client.ttl(key)) > 0:
        return {}
    kind: Any = client.type(key)
    if kind == "zset":
        first: Any = client.zrange(key, 0, 0)
        return {f"{plain}, such as {first[0] if first else ''}": int(client.zcard(key))}
    sizes: dict[str, Any] = {"hash": client.hlen, "list": client.llen, "set": client.scard}
    return {plain: int(sizes[kind](key)) if kind in sizes else 1}
