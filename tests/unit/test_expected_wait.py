"""The expected wait of a new job: from slots, services and measured ends; and when it is unknown."""

from __future__ import annotations

import math
from collections import deque

import pytest

from voxpool.scheduler.core.admission.wait_times import Flow, chance_above

WINDOW_MS = 15_000


class Pool:
    """A pool in which each job takes `service_ms`; `slots_ours` of its slots are free for the pair."""

    def __init__(self, slots: int, service_ms: int, slots_ours: int | None = None) -> None:
        self.flow = Flow(WINDOW_MS, 0)
        self.flow.serve(0, 1, slots)
        self.now_ms = 0
        self._slots = slots if slots_ours is None else slots_ours
        self._service_ms = service_ms
        self._running: deque[tuple[int, int]] = deque()

    def submit(self, count: int = 1) -> None:
        for _ in range(count):
            self.flow.came()
        self._start()

    def grow(self, slots: int) -> None:
        self._slots += slots
        self.flow.serve(self.now_ms, 1, slots)
        self._start()

    def pass_ms(self, ms: int) -> None:
        end_ms = self.now_ms + ms
        while self._running and self._running[0][0] <= end_ms:
            self.now_ms, dispatched_ms = self._running.popleft()
            self.flow.ended(self.now_ms, dispatched_ms, is_served=True)
            self._start()
        self.now_ms = end_ms

    @property
    def wait_ms(self) -> float:
        return self.flow.wait(self.now_ms)[0]

    def _start(self) -> None:
        while self.flow.waiting and len(self._running) < self._slots:
            self.flow.started(self.now_ms)
            self._running.append((self.now_ms + self._service_ms, self.now_ms))
        if self.flow.waiting:
            self.flow.full(self.now_ms)


def test_a_free_slot_means_no_wait() -> None:
    pool = Pool(slots=10, service_ms=500)
    assert pool.flow.wait(0) == (0.0, 0.0)
    pool.submit(9)
    assert pool.wait_ms == 0


def test_slots_that_are_taken_are_not_free_although_the_store_has_found_no_job_without_one() -> None:
    pool = Pool(slots=10, service_ms=500)
    pool.submit(10)
    assert not pool.flow.is_full and pool.flow.ahead() == 1
    assert pool.flow.ahead(before=3) == 4, "three jobs start before it"
    pool.pass_ms(500)
    assert pool.flow.ahead() == 0


def test_the_wait_is_unknown_before_a_job_has_run() -> None:
    pool = Pool(slots=10, service_ms=500)
    pool.submit(200)
    pool.pass_ms(1)
    assert pool.wait_ms < 100, "a burst into an idle pool: its jobs have run for 1 ms"


def test_before_the_first_end_the_age_of_running_jobs_is_a_lower_bound() -> None:
    pool = Pool(slots=2, service_ms=60_000)
    pool.submit(12)
    pool.pass_ms(5_000)
    assert pool.wait_ms == pytest.approx(11 * 5_000 / 2)


@pytest.mark.parametrize(("slots", "service_ms"), [(1, 1000), (10, 500), (1000, 2000)])
def test_the_expected_wait_matches_the_actual_one(slots: int, service_ms: int) -> None:
    pool = Pool(slots, service_ms)
    waiting = 5 * slots
    pool.submit(slots + waiting)
    for _ in range(40):
        pool.pass_ms(service_ms)
        pool.submit(slots)
    assert 0.85 * 5 * service_ms <= pool.wait_ms <= 1.15 * 6 * service_ms, "five rounds of jobs wait"


def test_a_grown_pool_counts_with_its_new_size_at_once() -> None:
    pool = Pool(slots=2, service_ms=1000)
    pool.submit(42)
    pool.pass_ms(5_000)
    before_ms = pool.wait_ms
    pool.grow(18)
    pool.submit(10)
    assert pool.wait_ms < before_ms / 4


def test_shared_nodes_are_measured() -> None:
    """Two of ten slots are left for this pair: from the service time alone the rate would be five times too high."""
    pool = Pool(slots=10, service_ms=1000, slots_ours=2)
    pool.submit(102)
    pool.pass_ms(20_000)
    assert pool.wait_ms == pytest.approx(61_000 / 2, rel=0.25)


def test_old_measurements_are_forgotten() -> None:
    pool = Pool(slots=10, service_ms=1000, slots_ours=2)
    pool.submit(40)
    pool.pass_ms(30_000)
    assert pool.flow.waiting == 0
    pool.pass_ms(600_000)
    assert pool.flow.starts_per_ms(pool.now_ms) == pytest.approx(10 / 1000, rel=0.01), "the others may have gone"


def test_the_last_node_is_expected_to_return_with_its_slots() -> None:
    pool = Pool(slots=4, service_ms=1000)
    pool.submit(4)
    pool.pass_ms(1000)
    pool.flow.serve(pool.now_ms, -1, -4)
    pool.flow.came()
    assert pool.wait_ms == pytest.approx(2 * 1000 / 4)


def test_jobs_of_mixed_length_make_the_wait_less_certain() -> None:
    waits = []
    for services in ([1000] * 60, [100] * 54 + [9100] * 6):
        flow, now_ms = Flow(WINDOW_MS, 0), 0
        flow.serve(0, 1, 1)
        for service_ms in services:
            flow.came()
            flow.started(now_ms)
            now_ms += service_ms
            flow.ended(now_ms, now_ms - service_ms, is_served=True)
        for _ in range(5):
            flow.came()
        flow.started(now_ms)
        flow.full(now_ms)
        waits.append(flow.wait(now_ms))
    (even_ms, even_deviation_ms), (mixed_ms, mixed_deviation_ms) = waits
    assert even_ms == pytest.approx(mixed_ms, rel=0.01)
    assert mixed_deviation_ms > 4 * even_deviation_ms


def test_the_deviation_is_that_of_the_slots_and_of_the_measured_rate() -> None:
    """Ten equal services of a second; four slots have to get free: c^2 = 0.1, n = 4, ten starts."""
    flow = Flow(WINDOW_MS, 0)
    flow.serve(0, 1, 1)
    for number in range(10):
        flow.came()
        flow.started(1000 * number)
        flow.ended(1000 * (number + 1), 1000 * number, is_served=True)
    for _ in range(4):
        flow.came()
    flow.started(10_000)
    assert flow.wait(10_000) == pytest.approx((4000.0, 1000 * math.sqrt(0.1 * (4 + 4**2 / 10))))


def test_a_pair_without_waiting_jobs_is_not_full() -> None:
    """The last one ended while the store looked for a slot."""
    flow = Flow(WINDOW_MS, 0)
    flow.serve(0, 1, 1)
    flow.full(0)
    assert not flow.is_full and flow.ahead() == 0


def test_a_jump_of_the_clock_is_ignored() -> None:
    pool = Pool(slots=1, service_ms=100)
    pool.submit(20)
    pool.pass_ms(1000)
    before_ms = pool.wait_ms
    pool.now_ms += 3_600_000
    assert pool.wait_ms < 40 * before_ms


@pytest.mark.parametrize("jobs", [1, 4, 25, 400])
def test_the_probability_of_being_late_is_that_of_a_gamma_distribution(jobs: int) -> None:
    """The time is a sum of exponential times: P(more than t) = P(fewer than `jobs` ends in t), a Poisson sum."""
    for factor in (1.0, 1.3, 2.0):
        ends = jobs * factor
        exact = math.fsum(math.exp(n * math.log(ends) - ends - math.lgamma(n + 1)) for n in range(jobs))
        assert chance_above(factor * jobs, jobs, math.sqrt(jobs)) == pytest.approx(exact, abs=0.004)
    assert chance_above(0.0, 0.0, 0.0) == 0.0
    assert chance_above(-5.0, 1.0, 1.0) == pytest.approx(1.0, abs=0.01)
