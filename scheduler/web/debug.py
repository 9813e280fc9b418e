"""The door for who looks for a leak: what the memory of this process is made of."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scheduler.telemetry.memory_report import MemoryReporter
from scheduler.web.query import whole_number

TYPES_MAX = 1000
TYPES_DEFAULT = 30


class DebugDoor:
    """GET /v1/debug/memory."""

    def __init__(self, reporter: MemoryReporter) -> None:
        self._reporter = reporter

    def routes(self) -> list[BaseRoute]:
        """Return the route of this door."""
        return [Route("/v1/debug/memory", self.memory, methods=["GET"])]

    async def memory(self, request: Request) -> Response:
        """Answer with a MemoryReport; gc=1 collects garbage first, `types` is how many types are named."""
        collect = whole_number(request, "gc", 0, 1) == 1
        types = whole_number(request, "types", 0, TYPES_MAX)
        report = await self._reporter.report(collect, TYPES_DEFAULT if types is None else types)
        body = msgspec.json.encode(report)
        return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")
