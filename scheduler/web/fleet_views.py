"""The HTTP door of nodes and pools, and of health."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol.answers import NodeView, PoolView
from voxpool.scheduler.web.gates.rate_limit import RateLimit
from voxpool.scheduler.web.health import Health
from voxpool.scheduler.web.problems import problem
from voxpool.scheduler.web.requests.bodies import PAIR
from voxpool.scheduler.web.requests.query import truth_of, whole_number
from voxpool.scheduler.web.views import node_view

PAGE_MAX = 1000
NODES_A_TURN = 1000
"""Nodes that are looked at before other work gets its turn."""


class NodePage(msgspec.Struct):
    """Some of the nodes; `next_cursor` asks for the following ones."""

    nodes: list[NodeView]
    total: int
    next_cursor: str | None


class PoolPage(msgspec.Struct):
    """Some of the pools, by their pairs; `next_cursor`, a pair, asks for the following ones."""

    pools: list[PoolView]
    total: int
    next_cursor: str | None


class Status(msgspec.Struct):
    """One word: ok or ready."""

    status: str


class FleetDoor:
    """Nodes, pools and health over HTTP."""

    def __init__(self, settings: Settings, core: Core, health: Health, rate_limit: RateLimit) -> None:
        self._settings = settings
        self._core = core
        self._health = health
        self._rate_limit = rate_limit

    def routes(self) -> list[BaseRoute]:
        """Return the routes of this door."""
        return [
            Route("/healthz", self.alive, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/v1/nodes", self.nodes, methods=["GET"]),
            Route("/v1/nodes/{node_id}/drain", self.drain, methods=["POST"]),
            Route("/v1/pools", self.pools, methods=["GET"]),
        ]

    async def alive(self, request: Request) -> Response:
        """Answer that the process lives."""
        return _json(Status("ok"))

    async def ready(self, request: Request) -> Response:
        """Answer whether jobs can be placed: 503 while the store does not answer, and after a request to stop."""
        if self._rate_limit.stopping:
            stopped = self._rate_limit.stopped()
            return problem(503, stopped.reason, stopped.detail, stopped.retry_after_ms)
        if self._health.store_up:
            return _json(Status("ready"))
        detail = self._health.store_error or "the store has not answered yet"
        return problem(503, "store_unavailable", detail, 1000)

    async def nodes(self, request: Request) -> Response:
        """List the connected nodes, at most `limit` from `cursor` on."""
        limit = whole_number(request, "limit", 1, PAGE_MAX) or PAGE_MAX
        start = whole_number(request, "cursor", 0, 10**9) or 0
        nodes = self._core.node_registry.nodes
        page = [node_view(node) for node in itertools.islice(nodes.values(), start, start + limit)]
        following = str(start + limit) if start + limit < len(nodes) else None
        return _json(NodePage(page, len(nodes), following))

    async def drain(self, request: Request) -> Response:
        """Give a node no new jobs, or with on=false jobs again; it keeps those that it has."""
        on = truth_of(request.query_params.get("on", "true"), "on")
        node_id = request.path_params["node_id"]
        node = self._core.node_registry.find(node_id)
        if node is None:
            raise BadInput("unknown_node", f"no node {node_id[:80]!r} is connected")
        self._core.node_events.drain(node, on)
        return _json(node_view(node))

    async def pools(self, request: Request) -> Response:
        """Sum up the nodes and waiting jobs of each pair, at most `limit` pairs after `cursor`."""
        limit = whole_number(request, "limit", 1, PAGE_MAX) or PAGE_MAX
        after = request.query_params.get("cursor")
        if after is not None and not PAIR.fullmatch(after):
            raise BadInput("bad_cursor", f"cursor={after[:80]!r}: next_cursor of the page before")
        pools: dict[str, PoolView] = {}
        for count, node in enumerate(list(self._core.node_registry.nodes.values()), 1):
            for pair in node.pairs:
                pool = pools.get(pair) or pools.setdefault(pair, PoolView(pair))
                pool.nodes += 1
                pool.slots += node.slots
            for job in node.reservations.values():
                pool = pools.get(job.pair) or pools.setdefault(job.pair, PoolView(job.pair))
                pool.running += 1
            if count % NODES_A_TURN == 0:
                await asyncio.sleep(0)
        for pair, waiting in self._core.waiting.counts():
            pool = pools.get(pair) or pools.setdefault(pair, PoolView(pair))
            pool.waiting = waiting
        pairs = sorted(pair for pair in pools if after is None or pair > after)
        following = pairs[limit - 1] if len(pairs) > limit else None
        return _json(PoolPage([pools[pair] for pair in pairs[:limit]], len(pools), following))


def _json(page: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(page), media_type="application/json")
