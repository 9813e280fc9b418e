"""A scheduler with one planted bug, to prove that the fuzzers find it: python -m tests.api.planted BUG serve …

Production code does not depend on it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from voxpool.scheduler.cli import main
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol.codec import Codec
from voxpool.scheduler.web.fleet_views import FleetDoor
from voxpool.scheduler.web.jobs import JobDoor
from voxpool.scheduler.web.nodes import NodeConnection
from voxpool.scheduler.web.sessions.door import SessionDoor


def dies_of_a_missing_field() -> None:
    """A message that can't be decoded ends the handler instead of being answered."""
    explain = Codec._explain

    def planted(self: Codec[Any], error: Exception, binary: bool) -> BadInput:
        if "missing required field" in str(error):
            raise KeyError(str(error))
        return explain(self, error, binary)

    Codec._explain = planted  # type: ignore[method-assign]


def ignores_a_node_after_a_drain() -> None:
    """A node that takes jobs again after a drain is ignored, but stays connected."""
    on_frame = NodeConnection._on_frame
    deaf: set[int] = set()

    def planted(self: NodeConnection, data: bytes, binary: bool) -> bool:
        if b"drain" in data:
            deaf.add(id(self))
        return id(self) in deaf or on_frame(self, data, binary)

    NodeConnection._on_frame = planted  # type: ignore[method-assign]


def leaves_a_task() -> None:
    """A task waits for ever for each client that was rejected."""
    turn_away = SessionDoor._turn_away
    tasks = []

    def planted(self: SessionDoor, *arguments: Any, **options: Any) -> None:
        tasks.append(asyncio.ensure_future(asyncio.Event().wait()))
        turn_away(self, *arguments, **options)

    SessionDoor._turn_away = planted  # type: ignore[method-assign]


def keeps_sessions() -> None:
    """A session whose client disconnected without a goodbye is kept."""
    stays_away = SessionDoor._stays_away

    def planted(self: SessionDoor, key: str) -> None:
        kept = self._sessions[key]
        stays_away(self, key)
        self._sessions[f"{key} {id(kept)}"] = kept

    SessionDoor._stays_away = planted  # type: ignore[method-assign]


def fails_on_a_page_of_one() -> None:
    """A list of one job is an internal error."""
    page = JobDoor.page

    async def planted(self: JobDoor, request: Request) -> Response:
        if request.query_params.get("limit") == "1":
            raise ZeroDivisionError
        return await page(self, request)

    JobDoor.page = planted  # type: ignore[method-assign]


def takes_any_cursor() -> None:
    """An invalid cursor of pools is accepted."""
    pools = FleetDoor.pools

    async def planted(self: FleetDoor, request: Request) -> Response:
        try:
            return await pools(self, request)
        except BadInput:
            return Response('{"pools": [], "total": 0, "next_cursor": null}', media_type="application/json")

    FleetDoor.pools = planted  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        *(dies_of_a_missing_field, ignores_a_node_after_a_drain, leaves_a_task, keeps_sessions),
        *(fails_on_a_page_of_one, takes_any_cursor),
    )
}

if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    main()
