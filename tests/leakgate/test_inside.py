"""The applications that a server mounts: their answers, their access control, and the counters of their middleware."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from voxpool.leakgate.inside import asgi, wsgi
from voxpool.leakgate.readings.series import Bound

TOKEN = "s3cret"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}
PATH = "/debug/leakgate/"


async def _hello(request: Request) -> Response:
    if "fail" in request.query_params:
        raise RuntimeError("fail")
    return PlainTextResponse("hello", int(request.query_params.get("status", "200")))


def asgi_client(token: str | None = TOKEN) -> httpx.AsyncClient:
    memory = asgi.MemoryApp({"it": {"a": 1}}, token, bounds=lambda: {"table it": Bound(7)})
    routes = [Route("/hello", _hello), Mount("/debug/leakgate", memory)]
    app = Starlette(routes=routes, middleware=[Middleware(asgi.CountRequests)])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://server")


def wsgi_client(token: str | None = TOKEN) -> httpx.Client:
    memory = wsgi.MemoryApp({"it": {"a": 1}}, token, bounds={"table it": Bound(7)})

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/debug/leakgate"):
            return memory(environ, start_response)
        if "fail" in environ["QUERY_STRING"]:
            raise RuntimeError("fail")
        start_response("500 Oh" if "500" in environ["QUERY_STRING"] else "200 OK", [])
        return (part for part in [b"hel", b"lo"])

    transport = httpx.WSGITransport(app=wsgi.CountRequests(app), raise_app_exceptions=False)
    return httpx.Client(transport=transport, base_url="http://server")


class Both:
    """Either client, with the same interface."""

    def __init__(self, kind: str, token: str | None = TOKEN) -> None:
        self._client: Any = asgi_client(token) if kind == "asgi" else wsgi_client(token)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._client.request(method, path, **options)
        found: httpx.Response = await answer if asyncio.iscoroutine(answer) else answer
        return found

    async def fail(self) -> None:
        """Request a path that raises; the transport for WSGI raises the exception, too."""
        with contextlib.suppress(RuntimeError):
            await self.ask("GET", "/hello?fail=1")


@pytest.fixture(params=["asgi", "wsgi"])
def both(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)


async def test_the_report_counts_work_failures_and_tables(both: Both) -> None:
    for query in ("", "", "?status=500"):
        await both.ask("GET", f"/hello{query}")
    await both.fail()
    answer = await both.ask("GET", f"{PATH}?gc=1&types=3", headers=AUTHORIZED)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    report = answer.json()
    assert (report["work"], report["errors"], report["in_flight"]) == (4, 2, 0)
    assert report["tables"] == {"it": 1} and report["bounds"] == {"table it": {"entries": 7, "entry_bytes": 0.0}}
    assert len(report["objects"]["types"]) == 3 and report["memory"]["allocated_bytes"] > 0
    assert "collect" in report["pauses_ms"] and report["sizes"] is None and report["trace"] is None
    again = (await both.ask("GET", PATH, headers=AUTHORIZED)).json()
    assert again["work"] == 4, "asking for the report is no work"


async def test_sizes_and_tracing_are_on_demand(both: Both) -> None:
    async def switch(query: str) -> httpx.Response:
        return await both.ask("POST", f"{PATH}{query}", headers=AUTHORIZED)

    assert (await switch("?trace=stop")).status_code == 409
    assert (await switch("?trace=start&frames=2")).json()["frames"] == 2
    try:
        assert (await switch("?trace=start")).status_code == 409
        traced = (await both.ask("GET", f"{PATH}?trace=top", headers=AUTHORIZED)).json()
        assert traced["trace"]["rows"] and "tracemalloc" in traced["memory"]["unreadable"]
    finally:
        assert (await switch("?trace=stop")).json()["on"] is False
    sized = (await both.ask("GET", f"{PATH}?sizes=1", headers=AUTHORIZED)).json()
    assert sized["sizes"]["total_bytes"] > 1_000_000


@pytest.mark.parametrize(
    ("method", "query", "headers", "status"),
    [
        ("GET", "", {}, 401),
        ("GET", "", {"authorization": "Bearer wrong"}, 401),
        ("GET", "", {"authorization": f"Basic {TOKEN}"}, 401),
        ("POST", "?trace=start", {}, 401),
        ("GET", "?gc=2", AUTHORIZED, 422),
        ("GET", "?types=1001", AUTHORIZED, 422),
        ("GET", "?typos=1", AUTHORIZED, 422),
        ("GET", "?trace=start", AUTHORIZED, 422),
        ("GET", "?trace=top", AUTHORIZED, 409),
        ("GET", f"?gc={'1' * 2000}", AUTHORIZED, 422),
        ("POST", "", AUTHORIZED, 422),
        ("POST", "?trace=start&frames=11", AUTHORIZED, 422),
        ("POST", "?trace=start", {**AUTHORIZED, "sec-fetch-site": "cross-site"}, 403),
        ("DELETE", "", AUTHORIZED, 405),
        ("HEAD", "", AUTHORIZED, 200),
    ],
)
async def test_invalid_requests_are_refused(
    both: Both, method: str, query: str, headers: dict[str, str], status: int
) -> None:
    answer = await both.ask(method, f"{PATH}{query}", headers=headers)
    assert answer.status_code == status
    if status >= 400:
        assert answer.json()["error"]


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
async def test_without_a_token_everybody_may_read(kind: str) -> None:
    assert (await Both(kind, token=None).ask("GET", PATH)).status_code == 200


async def test_a_websocket_is_one_unit_of_work() -> None:
    async def door(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        assert counted.work.in_flight == 1
        await send({"type": "websocket.close"})

    async def nothing(*_: Any) -> Any: ...

    counted = asgi.CountRequests(door)
    await counted({"type": "websocket"}, nothing, nothing)
    assert (counted.work.finished, counted.work.in_flight, counted.work.errors) == (1, 0, 0)
    await asgi.CountRequests(nothing, counted.work)({"type": "lifespan"}, nothing, nothing)
    assert counted.work.finished == 1


def test_a_body_of_wsgi_that_fails_or_is_closed_early_ends_its_unit_once() -> None:
    def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"a"
        raise RuntimeError("fail")

    counted = wsgi.CountRequests(failing)
    body: Any = counted({}, lambda *_: None)
    with pytest.raises(RuntimeError):
        list(body)
    body.close()
    closed: Any = counted({}, lambda *_: None)
    assert next(iter(closed)) == b"a" and counted.work.in_flight == 1
    closed.close()
    assert (counted.work.finished, counted.work.errors, counted.work.in_flight) == (2, 1, 0)
