"""A Redis Cluster that a load run starts and may break: primaries with replicas, without persistence."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis

from voxpool.loadtest.processes._own_redis import OwnRedis, free_port
from voxpool.loadtest.running._preflight import CannotLoad

SLOTS = 16384
NODE_TIMEOUT_MS = 1500
START_S = 30.0
LOOK_S = 0.1
KEYS_AT_ONCE = 50
MOVE_MS = 5000
PORT_MAX = 45_000
"""The bus of a node is its port + 10000."""


class OwnCluster:
    """`primaries` primaries on the first of `ports`, and replicas of each in turn on the others. Raises CannotLoad.

    Others reach a node at its port in `announced`, such as that of a proxy; the nodes' own bus is not announced
    elsewhere.
    """

    def __init__(self, folder: Path, ports: Sequence[int], announced: Sequence[int], primaries: int) -> None:
        self.announced = announced
        self._count = primaries
        self.nodes: list[OwnRedis] = []
        try:
            for port, shown in zip(ports, announced, strict=True):
                self.nodes.append(OwnRedis(folder / f"redis-{port}.log", port, _arguments(port, shown)))
            self._join()
        except BaseException:
            self.stop()
            raise

    def client(self, node: OwnRedis) -> redis.Redis:
        """Return a client of one node, past the proxies."""
        return redis.Redis(host="127.0.0.1", port=node.port, decode_responses=True, socket_timeout=5)

    def is_primary(self, node: OwnRedis) -> bool:
        """Return whether `node` says that it is one."""
        return str(self._role(node)[0]) == "master"

    def primaries(self) -> list[OwnRedis]:
        """Return the nodes that say that they are primaries."""
        return [node for node in self.nodes if self.is_primary(node)]

    def replicas_of(self, primary: OwnRedis) -> list[OwnRedis]:
        """Return the replicas that are connected to `primary`."""
        shown = self.announced[self.nodes.index(primary)]
        return [node for node in self.nodes if _followed(self._role(node)) == shown]

    def is_whole(self) -> bool:
        """Return whether all nodes answer, each primary has a replica, and all replicas are connected."""
        roles = [self._role(node) for node in self.nodes]
        primaries = {shown for shown, role in zip(self.announced, roles, strict=True) if role[0] == "master"}
        followed = [shown for shown in map(_followed, roles) if shown]
        return len(primaries) == self._count and {*followed} == primaries and len(followed) + self._count == len(roles)

    def move_slot(self, slot: int, pick: Callable[[Sequence[OwnRedis]], OwnRedis]) -> bool:
        """Move a slot with its keys to another primary, which `pick` chooses. Returns whether there was one."""
        ids = {node: self._id(node) for node in self.primaries()}
        owner = next((node for node, id_ in ids.items() if self._has(node, id_, slot)), None)
        others = [node for node in ids if node is not owner]
        if owner is None or not others:
            return False
        target = pick(others)
        with self.client(owner) as here, self.client(target) as there:
            there.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner])
            here.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
            while keys := here.execute_command("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE):
                here.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, MOVE_MS, "KEYS", *keys)
        for node in [target, owner, *(other for other in others if other is not target)]:
            with self.client(node) as client:
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        return True

    def stop(self) -> None:
        """Stop all nodes, and remove their folders."""
        for node in self.nodes:
            node.stop()

    def _join(self) -> None:
        primaries = self._count
        first, *others = self.nodes
        ids = [self._id(node) for node in self.nodes]
        with self.client(first) as client:
            for other in others:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, other.port + 10_000)
        for number, node in enumerate(self.nodes[:primaries]):
            with self.client(node) as client:
                low, high = SLOTS * number // primaries, SLOTS * (number + 1) // primaries - 1
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", low, high)
        _wait(lambda: all(self._knows(node) == len(self.nodes) for node in self.nodes), "its nodes do not meet")
        for number, node in enumerate(self.nodes[primaries:]):
            with self.client(node) as client:
                client.execute_command("CLUSTER", "REPLICATE", ids[number % primaries])
        _wait(lambda: self.is_whole() and all(self._is_ok(node) for node in self.nodes), "its replicas do not connect")

    def _role(self, node: OwnRedis) -> list[Any]:
        """Return what it answers to ROLE; [""] when it does not answer."""
        try:
            with self.client(node) as client:
                return list(client.execute_command("ROLE"))
        except redis.RedisError:
            return [""]

    def _id(self, node: OwnRedis) -> str:
        with self.client(node) as client:
            return str(client.execute_command("CLUSTER", "MYID"))

    def _has(self, node: OwnRedis, id_: str, slot: int) -> bool:
        """Return whether `node` says that it serves `slot`."""
        with self.client(node) as client:
            rows = client.execute_command("CLUSTER", "SLOTS")
        return any(first <= slot <= last and primary[2] == id_ for first, last, primary, *_ in rows)

    def _knows(self, node: OwnRedis) -> int:
        with self.client(node) as client:
            lines = str(client.execute_command("CLUSTER", "NODES", NEVER_DECODE=True).decode()).splitlines()
        return sum("connected" in line and "handshake" not in line for line in lines)

    def _is_ok(self, node: OwnRedis) -> bool:
        with self.client(node) as client:
            return "cluster_state:ok" in client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True).decode()


def _followed(role: list[Any]) -> int:
    """Return the port of the primary to which a node with this role is connected, or 0."""
    return int(role[2]) if role[0] == "slave" and role[3] == "connected" else 0


def cluster_ports(count: int) -> list[int]:
    """Return ports for the nodes of a cluster, whose buses are free, too."""
    ports: list[int] = []
    while len(ports) < count:
        port = free_port()
        if port <= PORT_MAX and port not in ports:
            ports.append(port)
    return ports


def _arguments(port: int, announced: int) -> list[str]:
    return [
        *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
        *("--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"),
        *("--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", str(announced)),
        *("--cluster-announce-bus-port", str(port + 10_000)),
    ]


def _wait(holds: Callable[[], bool], else_: str) -> None:
    end_s = time.monotonic() + START_S
    while not holds():
        if time.monotonic() > end_s:
            raise CannotLoad(f"the cluster does not start: {else_}")
        time.sleep(LOOK_S)
