"""Tries every endpoint of a running scheduler in every role, and reports deviations from the table of roles."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.e2e.processes import connected
from tests.e2e.secured import A_NAME, Secured, next_message
from voxpool.scheduler.security.caller import Role
from voxpool.scheduler.web.gates.authorization import OPEN, WEBSOCKET, roles_of

STRANGERS = ("nobody", "wrong")
WHO = (*STRANGERS, *A_NAME.values())
ROLE = {name: role for role, name in A_NAME.items()}
ENDS = {"/v1/dashboard": "?snapshots=1"}
"""Bytes that end an endless answer."""


def holes_of_http(scheduler: Secured) -> list[str]:
    """Call each operation of the document without a token, with a wrong one, and with each role."""
    found = []
    with httpx.Client(base_url=scheduler.url, verify=scheduler.verify, trust_env=False, timeout=30) as http:
        document = http.get("/openapi.json").json()
        asked = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
        asked += [("HEAD", path) for method, path in asked if method == "GET"]
        assert len(asked) > 30, asked
        for (method, path), who in itertools.product(asked, WHO):
            header = scheduler.keys.header(None if who == "nobody" else who)
            url = path.replace("{job_id}", "none").replace("{node_id}", "none") + ENDS.get(path, "")
            wrong = _wrong(http.request(method, url, headers=header), _status(method, path, who), method)
            found += [f"{method} {path} as {who}: {wrong}"] if wrong else []
    return found


def _status(method: str, path: str, who: str) -> int:
    """Return the status with which `who` must be refused, or 0."""
    roles = roles_of("GET" if method == "HEAD" else method, path)
    if roles is OPEN:
        return 0
    return 401 if who in STRANGERS else 0 if ROLE[who] in roles else 403


def _wrong(answer: httpx.Response, refusal: int, method: str) -> str:
    if not refusal:
        return str(answer.status_code) if answer.status_code in (401, 403) or answer.status_code >= 500 else ""
    if answer.status_code != refusal:
        return f"{answer.status_code}, not {refusal}"
    challenge = answer.headers.get("www-authenticate", "")
    if challenge.startswith("Bearer ") != (refusal == 401):
        return f"WWW-Authenticate: {challenge!r}"
    if answer.headers["content-type"] != "application/problem+json":
        return answer.headers["content-type"]
    reason = {401: "unauthorized", 403: "forbidden"}[refusal]
    return "" if method == "HEAD" or answer.json()["reason"] == reason else answer.text


async def holes_of_sockets(scheduler: Secured) -> list[str]:
    """Connect to both WebSockets in every role: by header, by the first message, and by both in all combinations."""
    found = []
    for path, header, message in itertools.product(("/ws/session", "/ws/node"), WHO, WHO):
        expected = _expected(path, header, message)
        got = await greeted(scheduler, path, header, message)
        found += [f"{path} as {header}, then as {message}: {got}, not {expected}"] if got != expected else []
    return found


def _expected(path: str, header: str, message: str) -> str:
    """A token in the header must be valid; a token in the message takes precedence."""
    roles = roles_of(WEBSOCKET, path)
    if header == "wrong":
        return "401"
    if header != "nobody" and ROLE[header] not in roles:
        return "403"
    who = header if message == "nobody" else message
    return "unauthorized" if who in STRANGERS else "in" if ROLE[who] in roles else "forbidden"


async def greeted(scheduler: Secured, path: str, header: str, message: str, query: str = "") -> str:
    """Return `in`, the reason of the rejection, or the status of a refused handshake."""
    keys = scheduler.keys
    tokens = {} if message == "nobody" else {"token": keys.header(message)["authorization"].removeprefix("Bearer ")}
    head = keys.header(None if header == "nobody" else header)
    try:
        async with connected(scheduler.url.replace("http", "ws", 1) + path + query, additional_headers=head) as socket:
            await socket.send(json.dumps(greeting(path, **tokens)))
            answer = await next_message(socket)
            if answer["type"] == "error":
                await _closed(socket)
                return str(answer["reason"])
            assert answer["type"] in ("welcome", "registered"), answer
            return "in"
    except InvalidStatus as refused:
        challenge = refused.response.headers.get("www-authenticate", "")
        assert challenge.startswith("Bearer ") == (refused.response.status_code == 401)
        return str(refused.response.status_code)


def greeting(path: str, **fields: Any) -> dict[str, Any]:
    """Return the first message of a client or of a node."""
    if path == "/ws/session":
        return {"type": "hello", **fields}
    return {
        "type": "register",
        "node_id": "n",
        "process_id": "p",
        "pairs": ["x:y"],
        "slots": 1,
        "running": [],
        **fields,
    }


async def _closed(socket: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosedError):
        raise AssertionError(f"after the refusal came {await socket.recv()!r}")
    assert socket.close_code == 1008


assert set(ROLE.values()) == set(Role)
