"""The HTTP door that shows why a job went to its node, or waits: the decisions about it, and the state of its pool."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.waiting import Place, Standing
from voxpool.scheduler.core.why import Decision
from voxpool.scheduler.protocol.answers import JobView
from voxpool.scheduler.web.jobs import find_job
from voxpool.scheduler.web.views import job_view

NODES_A_TURN = 1000
"""Nodes that are looked at before other work gets its turn."""


class PoolNow(msgspec.Struct):
    """The connected nodes that serve the job's pair, each counted once: by its state, and ready ones by their room."""

    nodes: int = 0
    with_room: int = 0
    full: int = 0
    draining: int = 0
    resting: int = 0
    joining: int = 0


class WhyView(msgspec.Struct):
    """`decisions`, the oldest first, are there of a `followed` job only; `dropped` older ones were forgotten.

    They are those of this scheduler: another one may have run the job.
    """

    job: JobView
    followed: bool
    dropped: int
    decisions: list[Decision]
    pool: PoolNow
    """Of this scheduler: the others have nodes, too, where the jobs are in Redis."""
    waiting: Place | None
    """Where it waits; null unless it does, and the setting order is fair."""
    shared: Standing | None = None
    """What Redis has of it; null with jobs in memory, and when it has ended."""


class WhyDoor:
    """GET /v1/jobs/{job_id}/why."""

    def __init__(self, settings: Settings, core: Core) -> None:
        self._settings = settings
        self._core = core

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [Route("/v1/jobs/{job_id}/why", self.why, methods=["GET"])]

    async def why(self, request: Request) -> Response:
        """Show the decisions about a job, and the state of its pool."""
        dispatcher = self._core.dispatcher
        job, shared, place = await dispatcher.standing(await find_job(request, dispatcher, self._settings))
        pool = await self._pool(job.pair)
        followed = self._core.why.of(job.job_id)
        view = WhyView(
            job=job_view(job, with_output=False),
            followed=followed is not None,
            dropped=0 if followed is None else followed.dropped,
            decisions=[] if followed is None else list(followed.decisions),
            pool=pool,
            waiting=place,
            shared=shared,
        )
        return Response(msgspec.json.encode(view), media_type="application/json")

    async def _pool(self, pair: str) -> PoolNow:
        pool = PoolNow()
        for count, node in enumerate(list(self._core.node_registry.nodes.values()), 1):
            if pair in node.pairs:
                pool.nodes += 1
                state = node.state
                if state == "ready":
                    state = "with_room" if len(node.reservations) < node.slots else "full"
                setattr(pool, state, getattr(pool, state) + 1)
            if count % NODES_A_TURN == 0:
                await asyncio.sleep(0)
        return pool
