"""The token file at run time: SIGHUP ends the connections of removed tokens and no others; and at the start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.certificates import make_certificate
from tests.e2e.processes import TONE, Process, connected, until, wait_until
from tests.e2e.secured import Keys, Secured, next_message
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_processes import started
from voxpool.scheduler.sdk import Client, TokenRefused, Worker

REMOVED = ("bob", "cpu", "boss")
TOKEN_REMOVED = 4001


@pytest.fixture
def keys(folder: Path) -> Keys:
    return Keys(folder)


@pytest.fixture
def secured(folder: Path, keys: Keys) -> Iterator[Secured]:
    with started(Secured(folder, keys)) as scheduler:
        yield scheduler
    assert keys.shown_in(scheduler.log.read_bytes()) == []


async def test_only_the_connections_of_a_removed_token_are_closed(secured: Secured, keys: Keys) -> None:
    """Sockets of clients and nodes close with 4001, a waiting request gets 401, the dashboard's stream ends."""
    async with (
        connected(secured.session_url, additional_headers=keys.header("ann")) as ann,
        connected(secured.session_url) as bob,
        connected(secured.node_url, additional_headers=keys.header("gpu")) as gpu,
        connected(secured.node_url, additional_headers=keys.header("cpu")) as cpu,
        connected(secured.session_url, additional_headers=keys.header("bob")) as silent,
        httpx.AsyncClient(base_url=secured.url, trust_env=False, timeout=30) as http,
    ):
        about = {"process_id": "p", "pairs": ["a:b"], "slots": 1, "running": []}
        for socket, greeting in (
            (ann, {"type": "hello"}),
            (bob, {"type": "hello", "token": keys.secrets["bob"]}),
            (gpu, {"type": "register", "node_id": "gpu", **about}),
            (cpu, {"type": "register", "node_id": "cpu", **about, "token": keys.secrets["cpu"]}),
        ):
            await socket.send(text(**greeting))
            assert (await next_message(socket))["type"] in ("welcome", "registered")
        query = {"pair": "nobody:serves", "wait_s": "60", "timeout_ms": "60000"}
        waiting = [
            asyncio.create_task(http.post("/v1/jobs", params=query, headers=keys.header(who), content=TONE))
            for who in ("ann", "bob")
        ]
        async with (
            http.stream("GET", "/v1/dashboard", headers=keys.header("boss")) as seen_by_boss,
            http.stream("GET", "/v1/dashboard", headers=keys.header("root")) as seen_by_root,
        ):
            await until(lambda: len(secured.events("job_submitted")) == 2)
            keys.write(caller for name, caller in keys.callers.items() if name not in REMOVED)
            assert await asyncio.to_thread(secured.hang_up) | {"ts": ""} == {
                "ts": "",
                "level": "info",
                "event": "tokens_loaded",
                "tokens": len(keys.callers) - len(REMOVED),
                "closed": 4,
            }
            for socket in (bob, cpu):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
                assert (socket.close_code, socket.close_reason) == (TOKEN_REMOVED, "token_removed")
            answer = await waiting[1]
            assert (answer.status_code, answer.json()["reason"]) == (401, "unauthorized")
            assert "event: past" in (await seen_by_boss.aread()).decode(), "it has ended"
            assert seen_by_root.status_code == 200
        await silent.send(text(type="hello"))
        assert (await next_message(silent))["reason"] == "unauthorized", "it was let in by its header, before"
        for who in REMOVED:
            assert (await http.get("/v1/jobs", headers=keys.header(who))).status_code == 401
        await ann.send(text(type="submit", request_id="r", pair="a:b", audio=TONE))
        assert (await next_message(ann))["type"] == "accepted"
        assign = await next_message(gpu)
        await gpu.send(text(type="result", job_id=assign["job_id"], attempt=assign["attempt"], output=1))
        assert (await next_message(ann))["output"] == 1
        waiting[0].cancel()


async def test_the_sdk_ends_only_when_its_own_token_is_removed(secured: Secured, keys: Keys) -> None:
    def node(name: str) -> Worker:
        return Worker(
            secured.url, node_id=name, pairs=["a:b"], work=lambda work: name, token=keys.secrets[name], slots=4
        )

    staying = node("gpu")
    working = [asyncio.create_task(worker.run()) for worker in (staying, node("cpu"))]
    await until(lambda: secured.node_ids() == ["cpu", "gpu"])
    async with (
        Client(secured.url, token=keys.secrets["ann"]) as ann,
        Client(secured.url, token=keys.secrets["bob"]) as bob,
    ):
        for client in (ann, bob):
            assert (await client.submit(TONE, "a:b")).state == "completed"
        waiting = asyncio.create_task(bob.submit(TONE, "nobody:serves", timeout_ms=60_000))
        await until(lambda: len(secured.events("job_submitted")) == 3)
        keys.write(keys.callers[name] for name in ("ann", "gpu", "root"))
        await asyncio.to_thread(secured.hang_up)
        for gone in (waiting, working[1]):
            with pytest.raises(TokenRefused, match="voxpool token"):
                await gone
        assert (await ann.submit(TONE, "a:b")).output == "gpu" and ann.connects == 1
    staying.stop()
    await working[0]


async def test_an_invalid_file_keeps_the_previous_tokens(secured: Secured, keys: Keys) -> None:
    content = keys.file.read_bytes()
    async with connected(secured.session_url, additional_headers=keys.header("ann")) as ann:
        await ann.send(text(type="hello"))
        assert (await next_message(ann))["type"] == "welcome"
        for broken in (b"", b"nonsense", content + content, content[: len(content) - 20]):
            keys.file.write_bytes(broken)
            failed = await asyncio.to_thread(secured.hang_up, "reload_failed")
            assert failed["level"] == "error" and failed["error"].startswith(f"{keys.file}: ")
        await ann.send(text(type="submit", request_id="r", pair="a:b", audio=TONE))
        assert (await next_message(ann))["type"] == "accepted"
    assert secured.ask("bob", "GET", "/v1/jobs").status_code == 200
    assert secured.events("tokens_loaded") == []


def test_a_new_token_is_valid_after_sighup(secured: Secured, keys: Keys) -> None:
    """The command makes it; a token whose secret changes has two secrets for a while."""
    command = [sys.executable, "-m", "voxpool.scheduler", "token", "ann", "--role", "client"]
    made = subprocess.run(
        command, env={**os.environ, "VOXPOOL_ACCESS_FILE": str(keys.file)}, capture_output=True, text=True, check=True
    )
    secret = made.stdout.strip()
    assert secret.startswith("vxp_") and "SIGHUP" in made.stderr and secret not in made.stderr

    job = secured.ask("ann", "POST", "/v1/jobs", params={"pair": "a:b"}, content=TONE).json()
    keys.secrets["ann"] = secret
    assert secured.ask("ann", "GET", "/v1/jobs").status_code == 401
    assert secured.hang_up()["tokens"] == len(keys.callers) + 1
    assert secured.ask("ann", "GET", f"/v1/jobs/{job['job_id']}").status_code == 200, (
        "the job is ann's, by either token"
    )


async def test_a_connection_outlives_a_change_of_its_rate(secured: Secured, keys: Keys) -> None:
    """It is the same token: its node may register again, with other slots, over the same connection."""
    register = {"type": "register", "node_id": "gpu", "process_id": "p", "pairs": ["a:b"], "running": []}
    async with connected(secured.node_url, additional_headers=keys.header("gpu")) as gpu:
        for slots in (1, 2):
            await gpu.send(text(**register, slots=slots))
            assert (await next_message(gpu))["type"] == "registered"
            keys.write({**keys.callers, "gpu": keys.callers["gpu"]._replace(rate_per_s=5.0)}.values())
            assert (await asyncio.to_thread(secured.hang_up))["closed"] == 0


# ---- the start


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.chmod(0o644), "by its mode 0644 others can read or change it; run chmod 600"),
        (lambda file: file.write_bytes(2 * file.read_bytes()), "its sha256 stands there twice"),
    ],
)
def test_an_unusable_file_is_one_line_and_exit_code_3(
    folder: Path, keys: Keys, spoil: Callable[[Path], object], message: str
) -> None:
    """Other errors of the file are tested in tests/unit/test_tokens.py."""
    spoil(keys.file)
    process = Process(folder, "start", "serve", "--port", "0", "--store", "memory", "--access-file", str(keys.file))
    assert process.end() == 3
    [line] = process.log.read_text().splitlines()
    assert line.startswith(f"voxpool: {keys.file}: ") and message in line and keys.shown_in(line.encode()) == []


def test_half_of_tls_is_one_line_and_exit_code_3(folder: Path) -> None:
    made = make_certificate(folder)
    process = Process(folder, "half", "serve", "--port", "0", "--store", "memory", "--tls-cert", str(made.cert))
    assert process.end() == 3
    assert process.log.read_text().splitlines() == [
        "voxpool: command line: tls_cert is set and tls_key is not: TLS needs both"
    ]


def test_a_public_address_without_tokens_is_always_warned_about(folder: Path) -> None:
    """Even when only errors are logged."""
    flags = ("serve", "--port", "0", "--store", "memory", "--host", "0.0.0.0", "--log-level", "error")
    with started(Process(folder, "public", *flags)) as process:
        [line] = wait_until(lambda: process.events())
        assert (line["level"], line["event"]) == ("error", "open_to_all")
        assert line["url"].startswith("http://0.0.0.0:")
