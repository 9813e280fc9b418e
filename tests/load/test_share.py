"""Two tenants on a pool that one of them floods: the report has figures of each, and the exit code is by the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.load.locust_run import LocustRun
from voxpool.loadtest.report._records import LoadReport, Operation
from voxpool.loadtest.users._workload import find_scenario, of_scenario

SCENARIO = """
name = "two tenants"
duration_s = 60

[[nodes]]
count = 1
pairs = ["zh:en"]
slots = 2

[[traffic]]
pair = "zh:en"
key = "loud"
rate_per_s = 30.0
work_s = 0.2

[[traffic]]
pair = "zh:en"
key = "sparse"
rate_per_s = 3.0
work_s = 0.2

[[traffic]]
pair = "zh:en"
key = "sparse"
priority = 1
rate_per_s = 1.0
work_s = 0.2

[expect]
"key.sparse.failures" = "<= 0%"
"key.sparse.p50" = "< 5 s"
failures = "<= 100%"
"""


def of_key(report: LoadReport, key: str) -> Operation:
    return next(one for one in report.operations if (one.type, one.name) == ("KEY", key))


@pytest.mark.parametrize(("order", "code"), [("fair", 0), ("submit", 1)])
def test_the_exit_code_tells_whether_the_sparse_tenant_notices_the_flood(order: str, code: int, tmp_path: Path) -> None:
    scenario = tmp_path / "two.toml"
    scenario.write_text(SCENARIO)
    load = ("--headless", "-u", "6", "-r", "50", "-t", "5s", "--memory", "off", "--scenario", str(scenario))
    flags = f"--order {order} --waiting-timeout-s 2"
    with LocustRun(tmp_path, *load, "--with-scheduler", "--store", "memory", "--serve-flags", flags) as run:
        assert run.end() == code, run.text
    report = run.report()
    loud, sparse = of_key(report, "loud"), of_key(report, "sparse")
    assert (sparse.failures == 0) == (order == "fair") and loud.failures > 0
    assert loud.requests > sparse.requests > 0 and sparse.latency_s is not None and sparse.latency_s.p99 > 0
    assert report.jobs is not None and report.arrivals is not None
    ends = report.jobs.completed + report.jobs.failed + report.jobs.rejected
    assert ends == loud.requests + sparse.requests, "each end of a job counts once for its key"
    if code:
        assert "does not hold (exit code 1): key.sparse.failures " in run.text


def test_the_scenario_share_has_two_tenants_in_two_bands() -> None:
    scenario = find_scenario("share")
    streams = of_scenario(scenario).streams
    assert {(stream.key, stream.priority) for stream in streams} == {
        ("loud", None),
        ("loud", 1),
        ("sparse", None),
        ("sparse", 1),
    }
    rates = {key: sum(one.rate_per_s for one in streams if one.key == key) for key in ("loud", "sparse")}
    slots_per_s = of_scenario(scenario).slots / 0.2
    assert rates["sparse"] < slots_per_s / 2 < slots_per_s < rates["loud"]
    assert [one.loaded for one in scenario.expectations] == ["key.sparse.failures", "key.sparse.p99", "failures"]
    assert scenario.duration_s * rates["sparse"] >= 300, "fewer results don't decide about a p99"
