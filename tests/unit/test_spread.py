"""Quantiles of binned milliseconds match those of the values within a bin; a sliding window leaves no trace."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from voxpool.scheduler.telemetry.spread import Spread, bin_of, middle_of

VALUES = st.lists(st.integers(0, 10**8), min_size=1, max_size=200)
SHARES = (0.5, 0.9, 0.99)


def spread_of(values: list[int]) -> Spread:
    spread = Spread()
    for value in values:
        spread.note(value)
    return spread


@given(VALUES)
def test_quantiles_are_those_of_the_values_within_a_bin(values: list[int]) -> None:
    found = spread_of(values).quantiles(SHARES)
    assert found is not None
    ordered = sorted(values)
    for share, quantile in zip(SHARES, found, strict=True):
        exact = ordered[math.ceil(share * len(ordered)) - 1]
        assert abs(quantile - exact) <= exact / 16


@given(st.integers(0, 2**40))
def test_bins_follow_each_other_without_gaps(value: int) -> None:
    assert bin_of(value + 1) - bin_of(value) in (0, 1)
    assert bin_of(round(middle_of(bin_of(value)) - 0.25)) == bin_of(value)


@given(VALUES, VALUES)
def test_added_and_removed_values_leave_nothing(first: list[int], second: list[int]) -> None:
    spread = spread_of(first)
    spread.add(spread_of(second))
    assert spread.quantiles(SHARES) == spread_of(first + second).quantiles(SHARES)
    spread.take(spread_of(first))
    assert (spread.bins, spread.count) == (spread_of(second).bins, len(second))
    spread.take(spread_of(second))
    assert spread.bins == {} and spread.quantiles(SHARES) is None


def test_times_below_zero_count_as_none() -> None:
    assert spread_of([-5]).quantiles([0.5]) == [0.0]
