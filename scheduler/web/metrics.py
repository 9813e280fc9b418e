"""The HTTP door of the metrics: what Prometheus scrapes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from voxpool.scheduler.telemetry.metrics.exporter import Exporter


class MetricsDoor:
    """GET /metrics, in the text format of Prometheus or of OpenMetrics, whichever the Accept header prefers."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    def routes(self) -> list[BaseRoute]:
        """Return the route of this door."""
        return [Route("/metrics", self.metrics, methods=["GET"])]

    async def metrics(self, request: Request) -> Response:
        """Answer a scrape."""
        text, media_type = await self._exporter.scrape(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": media_type})
