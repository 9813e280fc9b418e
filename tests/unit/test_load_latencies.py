"""The counts of several processes of the generator, merged and bounded."""

from __future__ import annotations

import msgspec

from voxpool.loadtest.measuring._generator import Readings
from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._latencies import Latencies
from voxpool.loadtest.measuring._process_report import ProcessReport, arrivals_of, served_by
from voxpool.loadtest.measuring._tally import DIGITS, OPERATIONS_MAX, OTHER, REASONS_MAX, WINDOW_S, Tally
from voxpool.loadtest.measuring._what_became import jobs_of
from voxpool.loadtest.report._records import Spread


def test_two_workers_count_the_same_as_one_process() -> None:
    alone, together = Latencies(), Latencies()
    one, first, second = Tally(), Tally(), Tally()
    for number in range(200):
        request = (number * 0.1, "WS", "result", 0.001 * number, "no_result" if number % 10 == 0 else "")
        one.request(*request)
        (first if number % 3 else second).request(*request)
        if number == 100:
            together.absorb(first.take())
    alone.absorb(one.take())
    for tally in (second, first):
        together.absorb(tally.take())
    assert together.operations(20) == alone.operations(20)
    assert together.errors() == alone.errors()
    assert together.windows(20) == alone.windows(20)


def test_counts_are_taken_once() -> None:
    tally, latencies = Tally(), Latencies()
    tally.request(1, "HTTP", "submit", 0.01)
    latencies.absorb(tally.take())
    latencies.absorb(tally.take())
    assert latencies.requests == 1


def test_a_failure_counts_with_its_reason_and_without_its_latency() -> None:
    tally, latencies = Tally(), Latencies()
    tally.request(1, "WS", "result", 0.2)
    tally.request(2, "WS", "result", 90.0, "no_result")
    tally.request(8, "WS", "result", 90.0, "no_result")
    latencies.absorb(tally.take())
    (operation,) = latencies.operations(10)
    assert (operation.requests, operation.failures, operation.rate_per_s) == (3, 2, 0.3)
    assert operation.latency_s is not None
    assert operation.latency_s.max == 0.2
    (error,) = latencies.errors()
    assert (error.reason, error.count, error.first_s, error.last_s) == ("no_result", 2, 2, 8)


def test_windows_are_contiguous_also_without_results() -> None:
    tally, latencies = Tally(), Latencies()
    tally.request(1, "WS", "result", 0.2)
    tally.request(17, "WS", "result", 0.4)
    latencies.absorb(tally.take())
    latencies.users(4, 10)
    latencies.users(9, 20)
    windows = latencies.windows(18)
    assert [window.start_s for window in windows] == [0, 5, 10, 15]
    assert [window.users for window in windows] == [10, 20, 20, 20]
    assert [window.is_whole for window in windows] == [True, True, True, False]
    assert [len(window.operations) for window in windows] == [1, 0, 0, 1]


def test_a_long_run_has_longer_windows_and_loses_no_count() -> None:
    tally, latencies = Tally(), Latencies(windows_max=8)
    seconds = 8 * 5 * int(WINDOW_S)
    for second in range(seconds):
        tally.request(second, "WS", "result", 0.01)
        latencies.absorb(tally.take())
        latencies.users(second, second)
    windows = latencies.windows(seconds)
    assert len(windows) <= 8
    assert {window.length_s for window in windows} == {8 * WINDOW_S}
    assert sum(window.operations["WS result"].requests for window in windows) == seconds
    assert [window.users for window in windows] == [39, 79, 119, 159, 199]


def test_names_and_reasons_with_ids_in_them_stay_bounded() -> None:
    tally, latencies = Tally(), Latencies()
    for number in range(5000):
        tally.request(1, "HTTP", f"job {number}", 0.1, f"failed {number}")
    latencies.absorb(tally.take())
    assert len(latencies.operations(1)) <= OPERATIONS_MAX + 1
    assert len(latencies.errors()) <= REASONS_MAX + OPERATIONS_MAX + 1
    assert sum(error.count for error in latencies.errors()) == 5000
    assert OTHER in {operation.name for operation in latencies.operations(1)}


def test_arrivals_and_jobs_of_all_processes_add_up_through_a_message() -> None:
    lag = Histogram(DIGITS)
    lag.record(4000)
    first = ProcessReport(Readings(1), due=10, sent=8, late=1, dropped=2, lag=lag.packed(), jobs={"a:b": {"n1": 3}})
    second = ProcessReport(Readings(2), due=5, sent=5, lag=lag.packed(), jobs={"a:b": {"n2": 0}, "c:d": {"n3": 7}})
    reported = [msgspec.convert(one.plain(), ProcessReport) for one in (first, second)]
    arrivals = arrivals_of(reported, 100)
    assert arrivals is not None
    assert (arrivals.intended, arrivals.sent, arrivals.late, arrivals.dropped) == (15, 13, 1, 2)
    assert arrivals.lag_s == Spread(0.004, 0.004, 0.004, 0.004, 0.004, 0.004)
    assert served_by(reported) == {("a:b", "n1"): 3, ("a:b", "n2"): 0, ("c:d", "n3"): 7}
    assert arrivals_of([ProcessReport(Readings(1))], 100) is None


def test_outcomes_of_jobs_are_derived_from_the_reasons() -> None:
    tally, latencies = Tally(), Latencies()
    for _ in range(10):
        tally.request(1, "WS", "submit", 0.01)
    tally.request(1, "WS", "submit", 0.01, "refused:waiting_full")
    for reason in ("", "", "", "no_result", "twice", "wrong_result", "failed:timed_out", "cancelled"):
        tally.request(2, "HTTP", "result", 0.1, reason)
    for kind in ("NODE", "KEY"):  # a key may have any name
        tally.request(2, kind, "result", 0.1, "no_result")
        tally.request(2, kind, "submit", 0.1, "refused:share")
    latencies.absorb(tally.take())
    jobs = jobs_of(latencies.operations(3), latencies.errors())
    assert (jobs.submitted, jobs.completed, jobs.rejected) == (10, 3, 1)
    assert (jobs.lost, jobs.twice, jobs.wrong, jobs.failed, jobs.cancelled) == (1, 1, 1, 1, 1)
