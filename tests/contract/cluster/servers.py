"""A Redis Cluster on free ports of this machine: three primaries and a replica of each, which know each other."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis, RedisError

from tests.servers import RedisServer, wait_for

SLOTS = 16_384
NODE_TIMEOUT_MS = 8_000
"""Above what a busy machine delays; a test that waits for an election lowers it."""
ELECTION_TIMEOUT_MS = 1_000


class ClusterNode:
    """A server of the cluster."""

    def __init__(self, folder: Path, number: int) -> None:
        self.id = f"{number:040x}"
        self.folder = folder / str(number)
        self.folder.mkdir()
        self.bus = quiet_port()
        own = ("--cluster-enabled", "yes", "--cluster-port", str(self.bus), "--repl-diskless-sync-delay", "0")
        timeouts = ("--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--cluster-replica-validity-factor", "0")
        # Else a primary that has given its replica away gets one back from one that has two.
        stays = ("--cluster-allow-replica-migration", "no")
        self.server = RedisServer(self.folder, *own, *timeouts, *stays)
        self.server.port = quiet_port()
        self.is_running = False
        self.client: Any = Redis(port=self.server.port, decode_responses=True, protocol=2, socket_timeout=20)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.server.port}"

    def start(self) -> None:
        """Start it, also again."""
        self.server.start()
        self.is_running = True

    def kill(self) -> None:
        """Kill it, as a crash does."""
        self.server.kill()
        self.client.close()
        self.is_running = False

    def ask(self, *command: object) -> Any:
        """Return its answer; redis-py formats some."""
        return self.client.execute_command(*command)

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO."""
        found: dict[str, Any] = self.client.info(section)
        return found


class Cluster:
    """Three primaries (nodes 0 to 2) and their replicas (3 to 5)."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [ClusterNode(folder, number) for number in range(1, 7)]
        self.is_changed = False
        """Whether nodes were killed, cut or promoted."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis+cluster://{','.join(node.address for node in self.nodes)}"

    def primary(self, slot: int) -> ClusterNode:
        """Return the node that serves `slot`."""
        for first, last, server, *_ in self._slots():
            if first <= slot <= last:
                return next(node for node in self.nodes if node.server.port == server[1])
        raise AssertionError(f"nobody serves {slot}")

    def replicas(self, primary: ClusterNode) -> list[ClusterNode]:
        """Return the running replicas of `primary`."""
        return [node for node in self._running() if self._primary_id(node) == primary.id]

    def fail_over(self, slot: int) -> ClusterNode:
        """Let a replica take the place of its primary in agreement, as before maintenance; return the new primary.

        Once for each primary: the others do not vote about it again for twice the time-out of a node.
        """
        self.is_changed = True
        old = self.primary(slot)
        new = self.replicas(old)[0]
        self._promote(new)
        wait_for(lambda: all(self._owner(node, slot) == new.id for node in self._running()))
        return new

    def take_over(self, replica: ClusterNode) -> None:
        """Promote `replica` without asking anybody: its primary is dead, and an election would take seconds."""
        replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
        wait_for(lambda: not self._primary_id(replica))

    def kill(self, node: ClusterNode) -> None:
        """Kill a node."""
        self.is_changed = True
        node.kill()

    def kill_and_elect(self, primary: ClusterNode) -> None:
        """Kill `primary` and wait until the others have elected one of its replicas."""
        slot = next(first for first, _, server, *_ in self._slots() if server[1] == primary.server.port)
        for node in self.nodes:
            node.client.config_set("cluster-node-timeout", ELECTION_TIMEOUT_MS)
        self.kill(primary)
        wait_for(lambda: self.primary(slot) is not primary)

    def give_replica(self, replica: ClusterNode, primary: ClusterNode) -> None:
        """Make `replica`, another primary's, a replica of `primary`."""
        self.is_changed = True
        replica.ask("CLUSTER", "REPLICATE", primary.id)
        wait_for(lambda: replica.info("replication").get("master_link_status") == "up")
        wait_for(lambda: len(self.replicas(primary)) == 2)

    def cut(self, replica: ClusterNode) -> None:
        """Cut the link of `replica` to its primary until `mend`: what is written from now on does not reach it."""
        self.is_changed = True
        replica.client.config_set("masterauth", "wrong")
        replica.ask("CLIENT", "KILL", "TYPE", "master")
        wait_for(lambda: replica.info("replication").get("master_link_status") == "down")

    def mend(self, replica: ClusterNode) -> None:
        """Undo `cut`."""
        replica.client.config_set("masterauth", "")

    def move(self, slot: int, to: ClusterNode) -> None:
        """Move a slot with its keys, as redis-cli does it."""
        source = self.primary(slot)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 50):
            source.ask("MIGRATE", "127.0.0.1", to.server.port, "", 0, 5000, "KEYS", *keys)
        self.give(slot, to)

    def give(self, slot: int, to: ClusterNode) -> None:
        """End the move of a slot."""
        running = self._running()
        for node in sorted(running, key=lambda node: node is not to):
            if not self._primary_id(node):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", to.id)
        wait_for(lambda: all(self._owner(node, slot) == to.id for node in running))

    def start(self) -> Cluster:
        """Start all nodes and wait until they serve. Raises AssertionError, and ends them, when they don't."""
        try:
            for node in self.nodes:
                (node.folder / "nodes.conf").write_text(self._view_of(node))
            for node in self.nodes:
                node.start()
            wait_for(self._is_whole)
        except BaseException:
            self.close()
            raise
        return self

    def clear(self) -> None:
        """Delete all data."""
        for node in self.primaries():
            node.ask("FLUSHALL")

    def close(self) -> None:
        """End all servers."""
        for node in self.nodes:
            node.kill()

    # ---- what the nodes say

    def _running(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.is_running]

    def primaries(self) -> list[ClusterNode]:
        """Return the running primaries."""
        return [node for node in self._running() if not self._primary_id(node)]

    def _promote(self, replica: ClusterNode) -> None:
        wait_for(lambda: replica.info("replication").get("master_link_status") == "up")
        replica.ask("CLUSTER", "FAILOVER")
        wait_for(lambda: not self._primary_id(replica))

    def _slots(self) -> list[list[Any]]:
        """Return CLUSTER SLOTS of the node that is ahead of the others."""
        node = max(self._running(), key=lambda node: int(_facts(node)["cluster_current_epoch"]))
        return _slots_by(node)

    def _owner(self, node: ClusterNode, slot: int) -> str:
        for first, last, server, *_ in _slots_by(node):
            if first <= slot <= last:
                return str(server[2])
        return ""

    def _primary_id(self, node: ClusterNode) -> str:
        """Return the id of the primary of `node`; "" when it is one."""
        for line in _text(node, "CLUSTER NODES").splitlines():
            fields = line.split()
            if fields[0] == node.id:
                return "" if fields[3] == "-" else fields[3]
        raise AssertionError("a node knows itself")

    def _agrees(self) -> bool:
        return all(_facts(node)["cluster_state"] == "ok" for node in self.nodes)

    def _is_whole(self) -> bool:
        with contextlib.suppress(RedisError):
            return self._agrees() and all(_is_online(node.info("replication")) for node in self.primaries())
        return False

    def _view_of(self, own: ClusterNode) -> str:
        """Return the file in which a node remembers the cluster."""
        lines = []
        for number, node in enumerate(self.nodes):
            place = f"{node.id} {node.address}@{node.bus}"
            flags = "myself," if node is own else ""
            if number < 3:
                first, last = _slots_of(number)
                lines.append(f"{place} {flags}master - 0 0 {number + 1} connected {first}-{last}")
            else:
                lines.append(f"{place} {flags}slave {self.nodes[number - 3].id} 0 0 {number - 2} connected")
        return "\n".join([*lines, "vars currentEpoch 6 lastVoteEpoch 0", ""])


def quiet_port() -> int:
    """Return a free port below those that the kernel gives to connections: a killed server must get it again."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _slots_of(number: int) -> tuple[int, int]:
    return number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1


def _slots_by(node: ClusterNode) -> list[list[Any]]:
    connection = node.client.connection_pool.get_connection()
    try:
        connection.send_command("CLUSTER SLOTS")
        rows: list[list[Any]] = connection.read_response()
        return rows
    finally:
        node.client.connection_pool.release(connection)


def _text(node: ClusterNode, command: str) -> str:
    connection = node.client.connection_pool.get_connection()
    try:
        connection.send_command(command)
        return str(connection.read_response())
    finally:
        node.client.connection_pool.release(connection)


def _facts(node: ClusterNode) -> dict[str, str]:
    return dict(line.split(":", 1) for line in _text(node, "CLUSTER INFO").splitlines() if ":" in line)


def _is_online(link: dict[str, Any]) -> bool:
    return any(
        key.startswith("slave") and isinstance(one, dict) and one["state"] == "online" for key, one in link.items()
    )


@contextlib.contextmanager
def cluster_of(folder: Path) -> Iterator[Cluster]:
    """Run a cluster until the end of the block."""
    cluster = Cluster(folder).start()
    try:
        yield cluster
    finally:
        cluster.close()
