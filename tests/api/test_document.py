"""The OpenAPI document describes all routes and no others; each error has its documented status."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from starlette.routing import BaseRoute, Route, WebSocketRoute

from tests.unit.metrics_rig import MeteredRig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.telemetry.dashboard.snapshot import Dashboard
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web import problems
from voxpool.scheduler.web.app import Doors
from voxpool.scheduler.web.health import Health
from voxpool.scheduler.web.openapi.docs_page import page
from voxpool.scheduler.web.openapi.document import document
from voxpool.scheduler.web.openapi.operations import operations
from voxpool.scheduler.web.sessions.results import Results

SETTINGS = Settings()
Pairs = set[tuple[str, str]]


@pytest.fixture
async def routes() -> list[BaseRoute]:
    """All routes."""
    rig = MeteredRig()
    results, log = Results(1, 1), Log(lambda event, fields: None, level=100)
    dashboard = cast("Dashboard", object())  # it is not read
    observer, chance = rig.meters.observer, random.Random(1)
    doors = Doors(SETTINGS, rig.core, results, Health(), observer, chance, log, rig.exporter, dashboard=dashboard)
    return list(doors.app.routes)


@pytest.fixture(params=[False, True], ids=["open", "secured"])
def shown(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The served document, without and with tokens."""
    return document(operations(SETTINGS), secured=request.param)


def of_routes(routes: list[BaseRoute]) -> Pairs:
    """The methods of the routes; HEAD comes with each GET."""
    found = set()
    for route in routes:
        assert isinstance(route, Route | WebSocketRoute), route
        methods = {"GET"} if isinstance(route, WebSocketRoute) else (route.methods or set()) - {"HEAD"}
        found |= {(method, route.path) for method in methods}
    return found


def of_document(document: dict[str, Any]) -> Pairs:
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


async def test_exactly_the_routes_are_described(routes: list[BaseRoute], shown: dict[str, Any]) -> None:
    assert of_routes(routes) == of_document(shown)


async def test_a_route_without_an_entry_is_noticed(routes: list[BaseRoute], shown: dict[str, Any]) -> None:
    """A planted bug, in either direction."""

    async def answer(request: Any) -> Any:
        raise AssertionError

    assert of_routes([*routes, Route("/v1/new", answer)]) - of_document(shown) == {("GET", "/v1/new")}
    del shown["paths"]["/v1/pools"]
    assert of_routes(routes) - of_document(shown) == {("GET", "/v1/pools")}


def test_references_resolve_and_operations_have_unique_names(shown: dict[str, Any]) -> None:
    names = [operation["operationId"] for methods in shown["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    for name in references(shown):
        assert name in shown["components"]["schemas"]


def test_parameters_in_the_path_are_described(shown: dict[str, Any]) -> None:
    for path, methods in shown["paths"].items():
        for operation in methods.values():
            named = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
            assert re.findall(r"{(\w+)}", path) == named


def test_each_error_lists_its_reasons_and_they_have_that_status(shown: dict[str, Any]) -> None:
    reasons: dict[str, str] = {}
    for methods in shown["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"][problems.MEDIA_TYPE]["schema"]
                    assert schema["allOf"][0] == {"$ref": "#/components/schemas/Problem"}
                    words = schema["allOf"][1]["properties"]["reason"]["enum"]
                    assert words and ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503"))
                    for word in words:
                        assert reasons.setdefault(word, status) == status, word
    undescribed = {"not_found", "method_not_allowed"}  # of paths and methods that the document doesn't have
    missing = set(problems.STATUS) - set(reasons) - undescribed
    assert missing == (set() if "securitySchemes" in shown["components"] else {"unauthorized", "forbidden"})


class Links(HTMLParser):
    """Collects the links of a page, the files that it loads, and its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.targets.append(value or "")
            elif name == "id":
                self.ids.append(value or "")


def test_the_page_shows_the_whole_document_and_loads_no_foreign_files(shown: dict[str, Any]) -> None:
    links = Links()
    links.feed(page(shown))
    assert "script" not in links.tags and len(links.ids) == len(set(links.ids))
    names = {operation["operationId"] for methods in shown["paths"].values() for operation in methods.values()}
    assert names <= set(links.ids)
    for target in links.targets:
        assert target[1:] in links.ids if target.startswith("#") else target.startswith("/"), target


def test_the_page_escapes_its_texts(shown: dict[str, Any]) -> None:
    shown["info"]["description"] = "<script>alert(1)</script> & `<b>`"
    assert "<script>" not in page(shown) and "<code>&lt;b&gt;</code>" in page(shown)


def references(part: Any) -> list[str]:
    """The names of all schemas that `part` refers to."""
    if isinstance(part, dict):
        own = [part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else []
        return own + [name for value in part.values() for name in references(value)]
    return [name for value in part for name in references(value)] if isinstance(part, list) else []
