"""The log volume of a job: a real dispatcher, the longest ids, nodes that fail or refuse as often as possible."""

from __future__ import annotations

import io
import json

from tests.unit.fakes import HandClock
from tests.unit.log_rules import strange_lines
from tests.unit.rig import Rig
from voxpool.scheduler.core.jobs.job import COMPLETED, FAILED
from voxpool.scheduler.telemetry.logs.log import open_log
from voxpool.scheduler.telemetry.logs.observer import ATTEMPTS_TOLD, LogObserver

LINES_MAX = 1 + ATTEMPTS_TOLD
LINE_BYTES = 400
"""Bytes of a line about a job with ids of 64 characters and a trace."""
PLAIN_BYTES_MAX = 350
LONG = "x" * 60
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


class LoggedRig(Rig):
    """A rig whose core writes a log."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        super().__init__(observer=LogObserver(open_log(self.stream, HandClock(1_000_000))))

    def of_job(self, job_id: str) -> list[bytes]:
        """Return the lines about one job."""
        return [line for line in self.stream.getvalue().splitlines() if json.loads(line).get("job_id") == job_id]


async def test_a_job_that_completes_writes_one_line() -> None:
    rig = LoggedRig()
    node, _ = await rig.node("gpu-1")
    job = await rig.submit(session_id="s-0123456789abcdef")
    await rig.answer(node, job)
    lines = rig.of_job(job.job_id)
    assert [json.loads(line)["event"] for line in lines] == ["job_ended"]
    assert sum(map(len, lines)) < PLAIN_BYTES_MAX


async def test_a_job_that_fails_at_every_node_stays_within_the_bound() -> None:
    rig = LoggedRig()
    nodes = [(await rig.node(f"{LONG}-{number}"))[0] for number in range(4)]
    job = await rig.submit(session_id=LONG, request_id=LONG, backoff_ms=0)
    job.trace = TRACE
    while not job.ended:
        await rig.fail(next(node for node in nodes if node.node_id == job.node_id), job, retryable=True)
    assert job.state == FAILED and job.attempt == 4
    lines = rig.of_job(job.job_id)
    assert len(lines) == 5 and max(map(len, lines)) < LINE_BYTES
    assert strange_lines(map(json.loads, rig.stream.getvalue().splitlines())) == []
    assert {json.loads(line).get("trace_id") for line in lines} >= {"a" * 32}


async def test_any_number_of_busy_nodes_writes_no_more_than_the_bound() -> None:
    """A busy answer is not counted as a redispatch: only time bounds them, and here it does not pass."""
    rig = LoggedRig()
    nodes = {f"{LONG}-{number:03d}": (await rig.node(f"{LONG}-{number:03d}"))[0] for number in range(50)}
    job = await rig.submit(session_id=LONG)
    for _ in range(49):
        await rig.busy(nodes[job.node_id], job)
    await rig.answer(nodes[job.node_id], job)
    assert job.state == COMPLETED and job.attempt == 50
    lines = rig.of_job(job.job_id)
    assert len(lines) == LINES_MAX and max(map(len, lines)) < LINE_BYTES
    assert json.loads(lines[-1])["event"] == "job_ended" and json.loads(lines[-1])["attempt"] == 50
