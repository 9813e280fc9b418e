"""Reading a scheduler's memory, and the errors when another server answers, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import wait_until
from tests.load.fake_scheduler import fake_scheduler
from voxpool.leakgate.errors import NoReading
from voxpool.leakgate.readings.prometheus import parse_page
from voxpool.leakgate.watching.watch import Watch
from voxpool.loadtest.memory._source import SELECTORS, SchedulerReader

METRICS = b"""# TYPE voxpool_jobs_ended counter
voxpool_jobs_ended_total{pair="zh:en",reason="none",state="completed"} 1.0e+06
voxpool_jobs_ended_total{pair="en:zh",reason="node_lost",state="failed"} 3.0
voxpool_jobs_ended_created{pair="zh:en",reason="none",state="completed"} 1.7e+09
voxpool_jobs_resident{state="waiting"} 5.0
voxpool_jobs_resident{state="dispatched"} 2.0
voxpool_jobs_resident{state="completed"} 70.0
voxpool_jobs_resident{state="cancelled"} 1.0
voxpool_jobs_resident_bytes 43680.0
voxpool_cleanup_last_run_timestamp_seconds 1.7000001235e+09
python_info{version="3"} 1.0
"""
CHECKUP = {
    "settings": {"cleanup_interval_s": 3.0, "retention_s": 15.0},
    "store": {"url": ""},
    "now_ms": 1_700_000_125_000,
}


def memory(pid: int) -> dict[str, Any]:
    """Return a memory report of process `pid`."""
    return {
        "pid": pid,
        "started_s": 1_700_000_000.0,
        "memory": {"rss_bytes": 60_000_000, "allocated_bytes": 40_000_000, "held_bytes": 45_000_000},
    }


def test_the_relevant_metrics_are_read() -> None:
    page = parse_page(METRICS.decode())
    figures = {name: page.value(getattr(SELECTORS, name)) for name in SELECTORS.__struct_fields__}
    assert figures == {
        "work": 1_000_003,
        "cleanups": 1_700_000_123.5,
        "kept": 71,
        "in_flight": 7,
        "work_bytes": 43_680,
    }


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "/v1/debug/checkup answers 404"),
        ({"/v1/debug/checkup": {"version": "9"}}, "/v1/debug/checkup is not from voxpool"),
        ({"/v1/debug/checkup": b"<html>"}, "/v1/debug/checkup is not from voxpool"),
        ({"/v1/debug/checkup": ["a list"]}, "/v1/debug/checkup is not from voxpool"),
    ],
)
def test_a_foreign_server_is_reported(answers: dict[str, Any], message: str) -> None:
    with fake_scheduler(answers) as host:
        reader = SchedulerReader(host)
        with pytest.raises(NoReading) as caught:
            reader.read()
        assert str(caught.value).startswith(message)
        reader.close()


@pytest.mark.parametrize("text", [b"", b"up 1\n", b"<html>\n", b"voxpool_jobs_resident_bytes 1.0\n"])
def test_foreign_metrics_are_no_reading(text: bytes) -> None:
    with fake_scheduler({"/v1/debug/checkup": CHECKUP, "/metrics": text, "/v1/debug/memory": memory(1)}) as host:
        reader = SchedulerReader(host)
        with pytest.raises(NoReading):
            reader.read()
        reader.close()


def test_a_server_that_is_down_is_reported() -> None:
    reader = SchedulerReader("http://127.0.0.1:1")
    with pytest.raises(NoReading, match=r"/v1/debug/checkup: .*refused"):
        reader.read()
    reader.close()


def test_a_bad_file_of_certificates_is_reported(tmp_path: Path) -> None:
    watch = Watch(lambda: SchedulerReader("https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem")))
    watch.start()
    wait_until(lambda: "none.pem" in watch.report().finding.reason)
    watch.stop()
    assert watch.report().finding.verdict == "unclear"
