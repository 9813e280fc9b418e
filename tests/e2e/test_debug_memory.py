"""GET /v1/debug/memory of a real scheduler: it reports the connections and jobs of the moment."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import GoodFlow
from tests.e2e.processes import Scheduler, until
from tests.e2e.test_processes import started
from voxpool.scheduler.sdk import Client


def memory(scheduler: Scheduler, query: str = "") -> dict[str, Any]:
    response = httpx.get(f"{scheduler.url}/v1/debug/memory{query}", trust_env=False, timeout=30)
    assert response.status_code == 200 and response.headers["cache-control"] == "no-store"
    report: dict[str, Any] = response.json()
    return report


async def test_the_memory_report_has_connections_and_jobs(scheduler: Scheduler, good_flow: GoodFlow) -> None:
    report = memory(scheduler, "?gc=1&types=3")
    tables = report["tables"]
    assert tables["core.node_registry.nodes"] >= 1 and tables["core.table._by_id"] >= 1
    assert tables["results._watchers"] >= 1 and tables["sessions._sessions"] >= 1
    sizes = report["memory"]
    assert 0 < sizes["python_bytes"] <= sizes["arenas_bytes"] and sizes["malloc_bytes"] > 0
    assert sizes["allocated_bytes"] == sizes["python_bytes"] + sizes["malloc_bytes"] <= sizes["held_bytes"]
    assert 10_000_000 < sizes["rss_bytes"] <= sizes["rss_max_bytes"] and "unreadable" in sizes
    assert len(report["objects"]["types"]) == 3 and report["collector"]["frozen"] > 10_000
    assert report["tasks"]["functions"]["ScriptQueue.run_forever"] == 1
    assert report["open_files"] > 5 and report["threads"] >= 1
    assert set(report["pauses_ms"]) == {"collect", "memory", "tables", "tasks", "open_files", "objects"}


def test_the_history_of_the_dashboard_is_declared_with_its_bound(scheduler: Scheduler) -> None:
    report = memory(scheduler)
    assert report["tables"]["dashboard._history._past"] <= report["bounds"]["table dashboard._history._past"]["entries"]
    assert report["bounds"]["table dashboard._history._past"]["entry_bytes"] > 400


def test_allocations_are_traced_on_demand(folder: Path) -> None:
    """While tracing is on, allocated bytes are unreadable and the report says so; then all is as before."""
    with started(Scheduler(folder, "memory")) as own:
        switch = f"{own.url}/v1/debug/memory"
        on = httpx.post(switch, params={"trace": "start", "frames": 2}, trust_env=False, timeout=30).json()
        assert on["on"] is True and on["frames"] == 2
        traced = memory(own, "?trace=top&types=1000")
        assert "tracemalloc" in traced["memory"]["unreadable"] and traced["memory"]["allocated_bytes"] is None
        assert 0 < len(traced["trace"]["rows"]) <= 50
        assert traced["trace"]["rows"][0]["grown_bytes"] > 0 and len(traced["trace"]["rows"][0]["lines"]) <= 2
        assert httpx.post(switch, params={"trace": "stop"}, trust_env=False).json()["on"] is False
        after = memory(own)
        assert after["memory"]["unreadable"] is None and after["sizes"] is None and after["trace"] is None
        sizes = memory(own, "?sizes=1&types=1000")["sizes"]
        assert sizes["types"]["str"]["bytes"] > 1_000_000 and sizes["whole"] is True


async def test_sessions_that_come_and_go_leave_no_table_fuller(folder: Path) -> None:
    """The entries that 20 sessions add are removed with them."""
    with started(Scheduler(folder, "memory")) as own:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(Client(own.url))
            await until(lambda: memory(own)["tables"]["sessions._sessions"] == 20)
        await until(lambda: memory(own)["tables"]["sessions._sessions"] == 0)


@pytest.mark.parametrize("query", ["?gc=2", "?gc=yes", "?types=1001", "?types=-1", "?sizes=2"])
def test_invalid_parameters_of_memory_are_rejected(scheduler: Scheduler, query: str) -> None:
    response = httpx.get(f"{scheduler.url}/v1/debug/memory{query}", trust_env=False)
    assert response.status_code == 422
    assert response.json()["reason"] == f"bad_{query[1:].partition('=')[0]}"
