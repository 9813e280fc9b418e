"""Each HTTP error is provoked on a running scheduler and compared with the scheduler's own document."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest

from tests.e2e.processes import TONE, wait_until
from tests.e2e.secured import Keys, Secured
from voxpool.scheduler.web import problems

FLAGS = (
    *("--audio-bytes-max", "100000", "--waiting-max", "1", "--waiting-timeout-s", "600", "--no-node-grace-s", "86400"),
    *("--connections-max", "6", "--head-s", "1.5", "--body-stall-s", "1.5", "--viewers-max", "1", "--rate-burst", "3"),
)
PAIR = {"pair": "a:b"}
WAV = {"content": TONE}
NOBODY = {"job_id": "nobody-knows-it", "node_id": "nobody", "folder": "try", "file": "nothing.js"}
"""Path parameters that do not exist."""
ELSEWHERE = {
    *("internal_error", "store_unavailable", "stopping", "incomplete_audio"),
    *("audio_total_bytes_max", "jobs_max", "result_waiters_max", "incoming_bytes_max", "overloaded", "no_node"),
    *("out_of_memory", "unacknowledged_max", "share"),
}
"""Reasons that other tests cover: a bug, a lost store, a stop, bounds of many connections."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A scheduler with tokens and small bounds; bob may submit one job in a hundred seconds."""
    folder = tmp_path_factory.mktemp("errors")
    scheduler = Secured(folder, Keys(folder, rates={"bob": 0.01}), *FLAGS)
    yield scheduler
    assert scheduler.stop() == 0
    assert [line for line in scheduler.events() if line["level"] == "error"] == []


@pytest.fixture(scope="module")
def document(server: Secured) -> dict[str, Any]:
    """The document that the scheduler serves."""
    shown: dict[str, Any] = server.ask(None, "GET", "/openapi.json").json()
    return shown


def violations(document: dict[str, Any], method: str, path: str, answer: httpx.Response) -> list[str]:
    """Return the differences between an error and its description in the document."""
    described = document["paths"][path][method.lower()]["responses"].get(str(answer.status_code))
    if described is None:
        return [f"{answer.status_code} of {method} {path} is not described"]
    media_type = answer.headers["content-type"]
    if media_type not in described["content"]:
        return [f"{media_type} is not described"]
    schema = {**described["content"][media_type]["schema"], "components": document["components"]}
    found = [error.message for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(answer.json())]
    found += [f"no {name}" for name in described.get("headers", {}) if name not in answer.headers]
    if answer.json()["status"] != answer.status_code:
        found.append("another status in the body")
    return found


JOBS, JOB, NODES, DASHBOARD = "/v1/jobs", "/v1/jobs/{job_id}", "/v1/nodes", "/v1/dashboard"
MEMORY = "/v1/debug/memory"
CASES: list[tuple[str, str, str | None, str, dict[str, Any]]] = [
    ("unauthorized", "GET", None, JOBS, {}),
    ("unauthorized", "GET", "stranger", NODES, {}),
    ("forbidden", "GET", "gpu", JOBS, {}),
    ("bad_origin", "GET", "root", JOBS, {"headers": {"origin": "https://elsewhere.example"}}),
    ("bad_host", "GET", "root", "/healthz", {"headers": {"host": "rebound.example"}}),
    ("not_found", "GET", None, "/assets/{folder}/{file}", {}),
    ("unknown_job", "GET", "root", JOB, {}),
    ("unknown_job", "DELETE", "root", JOB, {}),
    ("unknown_node", "POST", "root", "/v1/nodes/{node_id}/drain", {}),
    ("audio_too_large", "POST", "root", JOBS, {"params": PAIR, "content": TONE + b"\0" * 100_000}),
    ("not_audio", "POST", "root", JOBS, {"params": PAIR, "content": b"no audio at all"}),
    ("empty_audio", "POST", "root", JOBS, {"params": PAIR, "content": b""}),
    ("bad_content_type", "POST", "root", JOBS, {"content": b"{}", "headers": {"content-type": "text/html"}}),
    ("compressed", "POST", "root", JOBS, {"params": PAIR, **WAV, "headers": {"content-encoding": "gzip"}}),
    ("bad_pair", "POST", "root", JOBS, {"params": {"pair": "A"}, **WAV}),
    ("bad_session_id", "POST", "root", JOBS, {"params": {**PAIR, "session": "a b"}, **WAV}),
    ("bad_request_id", "POST", "root", JOBS, {"params": PAIR, **WAV, "headers": {"idempotency-key": "a b"}}),
    ("bad_wait_s", "POST", "root", JOBS, {"params": {**PAIR, "wait_s": "nan"}, **WAV}),
    ("bad_timeout_ms", "POST", "root", JOBS, {"params": {**PAIR, "timeout_ms": "0"}, **WAV}),
    ("bad_why", "POST", "root", JOBS, {"params": {**PAIR, "why": "maybe"}, **WAV}),
    ("bad_attempts_max", "POST", "root", JOBS, {"params": {**PAIR, "attempts_max": "21"}, **WAV}),
    ("bad_attempts_max", "POST", "root", JOBS, {"json": {**PAIR, "audio": "", "attempts_max": 0}}),
    ("bad_backoff_ms", "POST", "root", JOBS, {"params": {**PAIR, "backoff_ms": "60001"}, **WAV}),
    ("bad_priority", "POST", "root", JOBS, {"params": {**PAIR, "priority": "6"}, **WAV}),
    ("bad_key", "POST", "root", JOBS, {"params": {**PAIR, "key": "two words"}, **WAV}),
    ("broken_json", "POST", "root", JOBS, {"content": b"{", "headers": {"content-type": "application/json"}}),
    ("bad_audio", "POST", "root", JOBS, {"json": {"audio": 7}}),
    ("bad_message", "POST", "root", JOBS, {"json": []}),
    ("given_twice", "POST", "root", JOBS, {"params": PAIR, "json": {**PAIR, "audio": ""}}),
    ("unknown_parameter", "GET", None, "/healthz", {"params": {"full": "1"}}),
    ("unknown_parameter", "POST", "root", JOBS, {"json": {"audio": "", "rate": 1}}),
    ("bad_multipart", "POST", "root", JOBS, {"files": {"a": (None, "b")}, "params": PAIR}),
    ("bad_state", "GET", "root", JOBS, {"params": {"state": "lost"}}),
    ("bad_limit", "GET", "root", NODES, {"params": {"limit": "0"}}),
    ("bad_cursor", "GET", "root", "/v1/pools", {"params": {"cursor": "1"}}),
    ("bad_top", "GET", "root", "/v1/waiting", {"params": {"top": "101"}}),
    ("bad_on", "POST", "root", "/v1/nodes/{node_id}/drain", {"params": {"on": "perhaps"}}),
    ("bad_snapshots", "GET", "root", DASHBOARD, {"params": {"snapshots": "0"}}),
    ("bad_gc", "GET", "root", MEMORY, {"params": {"gc": "2"}}),
    ("bad_types", "GET", "root", MEMORY, {"params": {"types": "-1"}}),
    ("bad_sizes", "GET", "root", MEMORY, {"params": {"sizes": "all"}}),
    ("bad_trace", "GET", "root", MEMORY, {"params": {"trace": "start"}}),
    ("trace_state", "GET", "root", MEMORY, {"params": {"trace": "top"}}),
    ("bad_trace", "POST", "root", MEMORY, {}),
    ("bad_frames", "POST", "root", MEMORY, {"params": {"trace": "start", "frames": "11"}}),
    ("bad_seconds", "POST", "root", MEMORY, {"params": {"trace": "start", "seconds": "901"}}),
    ("trace_state", "POST", "root", MEMORY, {"params": {"trace": "stop"}}),
    ("forbidden", "POST", "ann", MEMORY, {"params": {"trace": "start"}}),
    ("upgrade_required", "GET", None, "/ws/node", {}),
]


@pytest.mark.parametrize(("reason", "method", "who", "path", "options"), CASES)
def test_a_rejection_is_as_described(
    server: Secured, document: dict[str, Any], reason: str, method: str, who: str | None, path: str, options: Any
) -> None:
    answer = server.ask(who, method, path.format(**NOBODY), **options)
    assert answer.json()["reason"] == reason
    assert violations(document, method, path, answer) == []


def test_bounds_are_as_described(server: Secured, document: dict[str, Any]) -> None:
    """429 and 503 have a time after which to retry; a request id of another job is a conflict."""

    def submit(who: str, key: str, audio: bytes = TONE) -> httpx.Response:
        return server.ask(who, "POST", JOBS, params=PAIR, content=audio, headers={"idempotency-key": key})

    assert submit("bob", "bob-1").status_code == 202
    answers = {
        "waiting_max": submit("ann", "ann-1"),
        "request_id_conflict": submit("bob", "bob-1", TONE + b"\0\0"),
    }
    answers["rate"] = wait_until(lambda: limited(server))[0]
    for reason, answer in answers.items():
        assert answer.json()["reason"] == reason
        assert violations(document, "POST", JOBS, answer) == []


def limited(server: Secured) -> list[httpx.Response]:
    """Let bob submit one job more than he may."""
    answer = server.ask("bob", "POST", JOBS, params=PAIR, content=TONE)
    return [answer] if answer.status_code == 429 else []


def test_a_stream_beyond_the_limit_of_viewers_is_rejected(server: Secured, document: dict[str, Any]) -> None:
    with httpx.stream("GET", server.url + DASHBOARD, headers=server.keys.header("root"), trust_env=False) as first:
        assert first.status_code == 200
        answer = server.ask("root", "GET", DASHBOARD)
    assert answer.json()["reason"] == "viewers_max" and violations(document, "GET", DASHBOARD, answer) == []


UPGRADE = b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
RAW = {
    "bad_request": b"this is no HTTP\r\n\r\n",
    "slow_head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
    "slow_body": b"POST /v1/jobs?pair=a:c HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n"
    b"Content-Length: 99\r\n\r\nRIFF",
    "small_parts": b"POST /v1/jobs?pair=a:c HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\ny\r\n" * 1000,
    "head_too_large": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %b" % (b"x" * 200_000),
}


@pytest.mark.parametrize("reason", RAW)
def test_malformed_requests_are_answered_as_described(server: Secured, document: dict[str, Any], reason: str) -> None:
    sent = RAW[reason].replace(b"%b", server.keys.secrets["ann"].encode())
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        head, body = answer_of(connection)
    status = int(head.split(b" ")[1])
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    answer = httpx.Response(status, headers=list(headers.items()), content=body)
    assert answer.json()["reason"] == reason
    method, path = ("POST", JOBS) if b"POST" in sent else ("GET", "/healthz")
    assert violations(document, method, path, answer) == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /ws/session" + UPGRADE + b"\r\n", 400),  # no key
        (b"GET /ws/session" + UPGRADE + b"Sec-WebSocket-Key: x\r\n\r\n", 400),
        (b"GET /ws/session" + UPGRADE + b"Sec-WebSocket-Key: %b\r\nContent-Length: 5\r\n\r\n", 400),
        (b"POST /ws/session" + UPGRADE + b"Sec-WebSocket-Key: %b\r\n\r\n", 405),
        (b"GET /ws/nothing" + UPGRADE + b"Sec-WebSocket-Key: %b\r\n\r\n", 404),
        (b"GET /v1/jobs" + UPGRADE + b"Sec-WebSocket-Key: %b\r\n\r\n", 404),
    ],
)
def test_a_rejected_handshake_is_answered_with_a_problem(
    server: Secured, document: dict[str, Any], sent: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(sent.replace(b"%b", base64.b64encode(bytes(16))))
        head, body = answer_of(connection)
    assert head.startswith(b"HTTP/1.1 %d " % status) and problems.MEDIA_TYPE.encode() in head, head
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(json.loads(body))


def test_a_connection_beyond_the_limit_is_rejected(server: Secured, document: dict[str, Any]) -> None:
    with contextlib.ExitStack() as open_ones:
        for _ in range(6):  # idle connections would be closed to make room
            known = open_ones.enter_context(httpx.Client(base_url=server.url, trust_env=False))
            known.get(JOBS, headers=server.keys.header("root"))
        answer = refused(server)[0]
    assert violations(document, "GET", JOBS, answer) == []


def test_unknown_paths_and_methods_are_problems(server: Secured, document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    for method, path, status in (("GET", "/v1/nothing", 404), ("PUT", JOBS, 405)):
        answer = server.ask("root", method, path)
        assert answer.status_code == status and answer.headers["content-type"] == problems.MEDIA_TYPE
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json())


def test_every_reason_with_a_status_is_tested(document: dict[str, Any]) -> None:
    described = {
        reason
        for methods in document["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for reason in answer["content"][problems.MEDIA_TYPE]["schema"]["allOf"][1]["properties"]["reason"]["enum"]
    }
    provoked = {case[0] for case in CASES} | set(RAW) | {"waiting_max", "request_id_conflict", "rate", "viewers_max"}
    assert described - provoked - ELSEWHERE == {"connections_max"}


def refused(server: Secured) -> list[httpx.Response]:
    """Send a request; return the response if the scheduler is busy."""
    answer = server.ask("root", "GET", JOBS)
    return [answer] if answer.status_code == 503 else []


def answer_of(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return head and body of the single response that comes before the connection ends."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body
