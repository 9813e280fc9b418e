"""The verdict on one series: settling, lows, slope, steadiness, limit, and too little evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from voxpool.leakgate.judging import trend
from voxpool.leakgate.judging.trend import Series, Verdict, autocorrelation_time, judge


def noise(length: int, seed: int = 1) -> Series:
    return 1000.0 + np.random.default_rng(seed).normal(0.0, 10.0, length)


def test_a_saw_tooth_is_judged_by_its_lows_at_any_phase_of_the_readings() -> None:
    """A clean-up every 7 readings; the readings' phase drifts."""
    at = np.arange(400.0) * 1.013
    found = judge(5000.0 * (at / 7 % 1.0) + noise(400), limit=400.0)
    assert found.verdict is Verdict.NO_LEAK, found
    assert max(found.lows) < 2200.0, "the teeth are 5,000 high"


def test_a_flat_series_has_no_leak() -> None:
    found = judge(noise(300), limit=20.0)
    assert found.verdict is Verdict.NO_LEAK, found
    assert found.growth_high <= 20.0


def test_a_constant_series_has_no_leak() -> None:
    assert judge([7.0] * 60, limit=1.0).verdict is Verdict.NO_LEAK


def test_a_falling_series_has_no_leak() -> None:
    assert judge(noise(300) - 0.5 * np.arange(300), limit=20.0).verdict is Verdict.NO_LEAK


def test_a_plateau_has_no_leak_with_any_autocorrelation_of_its_noise() -> None:
    found = judge(np.repeat([5.0, 6.0, 5.0, 7.0], 15), limit=4.0)
    assert (found.verdict, found.reason) == (Verdict.NO_LEAK, "never moved by more than the limit")


def test_a_straight_line_is_a_leak_with_any_autocorrelation_of_its_noise() -> None:
    """A table that doubles from time to time makes long waves around the line."""
    line = 50.0 * np.arange(80) + 30.0 * np.sin(np.arange(80) / 6.0)
    found = judge(line, limit=20.0)
    assert found.verdict is Verdict.LEAK, found
    assert found.growth == pytest.approx(79 * 50.0, rel=0.1)


def test_a_rising_series_is_a_leak_and_its_growth_is_measured() -> None:
    found = judge(noise(300) + 0.5 * np.arange(300), limit=20.0)
    assert found.verdict is Verdict.LEAK, found
    assert found.growth == pytest.approx(0.5 * 299, rel=0.1)
    assert found.growth_low < 0.5 * 299 < found.growth_high


def test_growth_is_measured_over_work_not_time() -> None:
    """The work comes in bursts, and the growth with it."""
    times = np.arange(300.0)
    work = np.cumsum(np.where(times % 30 < 10, 30.0, 0.0))
    found = judge(noise(300) + 0.1 * work, limit=20.0, times=times, work=work)
    assert found.verdict is Verdict.LEAK, found
    assert found.growth == pytest.approx(0.1 * (work[-1] - work[0]), rel=0.1)


def test_significant_growth_below_the_limit_is_none() -> None:
    found = judge(noise(300) / 10.0 + 0.01 * np.arange(300), limit=5.0)
    assert found.verdict is Verdict.NO_LEAK
    assert found.growth_low > 0


def warm_up(share: float, length: int = 400) -> Series:
    """Return noise that begins at zero and reaches its level after `share` of the series."""
    return noise(length) * np.minimum(1.0, np.arange(float(length)) / (share * length))


def test_settling_in_the_first_third_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judge(warm_up(0.3), limit=20.0)
    assert found.settled_from == 133 and found.verdict is Verdict.NO_LEAK, found
    monkeypatch.setattr(trend, "SETTLING", 0.0)
    assert judge(warm_up(0.3), limit=20.0).verdict is not Verdict.NO_LEAK, "it is the settling that passes it"


def test_a_plateau_reached_late_is_unclear_and_no_leak() -> None:
    assert judge(warm_up(0.8), limit=20.0).verdict is Verdict.UNCLEAR


def walks(count: int) -> list[Verdict]:
    """Return verdicts on random walks."""
    chance = np.random.default_rng(4)
    return [judge(np.cumsum(chance.normal(size=120)), limit=1e-6).verdict for _ in range(count)]


def test_a_random_walk_is_no_leak_by_the_test_of_steadiness(monkeypatch: pytest.MonkeyPatch) -> None:
    assert walks(300).count(Verdict.LEAK) <= 3
    monkeypatch.setattr(trend._Judge, "_is_steady", lambda *_: True)
    assert walks(300).count(Verdict.LEAK) > 9


def stairs(seed: int) -> Series:
    """Return a step of 100 in noise of 10, somewhere in the middle."""
    at = np.random.default_rng(seed).integers(150, 280)
    return noise(300, seed) + np.where(np.arange(300) >= at, 100.0, 0.0)


def test_a_step_is_no_leak_by_the_test_of_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [judge(stairs(seed), limit=20.0).verdict for seed in range(60)].count(Verdict.LEAK) == 0
    monkeypatch.setattr(trend._Judge, "_is_alike", lambda *_: True)
    monkeypatch.setattr(trend._Judge, "_is_steady", lambda *_: True)
    assert [judge(stairs(seed), limit=20.0).verdict for seed in range(60)].count(Verdict.LEAK) > 20


@pytest.mark.parametrize("begins", [0.5, 0.7, 0.85])
def test_growth_that_begins_late_is_not_healthy(begins: float) -> None:
    late = 80.0 * np.maximum(0.0, np.arange(400) / 400 - begins) / (1.0 - begins)
    found = [judge(noise(400, seed) + late, limit=20.0).verdict for seed in range(60)]
    assert Verdict.NO_LEAK not in found


def test_growth_at_the_end_is_found_although_the_line_is_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    late = noise(400) + np.maximum(0.0, np.arange(400.0) - 350) * 5
    assert judge(late, limit=100.0).verdict is Verdict.UNCLEAR
    monkeypatch.setattr(trend._Judge, "_rises_late", lambda *_: False)
    assert judge(late, limit=100.0).verdict is Verdict.NO_LEAK


def test_too_little_evidence_fails_closed() -> None:
    found = judge(noise(10), limit=20.0)
    assert found.verdict is Verdict.UNCLEAR
    assert found.reason == "too little evidence: 10 readings, 12 are needed"


def test_readings_that_are_too_far_apart_fail_closed() -> None:
    times = np.concatenate([np.linspace(0, 1, 40), [60.0, 100.0]])
    found = judge(noise(42), limit=20.0, times=times)
    assert (found.verdict, found.reason) == (
        Verdict.UNCLEAR, "too little evidence: the readings are too far apart",
    )  # fmt: skip


def test_a_missing_reading_fails_closed() -> None:
    series = noise(300)
    series[17] = math.nan
    found = judge(series, limit=20.0)
    assert (found.verdict, found.reason) == (Verdict.UNCLEAR, "a reading is missing")


def test_without_work_there_is_no_verdict() -> None:
    assert judge(noise(300), limit=20.0, work=np.zeros(300)).reason == "no work was done"
    assert judge([], limit=1.0).verdict is Verdict.UNCLEAR


def test_a_limit_of_zero_and_columns_of_different_lengths_are_rejected() -> None:
    with pytest.raises(ValueError, match="limit must be above 0"):
        judge(noise(300), limit=0.0)
    with pytest.raises(ValueError, match="one length"):
        judge(noise(300), limit=1.0, times=np.arange(299.0))


def test_the_autocorrelation_time_matches_theory() -> None:
    chance, series = np.random.default_rng(3), np.empty(20_000)
    last = 0.0
    for i in range(len(series)):
        last = 0.8 * last + chance.normal()
        series[i] = last
    assert autocorrelation_time(series) == pytest.approx((1 + 0.8) / (1 - 0.8), rel=0.15)
    assert autocorrelation_time(noise(20_000)) < 1.3
