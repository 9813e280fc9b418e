"""Headers for browsers, and the permissions of pages of other origins: a real scheduler, on all its paths."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.processes import TONE, Scheduler, connected
from tests.e2e.raw_http import raw, request
from tests.e2e.test_bad_input_http import is_problem

ALLOWED = "https://speech.example.org"
EVIL = "https://evil.example"
SOCKETS = ("/ws/session", "/ws/node")
CHANGES = [("POST", "/v1/jobs?pair=zh:en"), ("DELETE", "/v1/jobs/any"), ("POST", "/v1/nodes/any/drain")]
STREAM = ("GET", "/v1/dashboard?snapshots=1")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler that listens on this machine only, and allows one foreign origin."""
    running = Scheduler(tmp_path_factory.mktemp("local"), "memory", "--origins", ALLOWED)
    yield running
    assert running.stop() == 0
    assert running.events("scheduler_failed") == running.events("http_server") == []


@pytest.fixture
async def http(local: Scheduler) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=local.url, trust_env=False) as client:
        yield client


async def opened(local: Scheduler, path: str, **headers: str) -> int:
    """Return the status of a handshake with these headers; 101 when it succeeds."""
    with contextlib.suppress(InvalidStatus):
        async with connected(local.url.replace("http", "ws") + path, proxy=None, additional_headers=headers):
            return 101
    with pytest.raises(InvalidStatus) as refused:
        async with connected(local.url.replace("http", "ws") + path, proxy=None, additional_headers=headers):
            raise AssertionError("once refused, once not")
    return refused.value.response.status_code


@pytest.mark.parametrize("path", SOCKETS)
async def test_a_websocket_is_not_opened_for_a_foreign_page(local: Scheduler, path: str) -> None:
    """A browser opens a WebSocket for any page without a preflight, so the server must check the origin."""
    assert await opened(local, path) == 101, "programs say no origin"
    assert await opened(local, path, origin=local.url) == 101
    assert await opened(local, path, origin=ALLOWED) == 101
    assert await opened(local, path, origin=EVIL) == 403
    assert await opened(local, path, origin="null") == 403
    assert await opened(local, path, origin=f"http://localhost:{local.port}") == 403


@pytest.mark.parametrize(("method", "path"), [*CHANGES, STREAM])
async def test_requests_of_a_foreign_page_are_rejected(
    http: httpx.AsyncClient, local: Scheduler, method: str, path: str
) -> None:
    for origin in (EVIL, "null", f"http://localhost:{local.port}"):
        headers = {"origin": origin, "content-type": "text/plain"}
        is_problem(await http.request(method, path, headers=headers), 403, "bad_origin")
    image = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    is_problem(await http.request(method, path, headers=image), 403, "bad_origin")
    for origin in (local.url, ALLOWED):
        answer = await http.request(method, path, headers={"origin": origin})
        assert answer.status_code in (200, 404, 415, 422), "it gets as far as a program does"


async def test_an_allowed_page_can_read_its_answers(http: httpx.AsyncClient, local: Scheduler) -> None:
    asks = {
        "origin": ALLOWED,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, idempotency-key",
    }
    before = await http.options("/v1/jobs", headers=asks)
    assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, ALLOWED)
    assert "access-control-allow-credentials" not in before.headers, "there is nothing that a browser would add"
    done = await http.post("/v1/jobs", params={"pair": "a:b"}, headers={"origin": ALLOWED}, content=TONE)
    assert (done.status_code, done.headers["access-control-allow-origin"]) == (202, ALLOWED)
    refused = await http.get("/v1/jobs/none", headers={"origin": ALLOWED})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (404, ALLOWED)
    own = await http.get("/v1/jobs", headers={"origin": local.url})
    assert own.status_code == 200 and "access-control-allow-origin" not in own.headers
    is_problem(await http.options("/v1/jobs", headers={**asks, "origin": EVIL}), 403, "bad_origin")


async def test_a_foreign_link_may_only_open_pages(http: httpx.AsyncClient) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    for page in await pages(http):
        assert (await http.get(page, headers=link)).status_code == 200, page
    is_problem(await http.get("/v1/debug/memory?gc=1", headers=link), 403, "bad_origin")


@pytest.mark.parametrize("path", ["/", "/v1/jobs", "/healthz", *SOCKETS])
async def test_a_foreign_host_name_is_rejected(http: httpx.AsyncClient, local: Scheduler, path: str) -> None:
    """With DNS rebinding the browser takes the page for one of this scheduler's; only Host shows it."""
    rebound = {"host": f"evil.example:{local.port}", "origin": f"http://evil.example:{local.port}"}
    if path in SOCKETS:
        assert await handshake_of(local, path, rebound["host"], rebound["origin"]) == 421
    is_problem(await http.get(path, headers=rebound), 421, "bad_host")
    known = await http.get(path)
    for host in (f"localhost:{local.port}", "127.0.0.1", "[::1]:80", "speech.example.org"):
        assert (await http.get(path, headers={"host": host})).status_code == known.status_code
    async with raw(local.port) as wire:
        await wire.send(request("GET", path, f"Host: localhost:{local.port}"))  # the second one
        assert await wire.status() == 400


async def handshake_of(local: Scheduler, path: str, host: str, origin: str) -> int:
    """Return the status of a handshake with that single Host."""
    words = ("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Host: {host}")
    head = [f"GET {path} HTTP/1.1", *words, f"Origin: {origin}", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""]
    async with raw(local.port) as wire:
        await wire.send("\r\n".join(head).encode())
        return await wire.status()


async def test_rejections_are_counted_by_reason(http: httpx.AsyncClient) -> None:
    is_problem(await http.get("/", headers={"host": "evil.example"}), 421, "bad_host")
    is_problem(await http.get("/", headers={"origin": EVIL}), 403, "bad_origin")
    metrics = (await http.get("/metrics")).text
    for reason in ("bad_host", "bad_origin"):
        assert f'voxpool_connections_refused_total{{reason="{reason}"}} 0.0' not in metrics
        assert f'voxpool_connections_refused_total{{reason="{reason}"}}' in metrics


async def test_every_page_has_a_content_policy_and_forbids_frames(http: httpx.AsyncClient) -> None:
    """All paths that the document lists as pages are checked."""
    found = await pages(http)
    assert {"/", "/docs"} <= set(found)
    for page in found:
        answer = await http.get(page)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";"))
        assert rules["default-src"] == "'self'" and rules["frame-ancestors"] == "'none'", page
        assert rules["object-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
        assert not [rule for rule in rules.values() if "unsafe" in rule or "http" in rule or "*" in rule], page
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "<style" not in answer.text and " style=" not in answer.text, f"{page} needs its policy widened"


async def test_no_answer_may_be_sniffed(http: httpx.AsyncClient) -> None:
    """The header is set once, on pages, files, records, problems, handshakes and the stream."""
    paths = [path for path in (await document(http))["paths"] if "{" not in path]
    for path in [*paths, "/v1/jobs/<b>", "/nothing", "/v1/dashboard?snapshots=1"]:
        async with http.stream("GET", path) as answer:
            assert answer.headers.get_list("x-content-type-options") == ["nosniff"], path


async def test_text_from_outside_is_never_served_as_a_page(http: httpx.AsyncClient) -> None:
    """Problems echo it as JSON, with a type that no browser shows as a page."""
    tag = "<script>alert(1)</script>"
    answers = [
        await http.get(f"/v1/jobs/{tag}"),
        await http.get(f"/{tag}"),
        await http.get("/v1/jobs", params={"state": tag}),
        await http.post("/v1/jobs", params={"pair": tag}, content=TONE),
        await http.post("/v1/jobs", params={"pair": "a:b"}, headers={"content-type": tag}, content=TONE),
        await http.get("/", headers={"host": tag}),
        await http.get("/", headers={"origin": tag}),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"


async def document(http: httpx.AsyncClient) -> dict[str, Any]:
    shown: dict[str, Any] = (await http.get("/openapi.json")).json()
    return shown


async def pages(http: httpx.AsyncClient) -> list[str]:
    """Return the paths of all HTML pages."""
    return [
        path
        for path, methods in (await document(http))["paths"].items()
        if "text/html" in methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
    ]
