"""The HTTP door of nodes and pools, and of health: what is there, and whether it works."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scheduler.config import Settings
from scheduler.core import Core
from scheduler.web.health import Health
from scheduler.web.problems import problem
from scheduler.web.query import whole_number
from scheduler.web.views import NodeView, PoolView, node_view

PAGE_MAX = 1000
NODES_A_TURN = 1000
"""Nodes that are looked at before other work gets its turn."""


class NodePage(msgspec.Struct):
    """Some of the nodes; `next_cursor` asks for the following ones."""

    nodes: list[NodeView]
    total: int
    next_cursor: str | None


class PoolPage(msgspec.Struct):
    """All pools."""

    pools: list[PoolView]


class FleetDoor:
    """Nodes, pools and health over HTTP."""

    def __init__(self, settings: Settings, core: Core, health: Health) -> None:
        self._settings = settings
        self._core = core
        self._health = health

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [
            Route("/healthz", self.alive, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/v1/nodes", self.nodes, methods=["GET"]),
            Route("/v1/pools", self.pools, methods=["GET"]),
        ]

    async def alive(self, request: Request) -> Response:
        """Say that the process answers."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def ready(self, request: Request) -> Response:
        """Say whether jobs can be placed: 503 while the store does not answer."""
        if self._health.store_up:
            return Response(b'{"status":"ready"}', media_type="application/json")
        detail = self._health.store_error or "the store has not answered yet"
        return problem(503, "store_unavailable", detail, 1000)

    async def nodes(self, request: Request) -> Response:
        """List the connected nodes, at most `limit` from `cursor` on."""
        limit = whole_number(request, "limit", 1, PAGE_MAX) or PAGE_MAX
        start = whole_number(request, "cursor", 0, 10**9) or 0
        nodes = self._core.fleet.nodes
        page = [node_view(node) for node in itertools.islice(nodes.values(), start, start + limit)]
        following = str(start + limit) if start + limit < len(nodes) else None
        return _json(NodePage(page, len(nodes), following))

    async def pools(self, request: Request) -> Response:
        """Sum up the nodes and waiting jobs of each pair."""
        pools: dict[str, PoolView] = {}
        for count, node in enumerate(list(self._core.fleet.nodes.values()), 1):
            for pair in node.pairs:
                pool = pools.get(pair) or pools.setdefault(pair, PoolView(pair))
                pool.nodes += 1
                pool.slots += node.slots
            for job in node.holds.values():
                pool = pools.get(job.pair) or pools.setdefault(job.pair, PoolView(job.pair))
                pool.running += 1
            if count % NODES_A_TURN == 0:
                await asyncio.sleep(0)
        for pair, waiting in self._core.waiting.counts():
            pool = pools.get(pair) or pools.setdefault(pair, PoolView(pair))
            pool.waiting = waiting
        return _json(PoolPage([pools[pair] for pair in sorted(pools)]))


def _json(page: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(page), media_type="application/json")
