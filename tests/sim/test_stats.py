"""The parts of the verdict on memory: reading a saw-tooth, plateau, autocorrelation, trend, and what is too little."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leakgate.trend import (
    Series,
    Trend,
    Verdict,
    at_phase,
    autocorrelation_time,
    block_medians,
    judge,
    plateau_start,
    rising_p_value,
    smallest_leak,
    theil_sen,
)


def noise(length: int, seed: int = 1) -> Series:
    return 1000.0 + np.random.default_rng(seed).normal(0.0, 10.0, length)


def test_a_saw_tooth_is_read_just_after_each_sweep() -> None:
    times = [0.5, 1.0, 1.9, 2.0, 2.5, 3.9, 4.2]
    values = [50, 10, 90, 11, 55, 95, 20]

    at, read = at_phase(times, values, interval=1.0, phase=0.05)

    assert at.tolist() == [1.0, 2.0, 2.5, 3.9]
    assert read.tolist() == [10, 11, 55, 95]


def test_a_meter_that_read_nothing_gives_nothing() -> None:
    assert len(at_phase([], [], interval=1.0, phase=0.0)[1]) == 0


@pytest.mark.parametrize(("times", "interval"), [([1.0], 1.0), ([1.0, 2.0], 0.0)])
def test_samples_that_do_not_fit_are_refused(times: list[float], interval: float) -> None:
    with pytest.raises(ValueError, match="interval must be above 0"):
        at_phase(times, [1.0, 2.0], interval, 0.0)


def test_a_flat_series_has_no_leak() -> None:
    trend = judge(noise(300), floor=20.0)

    assert trend.verdict is Verdict.NO_LEAK, trend
    assert trend.growth_high <= 20.0


def test_a_plateau_that_hardly_moves_has_no_leak_however_its_noise_hangs_together() -> None:
    stairs = np.repeat([5.0, 6.0, 5.0, 7.0], 5)

    assert judge(stairs, floor=4.0).reason == "never moved by more than the floor"


def test_a_straight_line_is_a_leak_however_its_noise_hangs_together() -> None:
    """A table that doubles now and then makes long waves round the line: no block is independent of the next."""
    line = 50.0 * np.arange(40) + 30.0 * np.sin(np.arange(40) / 6.0)

    trend = judge(line, floor=20.0)

    assert trend.verdict is Verdict.LEAK
    assert trend.growth == pytest.approx(39 * 50.0, rel=0.1)


def test_a_random_walk_is_not_taken_for_a_leak() -> None:
    chance = np.random.default_rng(4)

    verdicts = [judge(np.cumsum(chance.normal(size=60)), floor=1e-6).verdict for _ in range(300)]

    assert Verdict.LEAK not in verdicts


def test_a_constant_series_has_no_leak() -> None:
    assert judge([7.0] * 60, floor=1.0).verdict is Verdict.NO_LEAK


def test_a_rising_series_is_a_leak_and_its_slope_is_measured() -> None:
    trend = judge(noise(300) + 0.5 * np.arange(300), floor=20.0)

    assert trend.verdict is Verdict.LEAK, trend
    assert trend.slope == pytest.approx(0.5, rel=0.05)


def test_growth_below_the_floor_is_none_however_significant() -> None:
    trend = judge(noise(300) / 10.0 + 0.01 * np.arange(300), floor=5.0)

    assert trend.verdict is Verdict.NO_LEAK
    assert trend.p_value < 1e-6


def test_the_warm_up_is_cut_off() -> None:
    series = noise(400) * np.minimum(1.0, np.arange(400.0) / 60)

    trend = judge(series, floor=20.0)

    assert 50 <= trend.plateau_from <= 200
    assert trend.verdict is Verdict.NO_LEAK, trend


def test_a_falling_series_has_no_leak() -> None:
    assert judge(noise(300) - 0.5 * np.arange(300), floor=20.0).verdict is Verdict.NO_LEAK


def test_a_plateau_reached_late_is_unclear_and_no_leak() -> None:
    series = noise(400) * np.minimum(1.0, np.arange(400) / 330)

    assert judge(series, floor=20.0).verdict is Verdict.UNCLEAR


def test_too_little_evidence_fails_closed() -> None:
    trend = judge(noise(10), floor=20.0)

    assert trend.verdict is Verdict.UNCLEAR
    assert "too little evidence" in trend.reason


def test_a_sample_that_could_not_be_read_fails_closed() -> None:
    series = noise(300)
    series[17] = math.nan

    trend = judge(series, floor=20.0)

    assert (trend.verdict, trend.reason) == (Verdict.UNCLEAR, "a sample is unreadable")


def test_an_empty_series_fails_closed() -> None:
    assert judge([], floor=1.0).verdict is Verdict.UNCLEAR


def test_a_floor_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="floor must be above 0"):
        judge(noise(300), floor=0.0)


def test_a_short_series_has_no_plateau_of_its_own() -> None:
    assert plateau_start(noise(30)) == 0


def test_the_autocorrelation_time_is_that_of_theory() -> None:
    chance, series = np.random.default_rng(3), np.empty(20_000)
    last = 0.0
    for i in range(len(series)):
        last = 0.8 * last + chance.normal()
        series[i] = last

    assert autocorrelation_time(series) == pytest.approx((1 + 0.8) / (1 - 0.8), rel=0.15)
    assert autocorrelation_time(noise(20_000)) < 1.3


def test_blocks_drop_the_oldest_rest() -> None:
    assert block_medians(np.array([99.0, 1.0, 2.0, 9.0, 4.0, 5.0, 6.0]), 3).tolist() == [2.0, 5.0]


def test_ties_and_short_series_are_no_rise() -> None:
    assert rising_p_value(np.array([1.0, 1.0, 1.0, 1.0])) == 1.0
    assert rising_p_value(np.array([1.0, 2.0])) == 1.0
    assert rising_p_value(np.arange(20.0)) < 1e-9
    assert rising_p_value(np.repeat(np.arange(5.0), 4)) < 1e-4
    assert all(not math.isfinite(x) for x in theil_sen(np.array([1.0])))


def test_the_smallest_leak_is_the_end_of_an_unbroken_run_of_found_ones() -> None:
    def verdict(word: Verdict) -> Trend:
        return Trend(word, "", 1, 0, 1, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)

    found, missed = verdict(Verdict.LEAK), verdict(Verdict.UNCLEAR)

    assert smallest_leak({64: found, 16: found, 4: missed}) == 16
    assert smallest_leak({64: found, 16: missed, 4: found}) == 64
    assert smallest_leak({64: missed, 16: found}) is None
    assert smallest_leak({}) is None
