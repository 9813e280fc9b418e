"""Errors of the doors become answers once: handled ones are quiet, a bug is answered and raised for the log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.web.app import ERRORS
from voxpool.scheduler.web.gates.errors_answered import Endpoint, answer_errors


async def bad(request: Request) -> Response:
    raise BadInput("bad_pair", "no pair")


async def broken(request: Request) -> Response:
    raise ZeroDivisionError("ours")


async def cut_short(request: Request) -> Response:
    async def parts() -> Any:
        yield b"one"
        raise BadInput("bad_pair", "too late")

    return StreamingResponse(parts())


async def answered(path: str, method: str = "GET") -> tuple[list[int], BaseException | None]:
    """Return the statuses of the answers to one request, and what was raised for the log."""
    routes = [Route("/bad", Endpoint(bad)), Route("/bad2", bad), Route("/broken", broken), Route("/cut", cut_short)]
    app = Starlette(routes=routes)
    answer_errors(app, ERRORS)
    statuses: list[int] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "headers": [],
        "query_string": b"",
    }
    try:
        await app(scope, receive, send)
    except Exception as error:
        return statuses, error
    return statuses, None


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/bad", "GET", 422), ("/bad2", "GET", 422), ("/none", "GET", 404), ("/bad2", "DELETE", 405)],
)
async def test_an_error_that_is_known_is_answered_and_not_raised(path: str, method: str, status: int) -> None:
    assert await answered(path, method) == ([status], None)


async def test_a_bug_is_answered_and_raised() -> None:
    statuses, raised = await answered("/broken")
    assert statuses == [500] and isinstance(raised, ZeroDivisionError)


async def test_an_answer_that_has_begun_gets_no_second_one() -> None:
    statuses, raised = await answered("/cut")
    assert statuses == [200] and raised is not None
