"""An expectation passes, is broken, or is unclear in a small sample; failures have one definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.load_reports import memory_report
from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._windows import OTHERS, ended_of
from voxpool.loadtest.report._records import Arrivals, Jobs, Operation
from voxpool.loadtest.verdict._expectations import (
    Measured,
    check_all,
    quantile_bounds,
    share_bounds,
    share_that_may_fail,
)
from voxpool.sim.report.report import Check
from voxpool.sim.scenario.expect import parse_expectation


def operation(kind: str, name: str, latencies_ms: list[float], failures: int = 0) -> Operation:
    histogram = Histogram()
    for latency in latencies_ms:
        histogram.record(round(latency * 1000))
    return Operation(
        type=kind, name=name, requests=len(latencies_ms) + failures, failures=failures, rate_per_s=0.0,
        histogram=histogram.packed(),
    )  # fmt: skip


def measured(*operations: Operation, **more: Any) -> Measured:
    by_name = {f"{one.type} {one.name}": one for one in operations}
    return Measured(**{"operations": by_name, "digits": 3, "seconds": 10.0, **more})


def results(count: int, failures: int = 0, latency_ms: float = 100.0, slow: int = 0, **more: Any) -> Measured:
    """Return `count` results without failures, `slow` of them ten times as slow."""
    latencies = [latency_ms] * (count - slow) + [10 * latency_ms] * slow
    return measured(operation("WS", "result", latencies, failures), **more)


def checked(text: str, found: Measured) -> Check:
    return check_all([parse_expectation(text)], found)[0]


@pytest.mark.parametrize(
    ("text", "found", "word", "figure"),
    [
        ("failures<=0%", results(1000), "holds", 0.0),
        ("failures<=0%", results(999, 1), "broken", 0.1),
        ("failures<=0%", results(50), "holds", 0.0),  # "none at all" is a count, which any sample shows
        ("failures<0.1%", results(50), "unclear", 0.0),
        ("failures<0.1%", results(2900), "unclear", 0.0),
        ("failures<0.1%", results(3000), "holds", 0.0),
        ("failures<0.1%", results(45, 5), "broken", 10.0),  # a small sample far beyond the limit is sufficient
        ("failures<1%", results(290, 10), "broken", 3.333333),
        ("failures<1%", results(0), "unclear", None),
        ("result.p99<200ms", results(300), "holds", 100.0),
        ("result.p99<200ms", results(300, slow=6), "broken", 1000.0),
        ("result.p99<200ms", results(290), "unclear", 100.0),
        ("result.p99<200ms", results(50), "unclear", 100.0),
        ("result.p99<200ms", results(50, slow=5), "broken", 1000.0),
        ("result.p99.9<200ms", results(2990), "unclear", 100.0),
        ("result.p99.9<200ms", results(3000), "holds", 100.0),
        ("result.p50>=0.05s", results(6), "holds", 0.1),
        ("result.p50<1ms", results(0), "unclear", None),
        ("result.max<200ms", results(3), "holds", 100.0),
        ("result.mean<200ms", results(30), "holds", 100.0),
        ("result.mean<120ms", results(10, slow=1), "unclear", 190.0),
        ("result.mean<90ms", results(10), "broken", 100.0),
        ("rate>90/s", results(1000), "holds", 100.0),
        ("rate>90/s", results(800, 300), "broken", 80.0),
        ("rate>2/s", results(25), "unclear", 2.5),
        ("rate>90/s", results(25), "broken", 2.5),
        ("submit.p95<=50ms", results(1000), "unclear", None),
    ],
)
def test_the_verdict_on_a_figure(text: str, found: Measured, word: str, figure: float | None) -> None:
    check = checked(text, found)
    assert check.word == word
    assert check.figure == (figure if figure is None else pytest.approx(figure, rel=2e-3))
    assert word != "unclear" or check.note  # with its reason


JOBS = Jobs(submitted=200, completed=197, failed=1, cancelled=0, rejected=3, lost=2, twice=0, wrong=0)
NO_JOBS = Jobs(submitted=0, completed=0, failed=0, cancelled=0, rejected=0, lost=0, twice=0, wrong=0)
ARRIVALS = Arrivals(intended=500, sent=490, late=4, dropped=10, late_ms=100)


@pytest.mark.parametrize(
    ("text", "found", "word", "figure"),
    [
        ("jobs.lost<1", measured(jobs=JOBS), "broken", 2),
        ("jobs.lost<=1%", measured(jobs=JOBS), "unclear", 1.0),
        ("jobs.lost<=2%", measured(jobs=JOBS), "holds", 1.0),
        ("jobs.completed>=197", measured(jobs=JOBS), "holds", 197),
        ("jobs.lost<1", measured(jobs=NO_JOBS), "unclear", None),
        ("jobs.lost<1", measured(), "unclear", None),
        ("arrivals.dropped<1%", measured(arrivals=ARRIVALS), "broken", 2.0),
        ("arrivals.late<=4", measured(arrivals=ARRIVALS), "holds", 4),
        ("arrivals.late<=4", measured(), "unclear", None),
        ("memory.bytes_a_job<50", measured(memory=memory_report(20)), "holds", 20),
        ("memory.bytes_a_job<50", measured(memory=memory_report(48)), "unclear", 48),
        ("memory.bytes_a_job<50", measured(memory=memory_report(70)), "broken", 70),
        ("memory.rss<200MB", measured(memory=memory_report(0)), "holds", 80),
        ("memory.rss<50MB", measured(memory=memory_report(0)), "broken", 80),
        ("memory.rss<50MB", measured(), "unclear", None),
        ("other.failures<=0%", measured(), "holds", 0),
        ("other.failures<=0%", measured(operation("NODE", "heartbeat", [1.0] * 99, 1)), "broken", 1),
    ],
)
def test_the_verdict_on_the_run(text: str, found: Measured, word: str, figure: float | None) -> None:
    check = checked(text, found)
    assert (check.word, check.figure) == (word, figure)


def test_a_check_has_figure_and_limit_in_the_unit_of_the_limit() -> None:
    check = checked("failures<=0", results(1000, 9))
    assert (check.name, check.figure, check.unit, check.limit) == ("failures", 0.891972, "%", "<= 0 %")
    assert check.note == "9 of 1,009 results"


def test_a_type_may_be_named_and_without_one_nodes_are_left_out() -> None:
    found = measured(
        operation("WS", "cancel", [10.0] * 300), operation("HTTP", "cancel", [30.0] * 300),
        operation("NODE", "cancel", [999.0] * 300),
    )  # fmt: skip
    figures = [
        checked(f"{name}.max<1s", found).figure for name in ("ws.cancel", "http.cancel", "cancel", "node.cancel")
    ]
    assert figures == pytest.approx([0.01, 0.03, 0.03, 0.999], rel=2e-3)


def test_only_failures_of_jobs_count_and_a_rejected_submit_is_one() -> None:
    """Lost connections and failures of nodes do not count; an utterance consists of results."""
    found = {
        "WS submit": operation("WS", "submit", [1.0] * 90, 10),
        "HTTP submit": operation("HTTP", "submit", [1.0] * 100),
        "WS result": operation("WS", "result", [1.0] * 85, 5),
        "HTTP result": operation("HTTP", "result", [1.0] * 100),
        "WS utterance": operation("WS", "utterance", [1.0] * 20, 5),
        "WS connect": operation("WS", "connect", [1.0] * 10, 2),
        "NODE heartbeat": operation("NODE", "heartbeat", [1.0] * 40, 1),
    }
    assert ended_of(found) == (200, 15)
    assert ended_of(found, "WS result") == (100, 15)
    assert ended_of(found, "submit") == (200, 10)
    assert ended_of(found, OTHERS) == (53, 3)


def test_the_ends_of_a_key_are_its_own_figures_and_no_others() -> None:
    """A key may have any name, also that of an operation."""
    keys = [operation("KEY", name, [20.0] * 300, 3) for name in ("sparse", "result", "connect")]
    found = measured(operation("WS", "result", [10.0] * 909), *keys)
    assert checked("key.sparse.p99<1s", found).figure == pytest.approx(0.02, rel=2e-3)
    assert checked("key.result.p99<1s", found).figure == pytest.approx(0.02, rel=2e-3)
    assert checked("key.result.failures<5%", found).note == "3 of 303 results"
    assert checked("result.max<1s", found).figure == pytest.approx(0.01, rel=2e-3)
    assert checked("failures<=0%", found).word == "holds"
    assert checked("other.failures<=0%", found).note == "no other requests"
    assert checked("key.gone.p99<1s", found).word == "unclear"


def test_the_allowed_failures_of_a_step_are_those_of_the_run() -> None:
    assert share_that_may_fail([]) == 0
    assert share_that_may_fail(map(parse_expectation, ["failures<2%", "failures<=1%", "ws.result.failures<9%"])) == 0.01


def test_bounds_of_a_share_have_their_stated_coverage() -> None:
    rng = np.random.default_rng(5)
    bounds = [share_bounds(int(count), 60) for count in rng.binomial(60, 0.03, 2000)]
    assert np.mean([low > 0.03 for low, _ in bounds]) <= 0.05
    assert np.mean([high < 0.03 for _, high in bounds]) <= 0.05
    assert share_bounds(0, 50) == pytest.approx((0.0, 1 - 0.05 ** (1 / 50)))
    assert share_bounds(50, 50)[1] == 1.0


def test_bounds_of_a_quantile_have_their_stated_coverage() -> None:
    rng = np.random.default_rng(6)
    truth_s = 0.1 * math.log(10)
    missed_low = missed_high = 0
    for _ in range(1000):
        histogram = Histogram()
        for latency_s in rng.exponential(0.1, 25):
            histogram.record(round(latency_s * 1e6))
        low, high = quantile_bounds(histogram, 0.9)
        missed_low += low > truth_s * 1.001
        missed_high += high < truth_s * 0.999
    assert missed_low <= 70 and missed_high <= 70  # 95 % allow 50 of each
