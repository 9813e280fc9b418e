"""The doors for diagnosis: the memory of this process, and the facts that it depends on."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from voxpool.leakgate.errors import BadRequest, TraceError
from voxpool.leakgate.inside.door import TYPES_DEFAULT, TYPES_MAX, switch
from voxpool.leakgate.inside.report import MemoryReporter
from voxpool.leakgate.inside.tracing import FRAMES_MAX, TRACE_SECONDS_MAX, Tracer
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.telemetry.checkup import CheckupReporter
from voxpool.scheduler.web.requests.query import whole_number


class DebugDoor:
    """GET and POST /v1/debug/memory, GET /v1/debug/checkup."""

    def __init__(self, memory: MemoryReporter, checkup: CheckupReporter) -> None:
        self._memory = memory
        self._tracer = Tracer()
        self._checkup = checkup

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [
            Route("/v1/debug/memory", self.memory, methods=["GET"]),
            Route("/v1/debug/memory", self.trace, methods=["POST"]),
            Route("/v1/debug/checkup", self.checkup, methods=["GET"]),
        ]

    async def memory(self, request: Request) -> Response:
        """Answer with a MemoryReport; leakgate/inside/door.py has its parameters."""
        collect = whole_number(request, "gc", 0, 1) == 1
        types = whole_number(request, "types", 0, TYPES_MAX)
        sizes = whole_number(request, "sizes", 0, 1) == 1
        word = request.query_params.get("trace")
        if word not in (None, "top"):
            raise BadInput("bad_trace", f"trace={word[:80]!r}: top")
        trace = None
        if word is not None:
            try:
                trace = await asyncio.to_thread(self._tracer.top)
            except TraceError as error:
                raise BadInput("trace_state", str(error)) from error
        report = await self._memory.report(collect, TYPES_DEFAULT if types is None else types, sizes)
        report.trace = trace
        return _fresh(report)

    async def trace(self, request: Request) -> Response:
        """Switch the tracing of allocations and answer with its state."""
        frames = whole_number(request, "frames", 1, FRAMES_MAX) or 1
        seconds = whole_number(request, "seconds", 1, TRACE_SECONDS_MAX) or TRACE_SECONDS_MAX
        word = request.query_params.get("trace", "")
        try:
            state = await asyncio.to_thread(switch, self._tracer, word, frames, seconds)
        except BadRequest as error:
            raise BadInput("bad_trace", str(error)) from error
        except TraceError as error:
            raise BadInput("trace_state", str(error)) from error
        return _fresh(state)

    async def checkup(self, request: Request) -> Response:
        """Answer with a Checkup, from which `voxpool doctor` finds what is wrong."""
        return _fresh(await self._checkup.report())


def _fresh(report: msgspec.Struct) -> Response:
    body = msgspec.json.encode(report)
    return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")
