"""The HTTP door that shows whose jobs wait. It counts when it is asked."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.protocol.answers import KeyWaiting, PriorityWaiting, WaitingView
from voxpool.scheduler.telemetry.waiting_count import count_priorities, count_waiting, priorities
from voxpool.scheduler.web.requests.query import whole_number

TOP_MAX = 100
TOP = 10


class WaitingDoor:
    """GET /v1/waiting. `now_ms` is the clock of the core."""

    def __init__(self, core: Core, now_ms: Callable[[], int]) -> None:
        self._core = core
        self._now_ms = now_ms

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [Route("/v1/waiting", self.waiting, methods=["GET"])]

    async def waiting(self, request: Request) -> Response:
        """Show the waiting jobs by priority, and the `top` keys with most of them."""
        top = whole_number(request, "top", 1, TOP_MAX) or TOP
        core, now_ms = self._core, self._now_ms()
        found = await count_waiting(core)
        largest = heapq.nsmallest(top, found.keys.items(), key=lambda item: (-item[1], item[0]))
        of_keys = await count_priorities(core, [key for key, _ in largest])
        by_priority = found.by_priority()
        view = WaitingView(
            waiting=found.total,
            keys=len(found.keys),
            priorities=[
                PriorityWaiting(priority, by_priority[priority], max(0, now_ms - found.since_ms.get(priority, now_ms)))
                for priority in priorities(core)
            ],
            top=[
                KeyWaiting(key, jobs, round(jobs / found.total, 4), dict(sorted(of_keys[key].items())))
                for key, jobs in largest
            ],
        )
        return Response(msgspec.json.encode(view), media_type="application/json")
