"""Invalid input over HTTP: each request gets a problem that says what to do, and the job in flight continues."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import GoodFlow
from tests.e2e.processes import TONE, Scheduler

MB = 1_000_000


@pytest.fixture
async def http(scheduler: Scheduler) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as client:
        yield client


def is_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """Check the form of an error and return its body."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    body: dict[str, Any] = response.json()
    assert (body["status"], body["reason"]) == (status, reason)
    assert body["type"] == f"urn:voxpool:problem:{reason}" and body["detail"]
    return body


@pytest.mark.parametrize(
    ("audio", "status", "reason"),
    [
        (b"", 422, "empty_audio"),
        (b"plain text, no audio", 415, "not_audio"),
        (b"RIFF", 415, "not_audio"),
        (b"\x00" * 50_000, 415, "not_audio"),
        (TONE + b"\x00" * MB, 413, "audio_too_large"),
    ],
)
async def test_audio_that_cannot_be_a_wav_is_rejected(
    http: httpx.AsyncClient, good_flow: GoodFlow, audio: bytes, status: int, reason: str
) -> None:
    is_problem(await http.post("/v1/jobs", params={"pair": good_flow.pair}, content=audio), status, reason)


async def test_chunked_audio_is_rejected_as_soon_as_it_is_too_large(
    http: httpx.AsyncClient, good_flow: GoodFlow
) -> None:
    """Without a Content-Length the scheduler counts bytes."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"\x00" * 100_000

    is_problem(await http.post("/v1/jobs", params={"pair": good_flow.pair}, content=pieces()), 413, "audio_too_large")


async def test_a_body_of_100_mb_is_rejected_before_it_is_read(http: httpx.AsyncClient, good_flow: GoodFlow) -> None:
    response = await http.post("/v1/jobs", params={"pair": good_flow.pair}, content=b"\x00" * (100 * MB))
    is_problem(response, 413, "audio_too_large")


@pytest.mark.parametrize("wrong", ["", "zh", "zh:", "ZH:EN", "zh:en:fr", "zh en", "a" * 17 + ":en", "zh:en\n"])
async def test_an_invalid_pair_is_rejected(http: httpx.AsyncClient, good_flow: GoodFlow, wrong: str) -> None:
    body = is_problem(await http.post("/v1/jobs", params={"pair": wrong}, content=TONE), 422, "bad_pair")
    assert "zh:en" in body["detail"]


@pytest.mark.parametrize(
    ("params", "headers", "reason"),
    [
        ({"wait_s": "soon"}, {}, "bad_wait_s"),
        ({"wait_s": "-1"}, {}, "bad_wait_s"),
        ({"wait_s": "nan"}, {}, "bad_wait_s"),
        ({"timeout_ms": "0"}, {}, "bad_timeout_ms"),
        ({"timeout_ms": "1.5"}, {}, "bad_timeout_ms"),
        ({"session": "two words"}, {}, "bad_session_id"),
        ({"wait_s": "1000000001"}, {}, "bad_wait_s"),
        ({}, {"idempotency-key": "k" * 65}, "bad_request_id"),
        ({}, {"idempotency-key": ""}, "bad_request_id"),
    ],
)
async def test_parameters_have_bounds(
    http: httpx.AsyncClient, good_flow: GoodFlow, params: dict[str, str], headers: dict[str, str], reason: str
) -> None:
    answer = await http.post("/v1/jobs", params={"pair": good_flow.pair, **params}, headers=headers, content=TONE)
    is_problem(answer, 422, reason)


async def test_unknown_jobs_paths_and_methods_are_problems_too(http: httpx.AsyncClient, good_flow: GoodFlow) -> None:
    is_problem(await http.get("/v1/jobs/nobody-knows-it"), 404, "unknown_job")
    is_problem(await http.delete("/v1/jobs/nobody-knows-it"), 404, "unknown_job")
    is_problem(await http.get("/v1/nothing"), 404, "not_found")
    is_problem(await http.put("/v1/jobs"), 405, "method_not_allowed")
    is_problem(await http.get("/v1/nodes", params={"limit": "many"}), 422, "bad_limit")
    is_problem(await http.get("/v1/jobs", params={"limit": "0"}), 422, "bad_limit")
    is_problem(await http.get("/v1/jobs", params={"cursor": "-1"}), 422, "bad_cursor")
    is_problem(await http.get("/v1/jobs", params={"state": "lost"}), 422, "bad_state")
    is_problem(await http.get("/v1/jobs", params={"state": ""}), 422, "bad_state")
    is_problem(await http.get("/v1/pools", params={"cursor": ""}), 422, "bad_cursor")


async def test_a_request_id_names_one_job_only(http: httpx.AsyncClient, good_flow: GoodFlow) -> None:
    """The same id with the same audio is the same job; with other audio it is a conflict."""
    key = {"idempotency-key": f"key-{good_flow.pair.replace(':', '-')}"}
    params = {"pair": good_flow.pair}
    first = await http.post("/v1/jobs", params=params, headers=key, content=TONE)
    again = await http.post("/v1/jobs", params=params, headers=key, content=TONE)
    assert first.status_code == again.status_code == 202
    assert first.json()["job_id"] == again.json()["job_id"]
    is_problem(await http.post("/v1/jobs", params=params, headers=key, content=TONE + TONE), 409, "request_id_conflict")


async def test_a_head_without_end_is_closed(http: httpx.AsyncClient, good_flow: GoodFlow) -> None:
    """The HTTP parser has no limit; ours answers 431 and closes."""
    response = await http.get("/healthz", headers={"x-long": "x" * 200_000})
    assert response.status_code == 431


async def test_unknown_fields_of_a_form_are_ignored(http: httpx.AsyncClient, good_flow: GoodFlow) -> None:
    """Peers of different versions work together, as with messages; a known field must occur once."""
    odd: list[Any] = [("mood", (None, "x" * 5000)), ("mood", (None, "")), ("audio", ("a.wav", TONE))]
    pair = ("pair", (None, good_flow.pair))
    assert (await http.post("/v1/jobs", files=[*odd, pair])).status_code == 202
    is_problem(await http.post("/v1/jobs", files=[*odd, pair, pair]), 422, "given_twice")
