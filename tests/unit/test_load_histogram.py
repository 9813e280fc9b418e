"""Latencies as counts: values are reproduced within the width of a bucket."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpool.loadtest.measuring._histogram import HIGHEST_US, Histogram

VALUES = st.lists(st.integers(0, HIGHEST_US), min_size=1, max_size=200)
ERRORS = {1: 0.08, 2: 0.008, 3: 0.001, 4: 0.0001}
"""The precision of HdrHistogram for `digits`, slightly rounded up for the middle of a bucket."""


def histogram_of(values: list[int], digits: int = 3) -> Histogram:
    histogram = Histogram(digits)
    for value in values:
        histogram.record(value)
    return histogram


@given(VALUES, st.sampled_from(sorted(ERRORS)), st.floats(0, 1))
def test_a_quantile_is_right_within_its_digits(values: list[int], digits: int, share: float) -> None:
    found = histogram_of(values, digits).quantiles_us([share])[0]
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert abs(found - exact) <= ERRORS[digits] * exact + 0.5


@given(VALUES)
def test_count_mean_lowest_and_highest_are_exact(values: list[int]) -> None:
    histogram = histogram_of(values, 2)
    assert histogram.total == len(values)
    assert histogram.mean_us() == pytest.approx(sum(values) / len(values))
    assert (histogram.lowest_us, histogram.highest_us) == (min(values), max(values))


@given(VALUES, VALUES)
def test_a_merged_histogram_has_all_values(first: list[int], second: list[int]) -> None:
    both = Histogram.merged([histogram_of(first), histogram_of(second)], 3)
    assert both.packed() == histogram_of(first + second).packed()


@given(VALUES)
def test_packing_and_unpacking_are_inverse(values: list[int]) -> None:
    histogram = histogram_of(values)
    again = Histogram.unpacked(histogram.packed())
    assert again.packed() == histogram.packed()
    assert again.total == histogram.total


@given(VALUES)
def test_with_fewer_digits_it_is_nearly_the_same(values: list[int]) -> None:
    coarse = histogram_of(values, 3).coarser(2)
    exact = histogram_of(values, 3)
    assert (coarse.total, coarse.total_us, coarse.highest_us) == (exact.total, exact.total_us, exact.highest_us)
    median = exact.quantiles_us([0.5])[0]
    assert coarse.quantiles_us([0.5])[0] == pytest.approx(median, rel=0.009, abs=1)


def test_a_long_tail_matches_numpy() -> None:
    values = np.random.default_rng(3).lognormal(9, 1.5, 49_999).astype(int).tolist()
    found = histogram_of(values).quantiles_us([0.5, 0.9, 0.99, 0.999])
    assert found == pytest.approx(np.percentile(values, [50, 90, 99, 99.9], method="inverted_cdf").tolist(), rel=0.001)


def test_empty_buckets_take_no_memory() -> None:
    histogram = histogram_of([5_000] * 1000 + [2_000_000])
    assert len(histogram.counts) == 2


def test_an_empty_histogram_has_no_mean_and_no_quantile() -> None:
    assert math.isnan(Histogram().mean_us())
    assert math.isnan(Histogram().quantiles_us([0.5])[0])


def test_values_out_of_range_count_as_the_nearest() -> None:
    histogram = histogram_of([-5, 2 * HIGHEST_US])
    assert (histogram.lowest_us, histogram.highest_us) == (0, HIGHEST_US)


@pytest.mark.parametrize("numbers", [[], [3], [3, 0, 0, 0, 7], [9, 0, 0, 0]])
def test_invalid_packed_data_are_rejected(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match=r"histogram|digits"):
        Histogram.unpacked(numbers)


def test_different_digits_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="digits"):
        Histogram(2).add(Histogram(3))
