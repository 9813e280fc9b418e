"""Authorization: each route of the application has its entry in the table of roles, and each entry its route."""

from __future__ import annotations

import io
import random
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from tests.unit.fakes import HandClock
from tests.unit.metrics_rig import MeteredRig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.security.authentication import AccessRefused, Authentication
from voxpool.scheduler.security.caller import ANYBODY, Caller, Role
from voxpool.scheduler.security.tokens import Tokens, digest_of
from voxpool.scheduler.telemetry.dashboard.snapshot import Dashboard
from voxpool.scheduler.telemetry.logs.log import open_log
from voxpool.scheduler.web import problems
from voxpool.scheduler.web.app import Doors
from voxpool.scheduler.web.gates.authorization import (
    OPEN,
    ROLES,
    WEBSOCKET,
    Authorization,
    UnguardedRoute,
    caller_of,
    guard_routes,
)
from voxpool.scheduler.web.health import Health
from voxpool.scheduler.web.sessions.results import Results

SECRETS = {role: f"the secret of a {role}" for role in Role}


def routes_of_voxpool() -> list[BaseRoute]:
    """Return the routes of a scheduler as it runs, with its metrics."""
    rig = MeteredRig()
    log = open_log(io.BytesIO(), HandClock())
    results = Results(10, 1000)
    unseen = cast("Dashboard", object())  # it is not read
    doors = Doors(
        Settings(), rig.core, results, Health(), Observer(), random.Random(1), log, rig.exporter, dashboard=unseen
    )
    return doors.app.routes


def authentication() -> Authentication:
    """One token of each role."""
    return Authentication(
        Tokens([Caller(f"a-{role}", role, None, digest_of(secret)) for role, secret in SECRETS.items()])
    )


def keys_of(route: BaseRoute) -> set[tuple[str, str]]:
    if isinstance(route, WebSocketRoute):
        return {(WEBSOCKET, route.path)}
    assert isinstance(route, Route)
    return {(method, route.path) for method in route.methods or () if method != "HEAD"}


def test_the_table_has_exactly_the_routes() -> None:
    """An entry of a removed route would hide that a new route of the same name is open."""
    there = set().union(*(keys_of(route) for route in routes_of_voxpool()))
    assert there == set(ROLES)


async def _hello(request: Request) -> Response:
    return PlainTextResponse(caller_of(request).name)


async def _socket(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("not reached")


@pytest.mark.parametrize(
    "route",
    [
        Route("/v1/new", _hello, methods=["GET"]),
        Route("/v1/jobs", _hello, methods=["GET", "PUT"]),
        Route("/assets", _hello, methods=["GET"]),
        Route("/healthz/", _hello, methods=["GET"]),
        WebSocketRoute("/v1/jobs", _socket),
        Mount("/assets", Starlette()),
        Mount("/v1/jobs", routes=[Route("/{job_id}", _hello, methods=["GET"])]),
    ],
)
def test_an_application_with_an_unlisted_route_does_not_start(route: BaseRoute) -> None:
    """Neither another path, nor another method, nor an additional slash, nor a mount under a listed path is."""
    with pytest.raises(UnguardedRoute):
        guard_routes([route])
    with pytest.raises(UnguardedRoute):
        Authorization(Starlette(routes=[route]), Authentication(), Observer())


def guarded(the_authentication: Authentication) -> httpx.AsyncClient:
    """A client of an application that has each HTTP route of the table, and answers with the caller's name."""
    routes = [
        Route(path, _open if roles is OPEN else _hello, methods=[method])
        for (method, path), roles in ROLES.items()
        if method != WEBSOCKET
    ]
    app = Starlette(routes=routes, exception_handlers={AccessRefused: problems.on_access_refused})
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(Authorization(app, the_authentication, Observer())), base_url="http://127.0.0.1"
    )


async def _open(request: Request) -> Response:
    return PlainTextResponse("open")


@pytest.mark.parametrize("role", Role)
async def test_each_role_has_the_permissions_of_the_table(role: Role) -> None:
    async with guarded(authentication()) as client:
        for (method, path), roles in ROLES.items():
            if method != WEBSOCKET:
                head = {"authorization": f"Bearer {SECRETS[role]}"}
                answer = await client.request(method, path, headers=head)
                expected = (200, "open") if roles is OPEN else (200, f"a-{role}") if role in roles else (403, None)
                assert answer.status_code == expected[0], (method, path, answer.text)
                assert answer.text == (expected[1] or answer.text)
                if method == "GET":
                    assert (await client.head(path, headers=head)).status_code == expected[0]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer wrong")],
        [("authorization", SECRETS[Role.ADMIN])],
        [("authorization", f"Basic {SECRETS[Role.ADMIN]}")],
        [("authorization", f"Bearer {SECRETS[Role.ADMIN]}x")],
        [("authorization", f"Bearer {SECRETS[Role.ADMIN]}, Bearer wrong")],
        [("authorization", f"Bearer {digest_of(SECRETS[Role.ADMIN])}")],
        [("authorization", "Bearer " + "x" * 20_000)],
        [("authorization", "Bearer \xff\xfe")],
        [("authorization", f"Bearer {SECRETS[Role.ADMIN]}"), ("authorization", "Bearer wrong")],
        [("x-authorization", f"Bearer {SECRETS[Role.ADMIN]}")],
        [("cookie", f"authorization=Bearer {SECRETS[Role.ADMIN]}")],
    ],
)
async def test_without_a_valid_token_only_public_routes_answer(headers: list[tuple[str, str]]) -> None:
    async with guarded(authentication()) as client:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        for (method, path), roles in ROLES.items():
            if method != WEBSOCKET:
                answer = await client.request(method, path, headers=raw)
                assert answer.status_code == (200 if roles is OPEN else 401), (method, path)
                if roles is not OPEN:
                    assert answer.headers["www-authenticate"].startswith("Bearer ")
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.json()["reason"] == "unauthorized"


async def test_without_tokens_every_caller_is_accepted() -> None:
    async with guarded(Authentication()) as client:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            assert (await client.get("/v1/nodes", headers=headers)).text == ANYBODY.name
