"""The Grafana dashboard: each of its queries finds values in a real Prometheus, and its layout is valid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from itertools import combinations
from pathlib import Path

import httpx

from ops.dashboard import DASHBOARD, dashboard, here
from ops.panels import ROWS
from ops.render import RUNBOOK
from ops.rules import RULES
from tests.ops.monitoring import OPS, Prometheus, seen
from tests.ops.patients import AUDIO, Patient, again_and_again, node
from voxpool.scheduler.sdk import SubmitRejected, Work, WorkFailed
from voxpool.scheduler.sdk.client import Client

PANELS = [panel for panels in ROWS.values() for panel in panels]
QUERIES = [query.expression for panel in PANELS for query in panel.queries]
WINDOW = "5s"
"""Ten scrapes of the test."""
PAIR = "en:en"
NOBODY = "http://127.0.0.1:1"
RUNBOOK_FILE = OPS.parent / RUNBOOK
_METRIC = re.compile(r"\bvoxpool_\w+")


async def test_every_query_finds_values_and_every_metric_is_exported(tmp_path: Path) -> None:
    """There is a little traffic, in which one job fails and one submit is rejected; traces have no receiver."""
    patient = Patient(tmp_path, "scheduler", ("--traces-endpoint", NOBODY, "--traces-sample", "1"))
    patient.start()
    try:
        with closing(Prometheus(tmp_path, [patient.instance])) as prometheus:
            async with traffic(patient):
                await seen(lambda: not silent(prometheus, QUERIES), lambda: silent(prometheus, QUERIES))
                for panel in PANELS:
                    for query in panel.queries:
                        traces = prometheus.exemplars(asked(query.expression))
                        assert bool(traces) == query.exemplars == any("trace_id" in trace for trace in traces)
                planted = [
                    "sum(voxpool_jobs_eaten)",
                    'voxpool_jobs_resident{state="eaten"}',
                    "voxpool_store_up / 0 * 0",
                ]
                assert silent(prometheus, [*QUERIES, *planted]) == planted
        lines = metrics_of(patient).splitlines()
        families = {line.split(" ")[2] for line in lines if line[0] == "#"}
        exported = {line.split("{")[0].split(" ")[0] for line in lines if line[0] != "#"}
        used = set(_METRIC.findall(" ".join([*QUERIES, *(rule.expression for rule in RULES)])))
        assert used - exported == set()
        assert set(_METRIC.findall(RUNBOOK_FILE.read_text())) <= exported | families
        forgotten = {name for name in exported - used if not name.endswith(("_bucket", "_sum", "_count"))}
        assert forgotten == NOT_SHOWN, "on the dashboard, in an alert, or named here"
    finally:
        patient.end_all()


NOT_SHOWN = {
    "voxpool_retention_seconds",
    "voxpool_store_keys_timestamp_seconds",
    "voxpool_process_start_time_seconds",
    "voxpool_process_virtual_memory_bytes",
}


def test_the_dashboard_file_is_up_to_date() -> None:
    assert DASHBOARD.read_text() == dashboard(), "run: python -m ops.render"


def test_panels_do_not_overlap_and_have_unique_names() -> None:
    panels = json.loads(dashboard())["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_every_query_uses_the_selected_source_and_schedulers() -> None:
    whole = json.loads(dashboard())
    assert {variable["name"] for variable in whole["templating"]["list"]} == {"datasource", "instance"}
    targets = [target for panel in whole["panels"] for target in panel.get("targets", [])]
    assert len(targets) == len(QUERIES)
    for target in targets:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["expr"].count('instance=~"$instance"') == len(_METRIC.findall(target["expr"])) > 0
    assert here('sum(voxpool_a{x="y"}) / voxpool_b') == (
        'sum(voxpool_a{instance=~"$instance", x="y"}) / voxpool_b{instance=~"$instance"}'
    )


def test_the_page_describes_exactly_the_panels() -> None:
    """ops/README.md says when to look at which panel."""
    section = (OPS / "README.md").read_text().partition("## How to use the panels\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"\*\*(.+?)\*\*", " ".join(section.split()))) == {panel.title for panel in PANELS}


def asked(expression: str) -> str:
    """Return the query that Grafana sends for all schedulers."""
    return here(expression).replace("$__rate_interval", WINDOW).replace("$instance", ".*")


def silent(prometheus: Prometheus, queries: list[str]) -> list[str]:
    """Return the `queries` without a number as result."""

    def finds(expression: str) -> bool:
        return any(math.isfinite(float(series["value"][1])) for series in prometheus.query(asked(expression)))

    return [expression for expression in queries if not finds(expression)]


@asynccontextmanager
async def traffic(patient: Patient) -> AsyncIterator[None]:
    """Submit jobs, one in three of which fails, and submits that are rejected."""
    bad, empty = AUDIO + b"bad", b""

    async def work(work: Work) -> int:
        if work.audio == bad:
            raise WorkFailed("bad_audio")
        return len(work.audio)

    async def submit() -> None:
        for audio in (AUDIO, AUDIO, bad, empty):
            with contextlib.suppress(SubmitRejected):
                await client.submit(audio, PAIR)
        await asyncio.sleep(0.1)

    async with node(patient, PAIR, work), Client(patient.scheduler.url) as client, again_and_again(submit):
        yield


def metrics_of(patient: Patient) -> str:
    """Return the metrics that the scheduler exports now."""
    return httpx.get(f"http://{patient.instance}/metrics", trust_env=False).text
