"""Locust's page and foreign web pages: none of them makes it send its tokens; nor does a raw client."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from tests.e2e.command_line import stranger
from tests.e2e.processes import wait_until
from tests.e2e.secured import Keys, Secured
from tests.load.locust_run import LocustRun, free_port

pytestmark = pytest.mark.timeout(180)


def test_the_page_sends_its_tokens_to_its_own_scheduler_only(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    scheduler = Secured(tmp_path, keys)
    received: list[bytes] = []
    tokens = [
        f"--{role}-token={keys.secrets[name]}" for role, name in (("client", "ann"), ("node", "gpu"), ("admin", "root"))
    ]
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    command = ("--web-port", port, "--nodes", "1", "--host", scheduler.url, *tokens)
    try:
        with (
            stranger(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", received=received) as thief,
            LocustRun(tmp_path, *command) as run,
        ):
            run.waits_for("Starting web interface")
            wait_until(lambda: _status(f"{page}/") or run.popen.poll() is not None, 60)

            def swarm(target: str, **headers: str) -> int:
                form = {"user_count": "2", "spawn_rate": "50", "rate_per_user": "5", "host": target, "run_time": "60s"}
                return httpx.post(f"{page}/swarm", data=form, headers=headers, trust_env=False).status_code

            evil = f"http://127.0.0.1:{thief}"
            foreign = [
                swarm(evil, origin="https://evil.example"),
                swarm(evil, origin="null"),
                swarm(evil, **{"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}),
                swarm(evil, host="evil.example"),  # DNS rebinding
                swarm(evil),  # not a browser
                swarm(scheduler.url, origin="https://evil.example"),
                _status(f"{page}/stats/requests", host="evil.example"),
                _status(f"{page}/memory", host="evil.example"),
            ]
            own = swarm(scheduler.url, origin=page)
            wait_until(lambda: received or scheduler.get("/v1/jobs")["jobs"] or run.popen.poll() is not None, 60)
            assert received == [], "tokens were sent to the address of another page"
            assert foreign == [403, 403, 403, 421, 403, 403, 421, 421] and own == 200
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", int(port)), timeout=5)
            shown = httpx.get(f"{page}/", trust_env=False).text + httpx.get(f"{page}/logs", trust_env=False).text
            assert not [name for name, secret in keys.secrets.items() if secret in shown]
    finally:
        assert scheduler.stop() == 0


def _status(url: str, **headers: str) -> int:
    try:
        return httpx.get(url, headers=headers, trust_env=False).status_code
    except httpx.TransportError:
        return 0
