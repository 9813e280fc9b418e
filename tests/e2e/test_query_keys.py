"""A key of a query is accepted or rejected, never ignored: a misspelt key must be noticed."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.bare_peer import handshake
from tests.e2e.processes import TONE, Scheduler
from tests.e2e.raw_http import raw


@pytest.fixture
def http(scheduler: Scheduler) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=scheduler.url, trust_env=False) as client:
        yield client


def refused(answer: httpx.Response) -> str:
    """Return the reason of a 422."""
    assert answer.status_code == 422, (answer.status_code, answer.text)
    detail: str = answer.json()["detail"]
    return detail


def test_a_request_id_in_the_query_makes_one_job(http: httpx.Client, pair: str) -> None:
    """As in the header and in JSON. Two places at a time are rejected, since it is unclear which one counts."""
    query = {"pair": pair, "request_id": f"q-{pair[:-3]}"}
    first = http.post("/v1/jobs", params=query, content=TONE).json()
    again = http.post("/v1/jobs", params=query, content=TONE).json()
    assert (first["request_id"], again["job_id"]) == (query["request_id"], first["job_id"])
    header = {"idempotency-key": query["request_id"]}
    same = http.post("/v1/jobs", params={"pair": pair}, content=TONE, headers=header).json()
    assert same["job_id"] == first["job_id"]
    body = {"pair": pair, "audio": base64.b64encode(TONE).decode()}
    in_json = http.post("/v1/jobs", params={"request_id": query["request_id"]}, json=body).json()
    assert in_json["job_id"] == first["job_id"]
    assert "request_id is given twice" in refused(http.post("/v1/jobs", params=query, content=TONE, headers=header))
    assert refused(http.post("/v1/jobs", params={**query, "request_id": "two words"}, content=TONE))


@pytest.mark.parametrize(
    ("method", "target", "hint"),
    [
        ("POST", "/v1/jobs?pair=a:b&requestid=1", "did you mean request_id?"),
        ("POST", "/v1/jobs?pair=a:b&timeout=5", "did you mean timeout_ms?"),
        ("POST", "/v1/jobs?pair=a:b&pair=c:d", "pair is given twice"),
        ("GET", "/v1/jobs?status=waiting", "did you mean state?"),
        ("GET", "/v1/jobs/any?wait=5", "did you mean wait_s?"),
        ("DELETE", "/v1/jobs/any?force=1", "'force'"),
        ("GET", "/v1/jobs/any/why?verbose", "'verbose'"),
        ("GET", "/v1/nodes?page=2", "known are limit, cursor"),
        ("POST", "/v1/nodes/any/drain?of=true", "did you mean on?"),
        ("GET", "/v1/pools?limits=2", "did you mean limit?"),
        ("GET", "/v1/dashboard?snapshot=1", "did you mean snapshots?"),
        ("GET", "/v1/debug/memory?collect=1", "'collect'"),
        ("POST", "/v1/debug/memory?trace=mark&frame=2", "did you mean frames?"),
        ("GET", "/v1/debug/checkup?x", "'x'"),
        ("GET", "/metrics?name[]=up", "'name[]'"),
        ("GET", "/healthz?full=1", "'full'"),
        ("HEAD", "/readyz?full=1", ""),
        ("GET", "/try?pair=a:b", "'pair'"),
        ("GET", "/docs?x=1", "'x'"),
        ("GET", "/openapi.json?x=1", "'x'"),
    ],
)
def test_an_unknown_key_is_rejected_on_every_route(http: httpx.Client, method: str, target: str, hint: str) -> None:
    content = TONE if method == "POST" and "jobs" in target else None
    with http.stream(method, target, content=content) as answer:  # one of them would never end
        assert answer.status_code == 422
        if method != "HEAD":
            answer.read()
            assert hint in answer.json()["detail"]


async def test_a_web_socket_accepts_no_query(scheduler: Scheduler) -> None:
    """A token in the query, as other services accept it, would be in the log of every proxy."""
    for path in ("/ws/session", "/ws/node"):
        async with raw(scheduler.port) as peer:
            await peer.send(handshake(f"{path}?token=vxp_1"))
            assert await peer.status() == 422


def test_an_unknown_key_in_json_is_rejected_too(http: httpx.Client, pair: str) -> None:
    body = {"pair": pair, "audio": base64.b64encode(TONE).decode(), "requestid": "1"}
    assert "requestid is not known here: did you mean request_id?" in refused(http.post("/v1/jobs", json=body))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("pair", "chinese", "pair must be source:target, such as zh:en"),
        ("timeout_ms", 0, "timeout_ms must be at least 1"),
        ("timeout_ms", 1.5, "timeout_ms must be a whole number"),
        ("wait_s", "long", "wait_s must be a number, and is a text"),
        ("session", "two words", "session must be 1 to 64 of A-Z a-z 0-9 . _ -"),
        ("audio", 7, "audio must be bytes, and is a whole number"),
        ("audio", "?", "audio must be base64"),
    ],
)
def test_each_error_is_a_sentence(http: httpx.Client, pair: str, field: str, value: object, sentence: str) -> None:
    body = {"pair": pair, "audio": base64.b64encode(TONE).decode(), field: value}
    detail = refused(http.post("/v1/jobs", json=body))
    assert detail.startswith(sentence) and "`" not in detail
