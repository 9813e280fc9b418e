"""The metrics of a real scheduler while jobs run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from tests.unit.metrics_rig import Samples, families, parsed
from tests.unit.test_metrics import NAMES
from voxpool.scheduler.sdk import Client, Work, Worker

JOBS = 20


def scrape(scheduler: Scheduler) -> Samples:
    """Return the samples of /metrics."""
    return parsed(httpx.get(f"{scheduler.url}/metrics", trust_env=False).text)


@pytest.fixture
def fresh(folder: Path) -> Iterator[Scheduler]:
    """A scheduler that has seen no pair yet: in the shared one a pair after the hundredth has no label."""
    scheduler = Scheduler(folder, "embedded")
    yield scheduler
    assert scheduler.stop() == 0


async def test_a_scrape_under_jobs(fresh: Scheduler, pair: str) -> None:
    scheduler = fresh
    gate = asyncio.Event()

    async def work(work: Work) -> int:
        await gate.wait()
        return len(work.audio)

    def of(name: str, **labels: str) -> float:
        return scrape(scheduler).get((f"voxpool_{name}", tuple(sorted(labels.items()))), 0.0)

    def sums(name: str) -> float:
        return sum(value for (found, _), value in scrape(scheduler).items() if found == f"voxpool_{name}")

    completed = sums("wait_seconds_count")
    worker = Worker(scheduler.url, node_id="metered", pairs=[pair], slots=2, work=work)
    async with running(worker), Client(scheduler.url) as client:
        await until(lambda: "metered" in scheduler.node_ids())
        jobs = [asyncio.create_task(client.submit(TONE, pair)) for _ in range(JOBS)]
        await until(lambda: of("jobs_submitted_total", pair=pair) == JOBS)
        await until(lambda: of("jobs_waiting", pair=pair, priority="3") == JOBS - 2)
        assert of("pool_nodes", pair=pair) == 1
        assert of("slots", state="used") >= 2 and of("jobs_resident", state="dispatched") >= 2
        assert of("jobs_resident_bytes") >= JOBS * len(TONE)
        gate.set()
        await asyncio.gather(*jobs)
        assert of("jobs_ended_total", pair=pair, state="completed", reason="none") == JOBS
        assert sums("wait_seconds_count") == sums("service_seconds_count") == completed + JOBS
        assert of("jobs_waiting", pair=pair, priority="3") == 0
    assert of("script_seconds_count", script="select_node") > 0
    assert of("store_up") == 1 and sums("script_errors_total") == 0 and sums("build_info") == 1
    await until(lambda: sums("loop_lag_seconds_count"))
    assert any(name == "voxpool_store_keys" for name, _ in scrape(scheduler))


def test_every_documented_metric_is_exposed_once(scheduler: Scheduler) -> None:
    response = httpx.get(f"{scheduler.url}/metrics", trust_env=False)
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = families(response.text)
    assert {f"voxpool_{name}" for name in NAMES} <= found
    assert not [name for name in found if name.endswith("_created")]
    assert scheduler.events("http_server") == []


@pytest.mark.parametrize("version", ["0.0.1", "1.0.0"])
def test_openmetrics_is_served_on_request(scheduler: Scheduler, version: str) -> None:
    accept = f"application/openmetrics-text; version={version}"
    response = httpx.get(f"{scheduler.url}/metrics", headers={"accept": accept}, trust_env=False)
    if version == "1.0.0":
        assert response.headers["content-type"].startswith("application/openmetrics-text")
        read = text_string_to_metric_families(response.text)  # type: ignore[no-untyped-call]
        assert "voxpool_jobs_submitted" in {family.name for family in read}
    else:
        assert response.headers["content-type"].startswith("text/plain")
