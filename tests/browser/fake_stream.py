"""Streams that no real scheduler sends in a test: very large ones, and hostile text."""

from __future__ import annotations

from typing import Any

import msgspec
from playwright.async_api import Page, Route

from tests.unit.rig import Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import FINAL_STATES
from voxpool.scheduler.telemetry.dashboard.history import DashboardHistory
from voxpool.scheduler.telemetry.dashboard.snapshot import Dashboard, Past, Snapshot


class FakeStream:
    """The events that GET /v1/dashboard would send for a scheduler in this process; `now` may be changed before."""

    def __init__(self, past: Past, now: Snapshot) -> None:
        self.past = past
        self.now = now

    @classmethod
    async def of(cls, rig: Rig) -> FakeStream:
        """Read them from a rig with production's code."""
        history = DashboardHistory(rig.clock)
        history.attach(rig.core, lambda: (0.0, 0.0))
        rig.clock.ms += 1000
        finished = dict.fromkeys(FINAL_STATES, 0)
        dashboard = Dashboard(
            Settings(), rig.core, history, finished, lambda: (True, ""), rig.clock.now_ms, lambda: 0.0
        )
        past = msgspec.json.decode(await dashboard.past(), type=Past)
        await dashboard.run_once()
        newer = await dashboard.after(0)
        assert newer is not None
        return cls(past, msgspec.json.decode(newer[1], type=Snapshot))

    async def serve(self, page: Page, snapshots: int = 1) -> None:
        """Answer the page's stream with the past and `snapshots` snapshots, a second apart; then end it."""
        events = [("past", msgspec.json.encode(self.past))]
        for _ in range(snapshots):
            events.append(("now", msgspec.json.encode(self.now)))
            self.now.at_ms += 1000
            self.now.point.second += 1
        body = b"".join(b"event: %b\ndata: %b\n\n" % (kind.encode(), data) for kind, data in events)

        async def answer(route: Route) -> Any:
            await route.fulfill(status=200, content_type="text/event-stream", body=body)

        await page.route("**/v1/dashboard", answer)
