"""Reading a scheduler's memory: what is taken from its pages, and what is said when they are not there or not ours."""

from __future__ import annotations

import time
from typing import Any

import pytest

from loadtest.memory._source import MemorySource, NoReading, parse_metrics
from tests.load.fake_scheduler import fake_scheduler

METRICS = """# HELP voxpool_jobs_ended_total Jobs that reached their final state.
# TYPE voxpool_jobs_ended_total counter
voxpool_jobs_ended_total{pair="zh:en",reason="none",state="completed"} 1.0e+06
voxpool_jobs_ended_total{pair="en:zh",reason="node_lost",state="failed"} 3.0
voxpool_jobs_ended_created{pair="zh:en",reason="none",state="completed"} 1.7e+09
voxpool_jobs_resident{state="waiting"} 5.0
voxpool_jobs_resident{state="dispatched"} 2.0
voxpool_jobs_resident{state="completed"} 70.0
voxpool_jobs_resident{state="cancelled"} 1.0
voxpool_jobs_resident_bytes 43680.0
voxpool_cleanup_last_run_timestamp_seconds 1.7000001235e+09
voxpool_process_start_time_seconds 1.70000012e+09
python_info{version="3"} 1.0
"""


def test_what_matters_is_read_off_the_metrics() -> None:
    figures = parse_metrics(METRICS)
    assert (figures.jobs_ended, figures.finished, figures.unfinished) == (1_000_003, 71, 7)
    assert figures.jobs_bytes == 43_680 and figures.series == 11
    assert (figures.last_sweep_s, figures.started_s) == (1_700_000_123.5, 1_700_000_120.0)


@pytest.mark.parametrize("text", ["", "up 1\n", "<html>\n", "voxpool_jobs_resident_bytes 1.0\n"])
def test_metrics_of_something_else_are_refused(text: str) -> None:
    with pytest.raises(NoReading, match="not that of voxpool"):
        parse_metrics(text)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "/v1/debug/checkup answers 404"),
        ({"/v1/debug/checkup": {"version": "9"}}, "/v1/debug/checkup is not that of voxpool"),
        ({"/v1/debug/checkup": b"<html>"}, "/v1/debug/checkup is not that of voxpool"),
        ({"/v1/debug/checkup": ["a list"]}, "/v1/debug/checkup is not that of voxpool"),
    ],
)
def test_a_server_that_is_none_is_told(answers: dict[str, Any], said: str) -> None:
    with fake_scheduler(answers) as host:
        source = MemorySource(host, "", time.monotonic)
        with pytest.raises(NoReading) as caught:
            source.meet()
        assert str(caught.value).startswith(said)
        source.close()


def test_nobody_there_is_told() -> None:
    source = MemorySource("http://127.0.0.1:1", "", time.monotonic)
    with pytest.raises(NoReading, match=r"/v1/debug/checkup: .*refused"):
        source.meet()
    source.close()
