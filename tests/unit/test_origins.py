"""Pages of foreign origins are rejected; programs, which send no origin, are not affected."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.web.gates.origins import BAD_HOST, BAD_ORIGIN, Origins, is_loopback
from voxpool.scheduler.web.gates.request_filter import RequestFilter
from voxpool.scheduler.web.wire.connections import Connections

HERE = "127.0.0.1:5010"
ELSEWHERE = "https://speech.example.org"


def asked(origins: Origins, *headers: tuple[str, str], is_page: bool = False, here: str = "127.0.0.1") -> str:
    """Return the reason why a request with these headers is rejected."""
    raw = [(name.encode(), value.encode()) for name, value in headers]
    wrong = origins.wrong(Headers(raw=raw), is_page, here)
    return wrong[0] if wrong else ""


@pytest.mark.parametrize(
    ("origin", "host", "reason"),
    [
        (f"http://{HERE}", HERE, ""),
        (f"https://{HERE}", HERE, ""),  # a proxy in front speaks TLS
        ("http://LOCALHOST:5010", "localhost:5010", ""),
        ("http://localhost", "localhost:80", ""),
        ("https://localhost:443", "localhost", ""),
        ("http://[::1]:5010", "[::1]:5010", ""),
        (ELSEWHERE, HERE, ""),  # allowed
        ("http://localhost:5010", HERE, BAD_ORIGIN),
        ("http://127.0.0.1:8080", HERE, BAD_ORIGIN),
        (f"http://{HERE}.evil.example", HERE, BAD_ORIGIN),
        (f"http://{HERE}@evil.example", HERE, BAD_ORIGIN),
        (f"ftp://{HERE}", HERE, BAD_ORIGIN),
        ("https://evil.example", HERE, BAD_ORIGIN),
        (ELSEWHERE + ".evil.example", HERE, BAD_ORIGIN),
        ("http://speech.example.org", HERE, BAD_ORIGIN),
        ("null", HERE, BAD_ORIGIN),
        ("", HERE, BAD_ORIGIN),
    ],
)
def test_only_own_and_allowed_pages_are_accepted(origin: str, host: str, reason: str) -> None:
    assert asked(Origins("127.0.0.1", [ELSEWHERE]), ("host", host), ("origin", origin)) == reason


def test_two_origins_are_invalid() -> None:
    origins = Origins("0.0.0.0", [ELSEWHERE])
    assert asked(origins, ("host", HERE), ("origin", f"http://{HERE}"), ("origin", f"http://{HERE}")) == BAD_ORIGIN
    assert asked(origins, ("origin", f"http://{HERE}")) == BAD_ORIGIN, "without a Host nothing is its own"


def test_a_program_without_an_origin_is_accepted() -> None:
    for listening in ("127.0.0.1", "0.0.0.0"):
        assert asked(Origins(listening)) == asked(Origins(listening), ("host", HERE)) == ""


@pytest.mark.parametrize(
    ("site", "mode", "is_page", "reason"),
    [
        ("cross-site", "no-cors", False, BAD_ORIGIN),  # <img src=…/v1/debug/memory?gc=1>
        ("same-site", "no-cors", True, BAD_ORIGIN),
        ("cross-site", "navigate", False, BAD_ORIGIN),
        ("cross-site", "navigate", True, ""),  # a link to the dashboard
        ("same-origin", "cors", False, ""),
        ("none", "navigate", False, ""),  # typed into the address bar
    ],
)
def test_without_an_origin_the_fetch_site_counts(site: str, mode: str, is_page: bool, reason: str) -> None:
    headers = (("host", HERE), ("sec-fetch-site", site), ("sec-fetch-mode", mode))
    assert asked(Origins("127.0.0.1"), *headers, is_page=is_page) == reason


@pytest.mark.parametrize(
    ("host", "local", "public"),
    [
        ("127.0.0.1:5010", "", ""),
        ("127.8.9.1", "", ""),
        ("localhost:5010", "", ""),
        ("me.localhost", "", ""),
        ("[::1]:5010", "", ""),
        ("speech.example.org", "", ""),  # a proxy passes the name on; its origin is allowed
        ("Speech.Example.Org", "", ""),
        ("evil.example:5010", BAD_HOST, ""),
        ("127.0.0.1.evil.example", BAD_HOST, ""),
        ("localhost.evil.example", BAD_HOST, ""),
        ("192.168.1.5:5010", BAD_HOST, ""),
        ("", BAD_HOST, ""),
    ],
)
def test_a_local_scheduler_accepts_no_foreign_host_name(host: str, local: str, public: str) -> None:
    """A page of evil.example can have its name resolved to 127.0.0.1; its requests then have the same origin."""
    assert asked(Origins("127.0.0.1", [ELSEWHERE]), ("host", host)) == local
    assert asked(Origins("0.0.0.0"), ("host", host)) == public


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("localhost:5010", ""),
        ("127.0.0.1", ""),
        ("10.0.0.5:5010", ""),  # the address that was connected to
        ("10.0.0.6:5010", BAD_HOST),
        ("pool.example:5010", ""),
        ("POOL.example", ""),
        ("speech.example.org", ""),
        ("evil.example:5010", BAD_HOST),
        ("10.0.0.5.evil.example", BAD_HOST),
        ("", BAD_HOST),
    ],
)
@pytest.mark.parametrize("here", ["10.0.0.5", "::ffff:10.0.0.5"])
def test_without_tokens_the_host_must_be_a_name_of_this_scheduler(host: str, reason: str, here: str) -> None:
    origins = Origins("0.0.0.0", [ELSEWHERE], ["pool.example"], open_to_all=True)
    assert asked(origins, ("host", host), here=here) == reason
    assert asked(Origins("0.0.0.0", [ELSEWHERE]), ("host", host), here=here) == "", "with tokens a page has none"


def test_local_host_names() -> None:
    for name in ("localhost", "LOCALHOST.", "a.localhost", "127.1.2.3", "::1"):
        assert is_loopback(name), name
    for name in ("", "0.0.0.0", "::", "example.org", "notlocalhost", "10.0.0.1", "127.0.0.1.example"):
        assert not is_loopback(name), name


@pytest.mark.parametrize(
    ("name", "value", "coding"),
    [
        ("content-encoding", "gzip", "gzip"),
        ("content-encoding", "identity, br", "br"),
        ("content-encoding", "Identity", ""),
        ("content-encoding", "", ""),
        ("transfer-encoding", "gzip, chunked", "gzip"),
        ("transfer-encoding", "chunked", ""),
    ],
)
async def test_a_compressed_body_is_rejected_on_every_path(name: str, value: str, coding: str) -> None:
    served: list[str] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        served.append(scope["path"])

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    request_filter = RequestFilter(app, Connections(2, Observer()), 1500, Origins("127.0.0.1"), Observer())
    headers = [(b"host", b"localhost"), (name.encode(), value.encode())]
    scope = {"type": "http", "http_version": "1.1", "path": "/any", "headers": headers, "state": {}}
    await request_filter(scope, receive, send)
    assert served == ([] if coding else ["/any"])
    assert [message["status"] for message in sent[:1]] == ([415] if coding else [])
    assert all(coding in message["body"].decode() for message in sent[1:])
