"""A primary that a Sentinel knows: its address follows a fail-over, with and without a death."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisError

from tests.contract.cluster.servers import quiet_port
from tests.contract.cluster.traffic import traffic
from tests.servers import RedisServer, wait_for

CONFIG = """
port {own}
bind 127.0.0.1
requirepass guard
sentinel monitor main 127.0.0.1 {primary} 1
sentinel auth-pass main secret
sentinel down-after-milliseconds main 1500
sentinel failover-timeout main 1000
"""


class Watched:
    """A primary and its replica, whose password is `secret`, and a Sentinel, whose password is `guard`."""

    def __init__(self, folder: Path) -> None:
        self.servers = {server.port: server for server in (_server(folder / "one"), _server(folder / "two"))}
        primary, replica = self.servers
        with Redis(port=replica, password="secret") as client:
            client.replicaof("127.0.0.1", primary)
            wait_for(lambda: client.info("replication")["master_link_status"] == "up")
        file, self._port = folder / "sentinel.conf", quiet_port()
        file.write_text(CONFIG.format(own=self._port, primary=primary))
        binary = shutil.which("redis-server")
        assert binary is not None
        self._sentinel = subprocess.Popen([binary, file, "--sentinel"], stdout=subprocess.DEVNULL)
        self._client: Any = Redis(port=self._port, password="guard", decode_responses=True)
        wait_for(lambda: self._asks("SENTINEL", "REPLICAS", "main") not in (None, []))

    @property
    def url(self) -> str:
        """The address of the primary."""
        return f"redis+sentinel://:secret@127.0.0.1:{self._port}/main?sentinel_password=guard"

    @property
    def primary(self) -> RedisServer:
        """The server that the Sentinel names."""
        _, port = self._asks("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return self.servers[int(port)]

    def fail_over(self) -> None:
        """Let the Sentinel promote the replica; nobody dies."""
        old = self.primary
        wait_for(lambda: self._asks("SENTINEL", "FAILOVER", "main") is not None)
        wait_for(lambda: self.primary is not old)

    def kill(self) -> None:
        """Kill the primary, and wait until the Sentinel has noticed."""
        old = self.primary
        other = next(server for server in self.servers.values() if server is not old)
        with Redis(port=other.port, password="secret") as client:
            wait_for(lambda: client.info("replication").get("master_link_status") == "up")
        old.kill()
        wait_for(lambda: self.primary is not old)

    def close(self) -> None:
        """End all servers."""
        self._client.close()
        self._sentinel.kill()
        self._sentinel.wait()
        for server in self.servers.values():
            server.kill()

    def _asks(self, *command: str) -> Any:
        try:
            return self._client.execute_command(*command)
        except RedisError:
            return None


def _server(folder: Path) -> RedisServer:
    folder.mkdir()
    server = RedisServer(folder, "--repl-diskless-sync-delay", "0")
    server.port = quiet_port()
    server.start()
    with Redis(port=server.port) as client:
        client.config_set("masterauth", "secret")
        client.config_set("requirepass", "secret")
    return server


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    running = Watched(tmp_path)
    yield running
    running.close()


@pytest.mark.parametrize("action", ["fail_over", "kill"])
async def test_jobs_go_on_after_a_fail_over(watched: Watched, action: str) -> None:
    """Without a death the old primary takes writes for ten more seconds; nobody must use it by then."""
    async with traffic(watched.url) as (jobs, _):
        old = watched.primary
        await asyncio.to_thread(getattr(watched, action))
        await jobs.more(100)
        assert watched.primary is not old
        await jobs.check()
