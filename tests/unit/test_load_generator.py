"""Checks whether the generator was the limit, and whether shares were fair."""

from __future__ import annotations

import numpy as np
import pytest

from voxpool.loadtest.measuring._generator import ProcessWatch, Readings, judge
from voxpool.loadtest.measuring._pools import pools_of
from voxpool.loadtest.report._records import COUNTS_MAX, POOLS_MAX, Arrivals, PoolFigures

GB = 10**9


def readings(**changed: float) -> Readings:
    usual = {"samples": 60, "busy": 1, "cpu_sum": 18.0, "cpu_max": 0.95, "machine_cpu_sum": 30.0}
    sizes = {"available_bytes_min": 8 * GB, "memory_bytes": 16 * GB}
    return Readings(7, **{**usual, **sizes, **changed})  # type: ignore[arg-type]


def arrivals(late: int) -> Arrivals:
    return Arrivals(intended=1000, sent=1000, late=late, dropped=0, late_ms=100)


def test_a_generator_that_keeps_up_is_not_the_limit() -> None:
    found = judge({"local": readings()}, arrivals(late=10))
    assert not found.was_limit
    assert found.reasons == found.notes == []
    assert found.processes[0].cpu_mean == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("reported", "late", "words"),
    [
        ({"busy": 7}, 0, "process w had its core full in 7 of 60 readings"),
        ({}, 11, "11 of 1,000 arrivals were sent more than 100 ms after their time"),
        ({"available_bytes_min": GB // 2}, 0, "500 MB of memory left"),
    ],
)
def test_the_exhausted_resource_is_named(reported: dict[str, float], late: int, words: str) -> None:
    found = judge({"master": readings(), "w": readings(**reported)}, arrivals(late))
    assert found.was_limit
    assert len(found.reasons) == 1
    assert words in found.reasons[0]


def test_a_full_machine_is_reported_but_is_no_proof() -> None:
    found = judge({"local": readings(machine_cpu_sum=59.0)}, None)
    assert not found.was_limit
    assert "all cores" in found.notes[0]


def test_a_short_run_has_no_verdict_on_the_cpu() -> None:
    assert not judge({"local": readings(samples=4, busy=4)}, None).was_limit
    assert judge({"local": Readings(7)}, None).processes[0].cpu_mean is None


def test_a_process_is_read() -> None:
    watch = ProcessWatch()
    watch.start()
    watch.sample()
    assert watch.readings.samples == 1
    assert watch.readings.rss_bytes_max > 0
    assert watch.readings.memory_bytes > (watch.readings.available_bytes_min or 0) > 0
    watch.start()
    assert watch.readings.samples == 0


def counts(numbers: list[int], pairs: str = "a:b") -> dict[tuple[str, str], int]:
    return {(pairs, f"n{k}"): number for k, number in enumerate(numbers)}


def test_even_shares_are_fair_and_a_node_without_jobs_is_found() -> None:
    fair = np.random.default_rng(1).multinomial(15_000, [1 / 1500] * 1500).tolist()
    pools = pools_of({}, counts(fair))
    assert pools is not None
    assert pools.p_value is not None
    assert pools.p_value > 0.01
    assert pools.groups[0].share_max == max(fair) / 15_000
    unfair = pools_of({}, counts([*fair[:-20], *[0] * 20]))
    assert unfair is not None
    assert unfair.p_value is not None
    assert unfair.p_value < 0.001


def test_too_few_jobs_a_node_are_unclear() -> None:
    pools = pools_of({}, counts([4, 5, 5]))
    assert pools is not None
    assert pools.groups[0].chi_square > 0
    assert pools.p_value is None
    assert pools.chi_square is None


def test_nodes_of_different_pairs_are_not_compared() -> None:
    pools = pools_of({}, counts([100] * 5) | counts([10] * 5, "c:d"))
    assert pools is not None
    assert pools.chi_square == 0
    assert pools.degrees == 8


def test_thousands_of_pools_and_nodes_fit_on_a_page() -> None:
    seen = {f"p{k}:x": PoolFigures(pair=f"p{k}:x", nodes=k, slots=k, running_max=0, waiting_max=0) for k in range(1200)}
    pools = pools_of(seen, counts(list(range(3000))))
    assert pools is not None
    assert (pools.count, pools.nodes_max, len(pools.pools)) == (1200, 1199, POOLS_MAX)
    assert len(pools.groups[0].counts) <= COUNTS_MAX
    assert pools.groups[0].counts[0] == 2999


def test_an_unreadable_list_has_a_reason() -> None:
    pools = pools_of({}, {}, "GET /v1/pools answers 401")
    assert pools is not None
    assert pools.unreadable == "GET /v1/pools answers 401"
    assert pools_of({}, {}) is None
