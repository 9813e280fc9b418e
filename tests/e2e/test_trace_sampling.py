"""Sampling of traces; jobs are not affected when the receiver of their spans is down, slow or full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import running
from tests.e2e.otlp_receiver import Receiver, receiving
from tests.e2e.processes import TONE, Scheduler, until, wait_until
from tests.e2e.test_traces import exemplars
from tests.unit.metrics_rig import parsed
from voxpool.scheduler.sdk import Client, Work, Worker

PAIR = "zh:en"
JOBS = 60
SPANS_A_JOB = 4


async def work(work: Work) -> str | None:
    """Return the trace context that the node received."""
    return work.trace


async def run_jobs(scheduler: Scheduler, count: int) -> list[str | None]:
    """Run `count` jobs, for which there is always room, and return the traceparent of each at the node."""
    node = Worker(scheduler.url, node_id="n", pairs=[PAIR], slots=8, work=work)
    async with running(node), Client(scheduler.url) as client:
        await until(lambda: scheduler.node_ids() == ["n"])
        done = [done.result async for done in client.map([TONE] * count, PAIR, at_most=4)]
    assert [result.state for result in done if result is not None] == ["completed"] * count
    return [result.output for result in done if result is not None]


def spans(scheduler: Scheduler, result: str) -> float:
    """Return the metric of exported and dropped spans."""
    samples = parsed(httpx.get(f"{scheduler.url}/metrics", trust_env=False).text)
    return samples[("voxpool_trace_spans_total", (("result", result),))]


@pytest.mark.parametrize("sample", [0.0, 0.3, 1.0])
async def test_the_ratio_of_jobs_that_are_traced(folder: Path, sample: float) -> None:
    """A sampled job has its spans and an exemplar; the node learns that the others are not recorded."""
    with receiving() as receiver:
        scheduler = Scheduler(folder, "memory", "--traces-endpoint", receiver.url, "--traces-sample", str(sample))
        reported = await run_jobs(scheduler, JOBS)
        linked = {labels["trace_id"] for found in exemplars(scheduler).values() for labels in found}
        assert scheduler.stop() == 0
    sampled = {parent[3:35] for parent in reported if parent is not None and parent.endswith("-01")}
    assert len(reported) == JOBS and all(parent is not None and parent[-3:] in ("-00", "-01") for parent in reported)
    assert {span.trace for span in receiver.named("job")} == {span.trace for span in receiver.spans} == sampled
    assert len(receiver.spans) == SPANS_A_JOB * len(sampled), "what waited was sent at the stop"
    assert linked <= sampled and bool(linked) == bool(sampled)
    if sample in (0.0, 1.0):
        assert len(sampled) == sample * JOBS
    else:
        assert 3 <= len(sampled) <= 40, "18 of 60 are expected; outside of this once in a million runs"


async def test_without_an_endpoint_nothing_is_traced_and_a_traceparent_is_passed_on(
    scheduler: Scheduler, pair: str
) -> None:
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
        async with running(Worker(scheduler.url, node_id="untraced", pairs=[pair], work=work)):
            parameters = {"pair": pair, "wait_s": "20"}
            reported = await http.post("/v1/jobs", params=parameters, content=TONE, headers={"traceparent": parent})
            silent = await http.post("/v1/jobs", params=parameters, content=TONE)
        metrics = await http.get("/metrics")
    assert (reported.json()["output"], silent.json().get("output")) == (parent, None)
    assert "trace_spans" not in metrics.text
    await until(lambda: "ab" * 16 in [line.get("trace_id") for line in scheduler.events("job_ended")])


@pytest.mark.parametrize(("trouble", "timeout_s"), [("down", 0.5), ("refuses", 0.5), ("hangs", 3600.0)])
async def test_a_failing_receiver_disturbs_no_job_and_dropped_spans_are_reported(
    folder: Path, trouble: str, timeout_s: float
) -> None:
    """The queue holds 40 spans, the jobs make 240: the excess is dropped, counted and logged; no job waits.

    A hanging receiver has an hour to answer: anything that waited for it would time out in the test.
    """
    with receiving() as receiver:
        _get_into(trouble, receiver)
        url = receiver.url if trouble != "down" else "http://127.0.0.1:9"
        flags = ("--traces-endpoint", url, "--traces-queue-max", "40", "--traces-timeout-s", str(timeout_s))
        scheduler = Scheduler(folder, "memory", *flags)
        await run_jobs(scheduler, JOBS)
        await until(lambda: spans(scheduler, "dropped") > 0)
        assert spans(scheduler, "exported") == 0
        await until(lambda: trouble == "hangs" or spans(scheduler, "failed") > 0)
        assert scheduler.stop() == 0
        assert receiver.spans == []
    lost = scheduler.events("spans_lost")
    assert sum(line["failed"] + line["dropped"] for line in lost) == SPANS_A_JOB * JOBS, lost
    assert lost[0]["level"] == "warning"
    message = {line.get("error", "").split(":")[0] for line in lost}
    assert message <= {"down": {"ConnectError"}, "refuses": {"HTTP status 503"}, "hangs": {""}}[trouble]


def _get_into(trouble: str, receiver: Receiver) -> None:
    if trouble == "refuses":
        receiver.status = 503
    if trouble == "hangs":
        receiver.gate.clear()


async def test_a_restarted_receiver_gets_later_spans(folder: Path) -> None:
    with receiving() as receiver:
        receiver.status = 400
        scheduler = Scheduler(folder, "memory", "--traces-endpoint", receiver.url + "/v1/traces")
        await run_jobs(scheduler, 5)
        await until(lambda: spans(scheduler, "failed") == 5 * SPANS_A_JOB)
        receiver.status = 200
        await run_jobs(scheduler, 5)
        await until(lambda: spans(scheduler, "exported") == 5 * SPANS_A_JOB)
        assert scheduler.stop() == 0
    assert len(receiver.named("job")) == 5
    assert [(line["failed"], line["dropped"]) for line in scheduler.events("spans_lost")] == [(5 * SPANS_A_JOB, 0)]


HIDES = "import sys; sys.modules['opentelemetry'] = None; from voxpool.scheduler.cli import main; main()"
"""A program in whose environment the package is not installed."""


@pytest.mark.parametrize(
    ("program", "endpoint", "line"),
    [
        (HIDES, "http://127.0.0.1:4318", "pip install 'voxpool[traces]'"),
        ("from voxpool.scheduler.cli import main; main()", "127.0.0.1:4318", "is no URL of an OTLP receiver"),
        ("from voxpool.scheduler.cli import main; main()", "http://[", "is no URL of an OTLP receiver"),
    ],
)
def test_a_missing_package_is_one_clear_line(program: str, endpoint: str, line: str) -> None:
    words = ["serve", "--port", "0", "--store", "memory", "--traces-endpoint", endpoint]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 3 and done.stdout == ""
    message = [text for text in done.stderr.splitlines() if not text.startswith("{")]
    assert len(message) == 1 and line in message[0], message


def test_without_an_endpoint_the_package_is_neither_needed_nor_loaded(folder: Path) -> None:
    log = folder / "bare.log"
    with log.open("wb") as file:
        words = [sys.executable, "-c", HIDES, "serve", "--port", "0", "--store", "memory"]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("VOXPOOL_")}
        process = subprocess.Popen(words, stderr=file, env=clean)
    try:
        wait_until(lambda: b"scheduler_started" in log.read_bytes() or process.poll() is not None)
    finally:
        process.terminate()
    assert process.wait(15) == 0
    assert "scheduler_started" in {json.loads(line)["event"] for line in log.read_text().splitlines()}
