"""`voxpool doctor` without a running scheduler: each problem is made for real, and exactly that problem is found."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.command_line import one_line, stranger, voxpool, voxpool_here
from tests.e2e.processes import Scheduler
from tests.e2e.tampering import of_version, tampered, with_clock
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.service.open_files import wanted
from voxpool.scheduler.stores.facts import OWNER_KEY

SMALL = ("--connections-max", "100")
"""A number of open files that any machine allows."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """A client of that server; settings that it changes are restored."""
    with redis.Redis(port=server.port, decode_responses=True) as connected:
        yield connected
        connected.replicaof("NO", "ONE")
        connected.config_set("maxmemory-policy", "noeviction")
        connected.flushall()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def found(*arguments: str | Path, code: int = 1) -> list[dict[str, Any]]:
    """Return the findings of the doctor."""
    done = voxpool_here("doctor", "--json", *SMALL, *arguments)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (code, ""), (done.stdout, done.stderr)
    assert all(list(one) == ["trouble", "where", "what", "to_do"] and all(one.values()) for one in findings)
    return findings


def the_one(trouble: str, *arguments: str | Path) -> dict[str, Any]:
    """Return the single finding, which must be of that kind."""
    findings = found(*arguments)
    assert [one["trouble"] for one in findings] == [trouble], findings
    return findings[0]


def test_a_machine_without_problems(free_port: int, server: RedisServer, folder: Path) -> None:
    """With each kind of store; a missing state folder is not created by the check."""
    port = ("--port", str(free_port))
    assert found(*port, code=0) == []
    assert found(*port, "--state-dir", folder, code=0) == []
    assert found(*port, "--state-dir", folder / "new" / "state", code=0) == [] and not (folder / "new").exists()
    assert found(*port, "--store", "memory", code=0) == []
    assert found(*port, "--store", server.url, code=0) == []
    assert found("--port", "0", "--store", "memory", code=0) == []


def test_the_printed_findings(free_port: int) -> None:
    """Run as a process: it prints findings, then the checked areas."""
    options = ("--port", str(free_port), "--store", "memory", *SMALL)
    well = voxpool("doctor", *options)
    assert (well.returncode, well.stderr) == (0, "")
    assert well.stdout.splitlines() == [
        f"nothing wrong; looked at the address 127.0.0.1:{free_port}, the settings, the store memory",
        f"not looked at: a running scheduler: there is none at http://127.0.0.1:{free_port}",
    ]
    ill = voxpool("doctor", *options, VOXPOOL_CLEANUP_INTERVAL_S="0")
    assert ill.returncode == 1
    assert ill.stdout.splitlines()[0] == "cleanup_off: settings"
    assert ill.stdout.splitlines()[2].startswith("  -> set cleanup_interval_s to 60")
    assert "port = 70000 must be" in one_line(voxpool_here("doctor", "--port", "70000"), 3)
    assert "write redis://HOST:PORT/DB" in one_line(voxpool_here("doctor", "--store", "mongodb://x", *SMALL), 3)


def test_a_port_in_use() -> None:
    with stranger(b"220 mail\r\n") as port:
        one = the_one("port_taken", "--port", str(port), "--store", "memory")
    assert one["where"] == f"127.0.0.1:{port}" and f"process {os.getpid()} (" in one["what"]
    with socket.socket() as silent:  # bound, but not listening: found by trying
        silent.bind(("127.0.0.1", 0))
        the_one("port_taken", "--port", str(silent.getsockname()[1]), "--store", "memory")


def test_an_address_of_another_machine() -> None:
    found_there = found("--host", "192.0.2.1", "--store", "memory")
    assert [one["trouble"] for one in found_there] == ["address", "tokens_unset"]
    assert "Cannot assign requested address" in found_there[0]["what"]


def test_a_store_that_does_not_answer(free_port: int) -> None:
    one = the_one("store_unreachable", "--port", "0", "--store", f"redis://:secret@127.0.0.1:{free_port}/0")
    assert one["where"] == f"redis://***@127.0.0.1:{free_port}/0" and "secret" not in str(one)
    with stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        the_one("store_unreachable", "--port", "0", "--store", f"redis://127.0.0.1:{port}/0")


def test_a_store_that_evicts_keys(server: RedisServer, client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    one = the_one("store_eviction", "--port", "0", "--store", server.url)
    assert (one["where"], one["what"].split(":")[0]) == (server.url, "maxmemory-policy = allkeys-lru")


def test_a_store_that_is_a_replica(server: RedisServer, client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", "1")
    the_one("store_replica", "--port", "0", "--store", server.url)


def test_a_store_that_is_too_old(server: RedisServer) -> None:
    with tampered(server.port, of_version(b"6.2.1")) as url:
        assert "Redis 6.2.1" in the_one("store_version", "--port", "0", "--store", url)["what"]
    with tampered(server.port, of_version(b"7.0.1")) as url:
        assert found("--port", "0", "--store", url, code=0) == []


def test_a_store_whose_clock_is_wrong(server: RedisServer) -> None:
    for ahead_s, words in ((90, " s ahead of the scheduler's"), (-90, " s behind the scheduler's")):
        with tampered(server.port, with_clock(ahead_s)) as url:
            assert words in the_one("clock_skew", "--port", "0", "--store", url)["what"]
    with tampered(server.port, with_clock(1)) as url:
        assert found("--port", "0", "--store", url, code=0) == []


def test_a_store_in_use_by_another_scheduler(server: RedisServer, client: redis.Redis, folder: Path) -> None:
    """Only a running scheduler counts; the doctor accepts the scheduler that it was asked about."""
    other = Scheduler(folder, server.url, *SMALL)
    one = the_one("second_scheduler", "--port", "0", "--store", server.url)
    assert f"process {other.pid}, {other.url}" in one["what"]
    assert found("--url", other.url, "--store", server.url, code=0) == []
    assert other.stop() == 0
    client.set(OWNER_KEY, "a dead one", px=700)
    assert found("--port", "0", "--store", server.url, code=0) == []


def test_tokens_that_are_unset_on_a_public_address() -> None:
    for host in ("0.0.0.0", "::"):
        one = the_one("tokens_unset", "--port", "0", "--host", host, "--store", "memory")
        assert f"listens on {host} without tokens" in one["what"]
    assert found("--port", "0", "--host", "localhost", "--store", "memory", code=0) == []


def test_an_unreadable_token_file() -> None:
    one = the_one("secret_file", "--port", "0", "--store", "memory", "--access-file", "/no/such/file")
    assert "/no/such/file" in one["what"]


def test_a_disabled_clean_up() -> None:
    the_one("cleanup_off", "--port", "0", "--store", "memory", "--cleanup-interval-s", "0")


def test_too_few_open_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    one = the_one("open_files", "--port", "0", "--store", "memory", "--connections-max", str(hard))
    assert f"{hard} open files are allowed" in one["what"] and f"ulimit -n {wanted(hard)}" in one["to_do"]


def test_an_embedded_store_that_can_not_be_started(folder: Path) -> None:
    """The folder is a file, its data are broken, or another scheduler uses it."""
    (folder / "file").touch()
    one = the_one("store_start", "--port", "0", "--state-dir", folder / "file" / "state")
    assert f"{folder / 'file'} is no folder that can be written" in one["what"]
    broken = folder / "broken" / "appendonlydir"
    broken.mkdir(parents=True)
    (broken / "appendonly.aof.manifest").write_text("this is no manifest\n")
    assert "did not start: exit code" in the_one("store_start", "--port", "0", "--state-dir", broken.parent)["what"]
    other = Scheduler(folder, "embedded", *SMALL, "--state-dir", str(folder / "state"))
    one = the_one("store_start", "--port", "0", "--state-dir", folder / "state")
    assert "is in use by another scheduler" in one["what"] and str(folder / "state") in one["where"]
    assert other.stop() == 0
