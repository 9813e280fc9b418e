"""The arrivals of a client user: Poisson, known beforehand, and never delayed by earlier jobs."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpool.loadtest.users._arrivals import Arrival, Arrivals
from voxpool.loadtest.users._counts import Counts
from voxpool.loadtest.users._workload import Stream, Workload
from voxpool.sim.chance.distributions import Exponential


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class User:
    """One client user: its clock, its arrivals, and its counts."""

    def __init__(self, *streams: Stream, name: str = "client-0", seed: int = 1, begun_s: float | None = None) -> None:
        self.clock = Clock()
        self.counts = Counts()
        self.arrivals = Arrivals(streams, seed, name, clock=self.clock, counts=self.counts, late_s=0.1, begun_s=begun_s)

    def next(self, late_s: float = 0.0) -> Arrival:
        """Advance to the next arrival, or past it, and take it."""
        wait_s = self.arrivals.wait_s()
        assert wait_s is not None
        self.clock.now_s += wait_s + late_s
        arrival = self.arrivals.take(0, 1)
        assert arrival is not None
        return arrival


def test_the_times_are_poisson_of_the_rate() -> None:
    """The gaps of 10,000 arrivals have the mean of the rate, and the variance of exponential gaps."""
    user = User(Stream("zh:en", 5.0))
    times = [user.next().intended_s for _ in range(10_001)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert statistics.fmean(gaps) == pytest.approx(0.2, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(0.2, rel=0.05)


def test_many_users_together_submit_at_the_rate_of_the_scenario() -> None:
    """Forty users with a fortieth each: 6,000 expected in 300 s, within five standard deviations."""
    workload = Workload((Stream("zh:en", 15.0), Stream("en:zh", 5.0)))
    users = [User(*workload.of_one(40), name=f"client-{k}") for k in range(40)]
    pairs: list[str] = []
    for user in users:
        while (wait_s := user.arrivals.wait_s()) is not None and user.clock.now_s + wait_s < 400:
            pairs.append(user.next().stream.pair)
    assert abs(len(pairs) - 6000) < 5 * 6000**0.5
    assert abs(pairs.count("en:zh") - 1500) < 5 * 1500**0.5


def test_a_slow_scheduler_does_not_delay_the_arrivals() -> None:
    """A user that is 30 s late finds all due arrivals, each with its own intended time: none was shifted."""
    prompt, stalled = User(Stream("zh:en", 2.0)), User(Stream("zh:en", 2.0))
    expected = [prompt.next().intended_s for _ in range(200)]
    stalled.clock.now_s += 30
    found = []
    while stalled.arrivals.wait_s() == 0:
        arrival = stalled.arrivals.take(0, 1)
        assert arrival is not None
        found.append(arrival.intended_s)
    assert found == [at_s for at_s in expected if at_s <= 130]
    assert stalled.counts.late == len([at_s for at_s in found if 130 - at_s > 0.1])
    assert stalled.counts.late > 40


def test_an_arrival_is_late_past_the_limit_only() -> None:
    user = User(Stream("zh:en", 0.001))
    user.next(late_s=0.05)
    assert (user.counts.due, user.counts.sent, user.counts.late) == (1, 1, 0)
    user.next(late_s=0.2)
    assert (user.counts.due, user.counts.sent, user.counts.late) == (2, 2, 1)


def test_with_too_many_open_jobs_an_arrival_is_dropped_and_counted() -> None:
    """The next arrival has its own time, as without the drop."""
    dropping, other = User(Stream("zh:en", 1.0, Exponential(1.0))), User(Stream("zh:en", 1.0, Exponential(1.0)))
    wait_s = dropping.arrivals.wait_s()
    assert wait_s is not None
    dropping.clock.now_s += wait_s
    assert dropping.arrivals.take(outstanding=7, outstanding_max=7) is None
    assert (dropping.counts.due, dropping.counts.sent, dropping.counts.dropped_) == (1, 0, 1)
    other.next()
    assert dropping.next() == other.next()


def test_nothing_is_taken_before_its_time() -> None:
    user = User(Stream("zh:en", 0.01))
    assert user.arrivals.take(0, 1) is None
    assert user.counts.due == 0


def test_seed_and_name_determine_the_arrivals() -> None:
    streams = (Stream("zh:en", 3.0, Exponential(0.5)), Stream("en:zh", 1.0))

    def drawn(name: str, seed: int) -> list[Arrival]:
        user = User(*streams, name=name, seed=seed)
        return [user.next() for _ in range(100)]

    assert drawn("a", 1) == drawn("a", 1)
    assert drawn("a", 1) != drawn("b", 1)
    assert drawn("a", 1) != drawn("a", 2)


@given(rates=st.lists(st.floats(0.1, 50), min_size=1, max_size=4), seed=st.integers(0, 2**32))
def test_streams_are_merged_in_order_of_time(rates: list[float], seed: int) -> None:
    user = User(*(Stream(f"p{k}:en", rate) for k, rate in enumerate(rates)), seed=seed)
    times = [user.next().intended_s for _ in range(60)]
    assert times == sorted(times)


def test_similar_streams_share_their_arrivals_by_their_rates() -> None:
    """A user of a thousand pools draws from one stream with the total rate; each pair gets its share."""
    user = User(
        *(Stream(f"p{k}:en", 1.0 + (k == 0) * 9.0) for k in range(1000)), Stream("even:en", 1.0, arrivals="even")
    )
    assert len(user.arrivals._sources) == 2
    drawn = [user.next() for _ in range(20_000)]
    assert drawn[-1].intended_s - 100 == pytest.approx(20_000 / 1010, rel=0.05)
    counts = Counter(arrival.stream.pair for arrival in drawn)
    assert len(counts) == 1001
    assert counts["p0:en"] == pytest.approx(10 * 20_000 / 1010, rel=0.35), "five deviations"
    assert {arrival.stream.rate_per_s for arrival in drawn} == {1.0, 10.0}, "each is the stream that it was asked as"


def test_a_stream_begins_and_ends_at_the_times_of_the_run() -> None:
    """The run began at 95; now it is 100. From 10 to 20 s of the run is from 105 to 115."""
    user = User(Stream("zh:en", 20.0, start_s=10, end_s=20), begun_s=95.0)
    times = []
    while user.arrivals.wait_s() is not None:
        times.append(user.next().intended_s)
    assert times[0] > 105
    assert times[-1] < 115
    assert 140 < len(times) < 260


def test_bursts_arrive_together_at_the_mean_rate() -> None:
    user = User(Stream("zh:en", 10.0, arrivals="bursts", burst=5))
    times = [user.next().intended_s for _ in range(5_000)]
    assert len(set(times)) == 1000
    assert (times[-1] - 100) == pytest.approx(500, rel=0.15)


def test_even_arrivals_are_even_with_different_offsets() -> None:
    users = [User(Stream("zh:en", 2.0, arrivals="even"), name=f"client-{k}") for k in range(20)]
    first = [user.next().intended_s for user in users]
    assert len(set(first)) == 20
    assert all(user.next().intended_s - at_s == pytest.approx(0.5) for user, at_s in zip(users, first, strict=True))


def test_without_a_rate_nothing_arrives() -> None:
    assert User(Stream("zh:en", 0.0)).arrivals.wait_s() is None
    assert User().arrivals.wait_s() is None
