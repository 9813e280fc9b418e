"""The doors for who looks for trouble: what the memory of this process is made of, and what it depends on."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scheduler.telemetry.checkup import CheckupReporter
from scheduler.telemetry.memory_report import MemoryReporter
from scheduler.web.query import whole_number

TYPES_MAX = 1000
TYPES_DEFAULT = 30


class DebugDoor:
    """GET /v1/debug/memory and /v1/debug/checkup."""

    def __init__(self, memory: MemoryReporter, checkup: CheckupReporter) -> None:
        self._memory = memory
        self._checkup = checkup

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [
            Route("/v1/debug/memory", self.memory, methods=["GET"]),
            Route("/v1/debug/checkup", self.checkup, methods=["GET"]),
        ]

    async def memory(self, request: Request) -> Response:
        """Answer with a MemoryReport; gc=1 collects garbage first, `types` is how many types are named."""
        collect = whole_number(request, "gc", 0, 1) == 1
        types = whole_number(request, "types", 0, TYPES_MAX)
        report = await self._memory.report(collect, TYPES_DEFAULT if types is None else types)
        return _fresh(report)

    async def checkup(self, request: Request) -> Response:
        """Answer with a Checkup, from which `voxpool doctor` tells what is wrong."""
        return _fresh(await self._checkup.report())


def _fresh(report: msgspec.Struct) -> Response:
    body = msgspec.json.encode(report)
    return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")
