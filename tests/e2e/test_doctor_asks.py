"""`voxpool doctor` with a running scheduler: the doctor queries it and reports its problems."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.command_line import stranger, voxpool, voxpool_here
from tests.e2e.processes import TONE, Process, Scheduler, connected, until, wait_until
from tests.e2e.tampering import of_version, tampered, with_clock
from tests.e2e.test_processes import started
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.doctor import there
from voxpool.scheduler.sdk.http import HttpClient
from voxpool.scheduler.security.caller import Role
from voxpool.scheduler.security.tokens import append_token, new_token
from voxpool.scheduler.service.open_files import wanted
from voxpool.scheduler.stores.facts import OWNER_KEY

SMALL = ("--connections-max", "100", "--waiting-timeout-s", "60")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture(scope="module")
def on_redis(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler on that server."""
    running = Scheduler(tmp_path_factory.mktemp("on-redis"), server.url, *SMALL)
    yield running
    assert running.stop() == 0


def found(running: Scheduler | str, *arguments: str | Path, code: int = 1) -> list[dict[str, Any]]:
    """Return the findings of the doctor."""
    url = running if isinstance(running, str) else running.url
    done = voxpool_here("doctor", "--json", "--url", url, *arguments)
    assert (done.returncode, done.stderr) == (code, ""), (done.stdout, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def the_one(trouble: str, running: Scheduler | str, *arguments: str | Path) -> dict[str, Any]:
    """Return the single finding, which must be of that kind."""
    findings = found(running, *arguments)
    assert [one["trouble"] for one in findings] == [trouble], findings
    return findings[0]


def test_a_scheduler_without_problems(on_redis: Scheduler, server: RedisServer, folder: Path) -> None:
    """Also without --url, when the settings give it; a node that serves all waiting pairs is no problem."""
    words = ("--url", on_redis.url, "--id", "n", "--pairs", "en:en", "--engine", "sleep:60")
    with started(Process(folder, "node", "node", *words)):
        wait_until(lambda: on_redis.node_ids() == ["n"])
        with HttpClient(on_redis.url) as client:
            ids = [client.submit(TONE, "en:en").job_id for _ in range(3)]
            assert found(on_redis, code=0) == []
            for job_id in ids:
                client.cancel(job_id)
        done = voxpool("doctor", "--port", str(on_redis.port), "--store", server.url, *SMALL)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.splitlines() == [
            f"nothing wrong; looked at the scheduler at {on_redis.url}, pools and nodes, its settings and its store, "
            f"the store {server.url}"
        ]
    wait_until(lambda: on_redis.node_ids() == [])


def test_jobs_without_a_usable_node(on_redis: Scheduler, folder: Path) -> None:
    """There is no node for the pair; then one that takes no jobs; then one that does."""
    with HttpClient(on_redis.url) as client:
        job_id = client.submit(TONE, "zh:en").job_id
        one = the_one("no_node", on_redis)
        assert one["where"] == f"{on_redis.url}, pair zh:en" and "1 job waits and no node serves" in one["what"]
        assert "--pairs zh:en" in one["to_do"]
        node = Process(folder, "node", "node", "--url", on_redis.url, "--id", "n", "--pairs", "zh:en")
        assert client.job(job_id, wait_s=30).state == "completed"
        client.drain("n")
        waiting = client.submit(TONE, "zh:en").job_id
        assert "no node of the pair takes jobs now (1 draining)" in the_one("no_node", on_redis)["what"]
        client.drain("n", on=False)
        assert client.job(waiting, wait_s=30).state == "completed"
    assert found(on_redis, code=0) == []
    assert node.stop() == 0


async def test_a_node_whose_clock_is_wrong(on_redis: Scheduler) -> None:
    """The clock in its register is an hour slow, in JSON as a node in another language may send it."""
    register = {"type": "register", "node_id": "late", "process_id": "p", "pairs": ["a:b"], "slots": 1, "running": []}
    async with connected(on_redis.node_url) as node:
        await node.send(json.dumps({**register, "now_ms": SystemClock().now_ms() - 3_600_000}))
        await until(lambda: on_redis.node_ids() == ["late"])
        one = await asyncio.to_thread(the_one, "clock_skew", on_redis)
        assert one["where"] == f"{on_redis.url}, node late"
        assert re.match(r"the clock of the node is 36\d\d\.", one["what"]) and " s behind " in one["what"]
    await until(lambda: on_redis.node_ids() == [])


def test_a_store_that_changes_at_run_time(on_redis: Scheduler, server: RedisServer) -> None:
    """It evicts keys; then it is down, then back."""
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory-policy", "volatile-ttl")
        assert the_one("store_eviction", on_redis)["where"] == server.url
        client.config_set("maxmemory-policy", "noeviction")
    server.kill()
    wait_until(lambda: on_redis.events("store_failed"))  # a waiting job would be a problem, too
    one = the_one("store_unreachable", on_redis)
    assert one["where"] == f"the store of {on_redis.url}" and "127.0.0.1" in one["what"]
    server.start()
    wait_until(lambda: on_redis.events("store_recovered"))
    assert found(on_redis, code=0) == []


def test_a_flushed_store_is_not_taken_for_another_schedulers(on_redis: Scheduler, server: RedisServer) -> None:
    """Until the claim is renewed the store has no owner; the scheduler still knows its own name."""
    with redis.Redis(port=server.port) as client:
        client.delete(OWNER_KEY)
    reported = on_redis.get("/v1/debug/checkup")["store"]
    assert f"process {on_redis.pid}, " in reported["asked_by"] and reported["owner"] in ("", reported["asked_by"])


def test_an_old_store_whose_clock_is_wrong(server: RedisServer, folder: Path) -> None:
    """It uses another database, since the first one has its scheduler."""

    def both(message: bytes) -> bytes:
        return of_version(b"6.2.1")(with_clock(-90)(message))

    with tampered(server.port, both) as url:
        running = Scheduler(folder, url.removesuffix("/0") + "/7", *SMALL)
        assert [one["trouble"] for one in found(running)] == ["store_version", "clock_skew"]
        assert running.stop() == 0


def test_unwise_settings(folder: Path) -> None:
    """A public address without tokens, no clean-up, and fewer open files than connections."""
    command = [
        sys.executable,
        "-m",
        "voxpool.scheduler",
        "serve",
        "--port",
        "0",
        "--store",
        "memory",
        "--host",
        "0.0.0.0",
    ]
    limited = ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", *command, "--cleanup-interval-s", "0"]
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(limited, stderr=file)
    try:
        wait_until(lambda: "scheduler_started" in log.read_text())
        port = next(json.loads(line)["url"] for line in log.read_text().splitlines() if "scheduler_started" in line)
        findings = found(f"http://127.0.0.1:{port.rsplit(':', 1)[1]}")
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert [one["trouble"] for one in findings] == ["cleanup_off", "tokens_unset", "open_files"]
    assert f"300 open files are allowed; 900 connections need {wanted(900)}" in findings[2]["what"]


def test_without_a_token_the_findings_are_limited(folder: Path) -> None:
    """What only an admin may see is left out, and the output says so; an invalid token is a finding."""
    tokens, secrets = folder / "tokens.toml", {}
    for role in Role:
        secrets[role], caller = new_token(f"a-{role}", role)
        append_token(tokens, caller)
    running = Scheduler(folder, "memory", *SMALL, "--access-file", str(tokens), "--cleanup-interval-s", "0")
    assert found(running, code=0) == []
    assert found(running, "--token", secrets[Role.CLIENT], code=0) == []
    message = voxpool_here("doctor", "--url", running.url).stdout.splitlines()
    assert message == [
        f"nothing wrong; looked at the scheduler at {running.url}",
        "not looked at: pools and nodes: needs the token of an admin (--token or VOXPOOL_TOKEN)",
        "not looked at: its settings and its store: needs the token of an admin (--token or VOXPOOL_TOKEN)",
    ]
    the_one("token", running, "--token", "vxp_wrong")
    the_one("cleanup_off", running, "--token", secrets[Role.ADMIN])
    assert running.stop() == 0


def test_no_scheduler_at_the_url(on_redis: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing, another service, or a scheduler of another version."""
    one = the_one("scheduler_down", "http://no-such-host.invalid:5010")
    assert "there is no such host" in one["what"]
    with stranger(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}") as port:
        one = the_one("not_a_scheduler", f"http://127.0.0.1:{port}")
    assert "does not answer as a scheduler" in one["what"]
    monkeypatch.setattr(there, "__version__", "9.9.9")
    assert "this is 9.9.9" in the_one("version", on_redis)["what"]
