"""Authentication and authorization: every endpoint of a real scheduler in every role, ownership, no leaked secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import running
from tests.e2e.processes import PATIENCE_S, TONE, connected, until
from tests.e2e.role_table import greeted, greeting, holes_of_http, holes_of_sockets
from tests.e2e.secured import NAMES, WRONG, Keys, Secured, next_message
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_processes import started
from tests.unit.log_rules import strange_lines
from voxpool.scheduler.sdk import Client, TokenRefused, Worker
from voxpool.scheduler.sdk.http import HttpClient

PAIR = "en:en"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One scheduler for all tests here; its log has no secret, and each line matches the catalogue."""
    folder = tmp_path_factory.mktemp("secured")
    scheduler = Secured(folder, Keys(folder))
    yield scheduler
    assert scheduler.stop() == 0
    assert scheduler.keys.shown_in(scheduler.log.read_bytes()) == []
    assert strange_lines(scheduler.events()) == []
    assert scheduler.events("http_server") == []


def test_each_route_answers_each_role_as_in_the_table(secured: Secured) -> None:
    assert holes_of_http(secured) == []


async def test_each_socket_answers_each_role_as_in_the_table(secured: Secured) -> None:
    assert await holes_of_sockets(secured) == []


@pytest.mark.parametrize("path", ["/v1/nodes", "/ws/session", "/ws/node"])
@pytest.mark.parametrize(("who", "reason"), [("wrong", "unauthorized"), ("prometheus", "forbidden")])
async def test_each_rejection_is_counted_and_logged(secured: Secured, path: str, who: str, reason: str) -> None:
    def counted() -> float:
        sample = f'voxpool_connections_refused_total{{reason="{reason}"}} '
        lines = secured.ask("root", "GET", "/metrics").text.splitlines()
        return next(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))

    before = counted()
    if path == "/v1/nodes":
        assert secured.ask(who, "GET", path).json()["reason"] == reason
    else:
        assert await greeted(secured, path, who, "nobody") in ("401", "403")
        assert await greeted(secured, path, "nobody", who) == reason
    assert counted() - before == (1 if path == "/v1/nodes" else 2)
    await until(lambda: [line for line in secured.events("connection_refused") if line["reason"] == reason])


PLANTED = {
    "GET /v1/nodes": "real = guard.guard_routes\n"
    "guard.guard_routes = lambda routes: real(each for each in routes if each.path != '/v1/nodes')",
    "DELETE /v1/jobs/{job_id}": "guard.ROLES['DELETE', '/v1/jobs/{job_id}'] |= {guard.Role.METRICS}",
    "/ws/node": "guard.ROLES['WS', '/ws/node'] |= {guard.Role.CLIENT}",
    "/ws/session": "guard._checked = lambda caller, roles: caller or guard.ANYBODY",
}

RUN = "from voxpool.scheduler.cli import main\nmain()"


@pytest.mark.parametrize("hole", PLANTED)
async def test_a_planted_hole_is_found(folder: Path, hole: str) -> None:
    """A route without its check, a role too many, a check that admits callers without a token."""

    class Leaking(Secured):
        program = (
            sys.executable,
            "-c",
            f"import voxpool.scheduler.web.gates.authorization as guard\n{PLANTED[hole]}\n{RUN}",
        )

    with started(Leaking(folder, Keys(folder))) as scheduler:
        if hole.startswith("/ws"):
            found = await holes_of_sockets(scheduler)
        else:
            found = await asyncio.to_thread(holes_of_http, scheduler)
    assert found and all(hole.removeprefix("GET ") in each for each in found if hole != "/ws/session"), found
    assert any(each.startswith(hole) for each in found)


@pytest.mark.parametrize("path", ["/v1/nodes", "/ws/session", "/ws/node"])
@pytest.mark.parametrize("place", ["token", "access_token", "authorization"])
async def test_a_token_in_the_url_or_in_a_cookie_does_not_count(secured: Secured, path: str, place: str) -> None:
    """A URL ends up in logs and histories, and a browser sends cookies by itself, also for foreign pages."""
    secret = secured.keys.secrets["root"]
    if path.startswith("/ws"):
        assert await greeted(secured, path, "nobody", "nobody", f"?{place}={secret}") == "422", (
            "refused at the handshake"
        )
        url = secured.url.replace("http", "ws", 1) + path
        async with connected(url, additional_headers={"cookie": f"{place}={secret}"}) as socket:
            await socket.send(json.dumps(greeting(path)))
            assert (await next_message(socket))["reason"] == "unauthorized"
    else:
        asked = httpx.Request(
            "GET", secured.url + path, params={place: secret}, headers={"cookie": f"{place}={secret}"}
        )
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.send(asked)).status_code == 401


# ---- ownership


def submitted(secured: Secured, who: str, key: str = "") -> str:
    """Submit as `who` and return the job's id."""
    headers = {"idempotency-key": key} if key else {}
    answer = secured.ask(who, "POST", "/v1/jobs", params={"pair": "nobody:serves"}, content=TONE, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def test_a_client_sees_and_cancels_its_own_jobs_only(secured: Secured) -> None:
    ann, bob = submitted(secured, "ann", "same-key"), submitted(secured, "bob", "same-key")
    assert ann != bob, "request ids are the caller's own"
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/why")):
        refused = secured.ask("bob", method, f"/v1/jobs/{ann}{path}")
        assert (refused.status_code, refused.json()["reason"]) == (403, "forbidden")
        assert secured.ask("bob", method, f"/v1/jobs/unknown{path}").status_code == 404
    for who, own, other in (("ann", ann, bob), ("bob", bob, ann)):
        page = secured.ask(who, "GET", "/v1/jobs", params={"limit": 1000}).json()
        ids = [job["job_id"] for job in page["jobs"]]
        assert own in ids and other not in ids and page["total"] == len(ids)
    everything = secured.ask("root", "GET", "/v1/jobs", params={"limit": 1000}).json()
    assert {ann, bob} <= {job["job_id"] for job in everything["jobs"]}
    assert secured.ask("ann", "DELETE", f"/v1/jobs/{ann}").json()["state"] == "cancelled"
    assert secured.ask("root", "DELETE", f"/v1/jobs/{bob}").json()["state"] == "cancelled", "an admin may"


@contextlib.asynccontextmanager
async def session(secured: Secured, who: str, **fields: Any) -> AsyncIterator[ClientConnection]:
    """Connect as a browser does: it can set no header, so the token is in the first message."""
    async with connected(secured.session_url, origin=secured.url) as socket:
        await socket.send(text(type="hello", token=secured.keys.secrets[who], **fields))
        assert (await next_message(socket))["type"] == "welcome"
        yield socket


async def test_the_session_of_another_token_can_be_neither_taken_over_nor_read(secured: Secured) -> None:
    """Even with its id: that is another session of the same name."""
    async with session(secured, "ann", session_id="mine") as ann:
        await ann.send(text(type="submit", request_id="r", pair="nobody:serves", audio=TONE))
        cancel = text(type="cancel", job_id=(await next_message(ann))["job_id"])
        async with session(secured, "bob", session_id="mine", resume=True) as bob:
            await bob.send(cancel)
            assert (await next_message(bob))["reason"] == "unknown_job"
        await ann.send(cancel)
        assert (await next_message(ann))["state"] == "cancelled", "its connection was not replaced"


@contextlib.asynccontextmanager
async def node(secured: Secured, who: str, node_id: str, pair: str) -> AsyncIterator[ClientConnection]:
    """A node that has registered."""
    async with connected(secured.node_url, additional_headers=secured.keys.header(who)) as socket:
        about = {"node_id": node_id, "process_id": f"p-{node_id}", "pairs": [pair], "slots": 1, "running": []}
        await socket.send(text(type="register", **about))
        assert (await next_message(socket))["type"] == "registered"
        yield socket


async def test_a_node_answers_for_its_own_jobs_only(secured: Secured) -> None:
    """Another node may know the job and its attempt; it can't register under the name of the node that has the job
    either.
    """
    async with (
        node(secured, "gpu", "holder", "own:hold") as holder,
        node(secured, "cpu", "liar", "x:y") as liar,
        Client(secured.url, token=secured.keys.secrets["ann"]) as client,
    ):
        waiting = asyncio.create_task(client.submit(TONE, "own:hold"))
        assign = await next_message(holder)
        answer = {"type": "result", "job_id": assign["job_id"], "attempt": assign["attempt"]}
        for forged in ({"output": "forged"}, {"busy": True}, {"error": {"reason": "no", "retryable": False}}):
            await liar.send(text(**answer, **forged))
            assert (await next_message(liar))["reason"] == "not_held"
        stolen = {"node_id": "holder", "process_id": "p-holder", "pairs": ["own:hold"], "slots": 1}
        running_there = [[assign["job_id"], assign["attempt"]]]
        async with connected(secured.node_url, additional_headers=secured.keys.header("cpu")) as thief:
            await thief.send(text(type="register", **stolen, running=running_there))
            assert (await next_message(thief))["reason"] == "name_taken"
        await holder.send(text(**answer, output="true"))
        result = await waiting
    assert (result.state, result.output, result.attempts) == ("completed", "true", 1)


async def test_a_connection_stays_with_its_first_token(secured: Secured) -> None:
    async with node(secured, "gpu", "twice", "x:y") as socket:
        register = {"node_id": "twice", "process_id": "p-twice", "pairs": ["x:y"], "slots": 2, "running": []}
        await socket.send(text(type="register", **register))
        assert (await next_message(socket))["type"] == "registered", "it may change its mind about slots"
        await socket.send(text(type="register", **register, token=secured.keys.secrets["cpu"]))
        assert (await next_message(socket))["reason"] == "forbidden"


# ---- the SDK, rates, secrets


async def test_the_sdk_sends_its_token_and_explains_a_missing_one(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = secured.keys.secrets
    worker = Worker(secured.url, node_id="sdk", pairs=[PAIR], work=lambda work: "done", token=keys["gpu"])
    async with running(worker):
        await until(lambda: "sdk" in secured.node_ids())
        monkeypatch.setenv("VOXPOOL_TOKEN", keys["ann"])
        async with Client(secured.url) as client:
            assert (await client.submit(TONE, PAIR)).output == "done"
        with HttpClient(secured.url) as http:
            assert (await asyncio.to_thread(http.submit, TONE, PAIR, wait_s=10)).output == "done"
    for token in ("", WRONG, keys["prometheus"]):
        refusals: list[TokenRefused] = []
        async with Client(secured.url, token=token) as client:
            with pytest.raises(TokenRefused) as refused:
                await client.submit(TONE, PAIR)
            refusals.append(refused.value)
        with HttpClient(secured.url, token=token) as http, pytest.raises(TokenRefused) as refused:
            http.submit(TONE, PAIR)
        refusals.append(refused.value)
        with pytest.raises(TokenRefused) as refused:
            await Worker(secured.url, node_id="no", pairs=[PAIR], work=lambda work: 1, token=token).run()
        refusals.append(refused.value)
        for each in refusals:
            assert "voxpool token" in str(each) and not secured.keys.shown_in(repr(each).encode())


async def test_the_rate_of_a_token_overrides_the_setting_and_changes_at_once(folder: Path) -> None:
    """Over HTTP and WebSocket; another token has a bucket of its own."""
    keys = Keys(folder, rates={"ann": 0.01})
    flags = ("--rate-per-s", "1000", "--rate-burst", "2")
    with started(Secured(folder, keys, *flags)) as scheduler:
        async with session(scheduler, "ann") as ann, session(scheduler, "bob") as bob:

            async def submit(socket: ClientConnection, number: int) -> dict[str, Any]:
                await socket.send(text(type="submit", request_id=f"r{number}", pair="nobody:serves", audio=TONE))
                return await next_message(socket)

            assert [(await submit(ann, number))["type"] for number in (1, 2)] == ["accepted"] * 2
            rejected = await submit(ann, 3)
            assert rejected["reason"] == "rate" and 90_000 < rejected["retry_after_ms"] <= 100_000
            answer = scheduler.ask("ann", "POST", "/v1/jobs", params={"pair": "nobody:serves"}, content=TONE)
            assert (answer.status_code, answer.json()["reason"]) == (429, "rate")
            assert [(await submit(bob, number))["type"] for number in (1, 2)] == ["accepted"] * 2
            keys.write({**keys.callers, "ann": keys.callers["ann"]._replace(rate_per_s=1e6)}.values())
            scheduler.hang_up()
            async with asyncio.timeout(PATIENCE_S):  # at the old rate it would take 100 s
                while (await submit(ann, 3))["type"] != "accepted":
                    pass


async def test_no_answer_contains_a_secret(secured: Secured) -> None:
    """Answers, errors, metrics and the memory report are checked here; the log is checked when the scheduler has
    stopped.
    """
    told_so_far: list[bytes] = []
    keys = secured.keys
    async with httpx.AsyncClient(base_url=secured.url, trust_env=False, timeout=30) as http:
        for who in (*NAMES, "wrong", None):
            head = keys.header(who)
            odd = [head, {"authorization": head.get("authorization", "")[7:]}, {"x-token": str(head)}]
            for headers in odd:
                for path in ("/metrics", "/v1/debug/memory", "/v1/jobs", "/v1/nodes", "/openapi.json", "/readyz"):
                    told_so_far.append((await http.get(path, headers=headers)).content)
                secret = headers.get("authorization", "")[-40:] or "none"
                for path in (f"/v1/jobs/{secret}", f"/v1/jobs/{secret}/why"):
                    answer = await http.get(path, headers=keys.header("root"))
                    assert answer.status_code == 404
                await http.post("/v1/jobs", params={"pair": secret, "token": secret}, headers=headers, content=TONE)
    for who in NAMES:
        token = keys.secrets[who]
        for path in ("/ws/session", "/ws/node"):
            for frame in (
                text(type="hello", token=token, session_id=f"{token} "),
                text(type="register", token=token, node_id="n", slots=token),
                text(type=token),
                token,
                token.encode(),
            ):
                async with connected(secured.url.replace("http", "ws", 1) + path) as socket:
                    await socket.send(frame)
                    with contextlib.suppress(ConnectionClosed):
                        await socket.recv()
    assert len(told_so_far) > 100 and keys.shown_in(b"\n".join(told_so_far)) == []
    assert keys.shown_in(b"x" + keys.secrets["ann"].encode()) == ["ann"], "the search bites"
    assert "hash of bob" in keys.shown_in(keys.callers["bob"].digest.upper().encode())
