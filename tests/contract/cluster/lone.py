"""A Redis Cluster of one node, which has all slots: a server in cluster mode, started in two seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from tests.contract.cluster.servers import quiet_port
from tests.servers import RedisServer, wait_for


@contextmanager
def lone_nodes(folder: Path, binaries: tuple[str, ...] = ("",), *options: str) -> Iterator[list[RedisServer]]:
    """Run a cluster of one node of each of `binaries` ("" = redis-server) until the end of the block."""
    servers: list[RedisServer] = []
    try:
        for number, binary in enumerate(binaries):
            (folder / str(number)).mkdir()
            bus = ("--cluster-enabled", "yes", "--cluster-port", str(quiet_port()))
            servers.append(RedisServer(folder / str(number), *bus, *options, binary=binary))
            servers[-1].start()
            with Redis(port=servers[-1].port) as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        for server in servers:
            wait_for(lambda port=server.port: _is_up(port))  # type: ignore[misc]
        yield servers
    finally:
        for server in servers:
            server.kill()


def _is_up(port: int) -> bool:
    with Redis(port=port, decode_responses=True) as client:
        facts: dict[str, Any] = client.cluster("INFO")
        return bool(facts["cluster_state"] == "ok")
