"""The series of a memory watch: bounded, evenly spaced, and at one phase of the sweeps."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from loadtest.memory._records import PHASE_MAX, MemorySeries, curves
from loadtest.memory._watch import AIM, EVERY_S, PAUSE_MIN_S, pause_s
from tests.load.memory_series import sample


def test_a_series_is_bounded_and_stays_evenly_spaced() -> None:
    made = MemorySeries(1.0, samples_max=64)
    for number in range(10_000):
        made.add(sample(number, counts={"table a": number}))
    for kept in (made.raw, made.swept):
        assert 32 <= len(kept) < 64
        assert len({round(b.t_s - a.t_s, 6) for a, b in pairwise(kept)}) == 1
    assert made.first is not None and made.last is not None
    assert (made.first.t_s, made.last.t_s) == (0.1, 9999.1), "the ends are known, whatever was dropped"
    assert all(not one.counts for one in made.raw) and all(one.counts for one in made.swept)


def test_only_the_first_sample_after_a_sweep_counts_and_only_in_time() -> None:
    made = MemorySeries(10.0)
    for sweep, age_s in [(0, None), (1, 1.0), (1, 3.5), (1, 2.0), (2, 3.1), (3, 0.0), (4, 3.0)]:
        made.add(sample(0, sweep=sweep, age_s=age_s))
    assert [(one.sweep, one.age_s) for one in made.swept] == [(1, 1.0), (3, 0.0), (4, 3.0)]
    assert len(made.raw) == 7


def test_with_the_clean_up_off_every_sample_counts() -> None:
    made = MemorySeries(0.0)
    for number in range(5):
        made.add(sample(number, 0.0))
    assert len(made.swept) == 5


def test_what_comes_while_the_load_ends_is_shown_and_not_judged() -> None:
    made = MemorySeries(1.0)
    made.add(sample(0))
    made.add(sample(1), is_judged=False)
    assert (len(made.raw), len(made.swept), made.last) == (2, 1, sample(1))


def test_the_ends_tell_of_the_store_what_was_known_first_and_last() -> None:
    made = MemorySeries(1.0)
    for number, (counts, store_bytes) in enumerate(
        [({}, None), ({"store keys a": 1}, 7), ({"store keys a": 2}, 9), ({}, None)]
    ):
        made.add(sample(number, counts={"threads": number, **counts}, store_bytes=store_bytes))
    assert made.first is not None and made.last is not None
    assert (made.first.counts, made.first.store_bytes) == ({"threads": 0, "store keys a": 1}, 7)
    assert (made.last.counts, made.last.store_bytes) == ({"threads": 3, "store keys a": 2}, 9)


def test_a_snapshot_stays_as_it_is() -> None:
    made = MemorySeries(0.0)
    made.add(sample(0, 0.0))
    taken = made.snapshot()
    made.add(sample(1, 0.0))
    assert (len(taken.raw), len(taken.swept), len(made.raw)) == (1, 1, 2)


def test_columns_tell_what_is_not_known_as_null() -> None:
    columns = curves([sample(1), sample(2, live_bytes=None, held_bytes=None)])
    assert columns is not None and columns.live_bytes == [40_000_000, None]
    assert msgspec.json.decode(msgspec.json.encode(columns))["held_bytes"] == [45_000_000, None]
    assert curves([]) is None


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 3.0, 60.0])
@pytest.mark.parametrize("late", [0.0, 0.02, 0.07])
def test_readings_come_soon_after_the_sweeps_and_not_too_often(interval_s: float, late: float) -> None:
    """A sweep comes `interval_s` after the last one was DONE: each is a little late, and the readings follow."""
    period_s = (1 + late) * interval_s
    now_s = seen_s = 0.0
    ages: list[float] = []
    pauses: list[float] = []
    while len(ages) < 50:
        pauses.append(pause_s(interval_s, now_s - seen_s))
        now_s += pauses[-1] + 0.002 * interval_s  # a reading takes time
        swept_s = period_s * (now_s // period_s)
        if swept_s > seen_s:
            ages.append((now_s - swept_s) / interval_s)
            seen_s = swept_s
    assert min(pauses) > 0 and sum(pauses) / len(pauses) >= 0.75 * PAUSE_MIN_S
    assert sum(age <= PHASE_MAX for age in ages) >= 0.95 * len(ages)


def test_the_pause_without_a_sweep() -> None:
    assert pause_s(0.0, None) == EVERY_S
    assert pause_s(12.0, None) == 3.0
    assert pause_s(60.0, None) == 5.0
    assert pause_s(60.0, 1.0, every_s=2.5) == 2.5
    assert pause_s(60.0, 0.0) == pytest.approx(60 * AIM)
    assert pause_s(60.0, 6.0) == pytest.approx(5.0)
    assert pause_s(12.0, 1.2) == pytest.approx(3.0)
    assert pause_s(12.0, 11.8) == pytest.approx(1.4), "the next one, just after the sweep that is due"
