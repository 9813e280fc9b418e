"""The cost of logs and traces in a running scheduler: CPU a job and round trips, compared with a scheduler without
them.

Four schedulers, each with a node that answers at once, take turns with the client: without logs and traces, with a log,
with 1 % of the jobs traced, with all jobs traced. A turn ends when the last span is exported; the receiver is a process
of its own that discards what it reads. The result is the median of the rounds' ratios, each to the other scheduler of
the same round. Run alone: python -m bench.telemetry [SECONDS]
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from bench._rows import Row, print_rows
from bench.round_trips import IN_FLIGHT, QUIET, cpu_s, free_port, process, scheduler, through_scheduler, until_listening

SECONDS = 2.0
ROUNDS = 5
CALM_S = 1.5
"""All spans count as exported when their number has not changed for this time: three times their longest delay."""
LOG_GOAL = "<= 1000"
BASE = "no telemetry"
LOGS, SOME, ALL = "log at info", "1 % of jobs traced", "all jobs traced"


class Turn(NamedTuple):
    """The measurements of one scheduler in one turn."""

    cpu_us: float
    per_s: float
    spans: float


def run(seconds: float = SECONDS) -> list[Row]:
    """Measure all schedulers in turn, `seconds` for each number in flight."""
    rounds: list[dict[str, Turn]] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with _all(log) as running:
            for number in range(ROUNDS):
                order = list(running) if number % 2 == 0 else list(reversed(running))
                rounds.append({name: _turn(*running[name], seconds) for name in order})
        lines = log.read_bytes().splitlines()
    jobs = sum(b'"event":"job_ended"' in line for line in lines)
    of_jobs = sum(len(line) + 1 for line in lines if b'"job_id"' in line)
    rows = [_row(rounds, BASE, "CPU of the scheduler a job", [turns[BASE].cpu_us for turns in rounds], "us")]
    for name in (LOGS, SOME, ALL):
        cpu = [turns[name].cpu_us / turns[BASE].cpu_us for turns in rounds]
        speed = [turns[name].per_s / turns[BASE].per_s for turns in rounds]
        rows.append(_row(rounds, name, "CPU of the scheduler a job", cpu, "x"))
        rows.append(_row(rounds, name, f"round trips at {IN_FLIGHT[-1]} in flight", speed, "x"))
    return [*rows, Row("telemetry", "bytes of log of a job", of_jobs / jobs, "B", LOG_GOAL, f"{jobs:,} jobs completed")]


def _row(rounds: list[dict[str, Turn]], name: str, what: str, figures: list[float], unit: str) -> Row:
    spans = sum(turns[name].spans for turns in rounds)
    beside = f"{min(figures):.2f} to {max(figures):.2f} in {ROUNDS} rounds" + (f"; {spans:,.0f} spans" if spans else "")
    return Row("telemetry", f"{what}, {name}", statistics.median(figures), unit, "", beside)


def _turn(port: int, pid: int, seconds: float) -> Turn:
    """Run the client, wait until all spans are exported, and return the measurements."""
    before_s, jobs, spans = cpu_s(pid), *_counts(port)
    figures, _ = uvloop.run(through_scheduler(port, pid, seconds))
    left = (0.0, 0.0)
    while left != (left := _counts(port)):
        time.sleep(CALM_S)
    return Turn(1e6 * (cpu_s(pid) - before_s) / (left[0] - jobs), figures[IN_FLIGHT[-1]].per_s, left[1] - spans)


def _counts(port: int) -> tuple[float, float]:
    """Return how many jobs have ended and how many spans were exported. Raises AssertionError when one was lost."""
    counts = {"voxpool_jobs_ended_total": 0.0, "voxpool_trace_spans_total": 0.0}
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in counts:
                assert sample.labels.get("result", "exported") == "exported" or not sample.value, sample
                counts[sample.name] += sample.value
    jobs, spans = counts.values()
    return jobs, spans


@contextlib.contextmanager
def _all(log: Path) -> Iterator[dict[str, tuple[int, int]]]:
    port = free_port()
    traces = ("--traces-endpoint", f"http://127.0.0.1:{port}", "--traces-queue-max", "1000000", "--traces-sample")
    with contextlib.ExitStack() as closing:
        closing.enter_context(process("bench._processes", "receiver", str(port)))
        until_listening(port)
        yield {
            BASE: closing.enter_context(scheduler("memory", *QUIET)),
            LOGS: closing.enter_context(scheduler("memory", "--log-level", "info", log=log)),
            SOME: closing.enter_context(scheduler("memory", *QUIET, *traces, "0.01")),
            ALL: closing.enter_context(scheduler("memory", *QUIET, *traces, "1.0")),
        }


if __name__ == "__main__":
    print_rows(run(*map(float, sys.argv[1:2])), "bench.telemetry")
