"""Fair order between keys: the bound of a lone key, weights, priorities, charges, and what is remembered."""

from __future__ import annotations

import random
from collections import Counter
from typing import TypeAlias

import pytest

from voxpool.scheduler.core.jobs.fair import FairQueue, FairWaitingJobs
from voxpool.scheduler.core.jobs.fair_band import AHEAD_MAX
from voxpool.scheduler.core.jobs.job import Job, Share
from voxpool.scheduler.core.jobs.waiting import SelectBatch, WaitingJobs

PAIR = "zh:en"


class Pool:
    """Waiting jobs in fair order, and a store that has one free slot a turn."""

    def __init__(self, waiting: WaitingJobs | None = None) -> None:
        self.waiting = FairWaitingJobs() if waiting is None else waiting  # an empty one is false
        self.started: list[str] = []
        """The keys of the jobs that started."""
        self._sequences = 0

    def submit(self, key: str, jobs: int = 1, weight: float = 1.0, priority: int = 3, pair: str = PAIR) -> list[Job]:
        """Let `jobs` jobs of `key` wait."""
        submitted = [self._job(pair, key, weight, priority) for _ in range(jobs)]
        for job in submitted:
            self.waiting.add(job)
        return submitted

    def turn(self, ask: int = 1, room: int | None = 1) -> SelectBatch:
        """Free a slot (None: nothing is known of the room), ask for `ask` jobs, and let the first one start."""
        if room is None:
            self.waiting.room_everywhere()
        else:
            self.waiting.room((PAIR,), room)
        batch = self.waiting.next_batch(ask)
        assert batch is not None
        first, *rest = batch.jobs
        self.start(batch, first)
        for job in rest:
            batch.nobody(job)
            self.waiting.add(job)
        self.waiting.settle(batch)
        return batch

    def start(self, batch: SelectBatch, job: Job) -> None:
        """Answer that `job` has a slot."""
        job.attempt += 1
        batch.allocated(job)
        assert job.share is not None
        self.started.append(job.share.key)

    @property
    def queue(self) -> FairQueue:
        """The queue of PAIR."""
        queue = self.waiting._queues[PAIR]
        assert isinstance(queue, FairQueue)
        return queue

    def _job(self, pair: str, key: str, weight: float, priority: int) -> Job:
        self._sequences += 1
        return Job(
            job_id=f"j-{self._sequences}",
            request_id=f"r-{self._sequences}",
            session_id="",
            pair=pair,
            sequence=self._sequences,
            submitted_ms=self._sequences,
            audio=b"",
            audio_bytes=1,
            share=Share(priority, key, weight),
        )


def test_a_key_is_expected_behind_as_many_as_came_between_its_jobs_lately() -> None:
    """The other key has nothing waiting now, but every second start was one of its jobs until here."""
    pool = Pool()
    others = pool.submit("b", 3)
    pool.submit("a", 3)
    for _ in range(4):
        pool.turn()
    assert pool.started == ["b", "a", "b", "a"]
    pool.waiting.discard(others[2])
    assert pool.waiting.before(PAIR, Share(3, "a", 1.0)) == 3, "its own that waits, and one of the other before each"


def test_a_new_weight_of_a_key_without_waiting_jobs_counts_once() -> None:
    pool = Pool()
    pool.submit("a")
    pool.submit("b", 20)
    pool.turn()
    assert pool.started == ["a"]
    pool.submit("a", weight=4.0)
    assert pool.waiting.before(PAIR, Share(3, "new", 1.0)) == 5, "one job of b, and four of a, for each new one"


def test_a_lone_job_is_behind_one_job_of_each_other_key() -> None:
    pool = Pool()
    for key in "abcde":
        pool.submit(key, 100, weight=ord(key) - 96)
    for _ in range(40):
        pool.turn()
    pool.submit("lone")
    while pool.started[-1] != "lone":
        pool.turn()
    behind = Counter(pool.started[40:-1])
    assert sum(behind.values()) <= 5 and max(behind.values(), default=0) <= 1


def test_shares_follow_the_weights() -> None:
    pool = Pool()
    for key, weight in (("a", 1), ("b", 2), ("c", 4)):
        pool.submit(key, 1000, weight=weight)
    for _ in range(700):
        pool.turn()
    assert Counter(pool.started) == pytest.approx({"a": 100, "b": 200, "c": 400}, abs=2)


@pytest.mark.parametrize("is_asked", [False, True], ids=["while they wait", "while the store looks for slots"])
def test_a_cancelled_job_is_not_charged(is_asked: bool) -> None:
    """`a` cancels 999 of its 1,000 jobs; the last one starts as soon as one of another key that never cancelled."""
    pool = Pool()
    cancelled = pool.submit("a", 1000)[:-1]
    pool.submit("b", 1000)
    batch = None
    if is_asked:
        batch = pool.waiting.next_batch(2000)
        assert batch is not None
        for job in batch.jobs:
            batch.nobody(job)
            if job not in cancelled:
                pool.waiting.add(job)
        pool.waiting.settle(batch)
    else:
        for job in cancelled:
            pool.waiting.discard(job)
    pool.turn()
    pool.turn()
    assert sorted(pool.started) == ["a", "b"]


def test_a_higher_priority_comes_first_whatever_waits_below() -> None:
    pool = Pool()
    pool.submit("batch", 50, priority=5, weight=100)
    pool.submit("live", 3, priority=1)
    pool.submit("usual", 3)
    for _ in range(8):
        pool.turn()
    assert pool.started == [*["live"] * 3, *["usual"] * 3, *["batch"] * 2]


def test_a_job_that_came_back_from_a_node_comes_first_in_its_priority() -> None:
    pool = Pool()
    pool.submit("a", 10)
    pool.submit("b", 10)
    (job,) = pool.turn().jobs
    pool.waiting.add(job)
    pool.submit("live", priority=1)
    assert [pool.turn().jobs[0].sequence for _ in range(2)] == [21, job.sequence]


def test_pairs_take_turns_when_keys_differ() -> None:
    """`a` floods one pair, `b` has few jobs of another, and the same nodes serve both."""
    pool = Pool()
    pool.submit("a", 100)
    pool.submit("b", 3, pair="en:zh")
    batch = pool.waiting.next_batch(200)
    assert batch is not None
    assert [job.pair for job in batch.jobs[:6]].count("en:zh") == 3
    alone = Pool()
    alone.submit("a", 5)
    alone.submit("a", 5, pair="en:zh")
    batch = alone.waiting.next_batch(10)
    assert batch is not None
    assert [job.sequence for job in batch.jobs] == list(range(1, 11)), "one key: in the order of the submits"


@pytest.mark.parametrize("keys", [600, pytest.param(200_000, marks=pytest.mark.large)])
def test_a_key_for_each_job_leaves_nothing(keys: int) -> None:
    pool = Pool()
    pool.submit("flood", keys + 400)
    most = 0
    for number in range(keys):
        pool.submit(f"one-shot-{number}")
        for _ in range(2):
            pool.turn()
        most = max(most, pool.queue.keys)
    assert most <= 10
    while pool.waiting.total:
        pool.turn()
    assert not pool.waiting._queues


def test_keys_that_are_ahead_are_forgotten_past_a_bound() -> None:
    pool = Pool()
    for number in range(3 * AHEAD_MAX):
        pool.submit(f"k-{number}")
    pool.waiting.room((PAIR,), 10**6)
    batch = pool.waiting.next_batch(3 * AHEAD_MAX)
    assert batch is not None
    for job in batch.jobs:
        batch.nobody(job) if job.sequence <= 5 else pool.start(batch, job)
        if not job.attempt:
            pool.waiting.add(job)
    pool.waiting.settle(batch)
    assert pool.queue.keys <= 5 + 5 + AHEAD_MAX


def test_a_new_weight_counts_at_once_for_all_that_waits() -> None:
    pool = Pool()
    pool.submit("a", 3, weight=1.0)
    pool.submit("b", 20, weight=1.0)
    assert pool.waiting.before(PAIR, Share(3, "a", 1.0)) == 7, "three of its own, and four of the other"
    pool.submit("b", weight=2.0)
    assert pool.waiting.before(PAIR, Share(3, "a", 1.0)) == 11
    assert pool.waiting.before(PAIR, Share(5, "a", 1.0)) == 24, "all of a higher priority"


Running: TypeAlias = "dict[str, list[Job]]"
"""The jobs that nodes have, by pair."""
SHARES = [(priority, key) for priority in (1, 3, 5) for key in "abcde"]


@pytest.mark.parametrize("seed", range(40))
def test_it_asks_for_as_many_jobs_as_the_order_of_submits(seed: int) -> None:
    """The same random life in both orders: equal numbers, credits and ready pairs at every step; nothing is left."""
    draw = random.Random(seed)
    pools = [Pool(WaitingJobs()), Pool()]
    both = [pool.waiting for pool in pools]
    ran: list[Running] = [{PAIR: [], "en:zh": []} for _ in pools]
    for _ in range(300):
        _step(draw, pools, ran)
        one, other = both
        assert len(one) == len(other) and dict(one.counts()) == dict(other.counts())
        assert dict(one.credits()) == dict(other.credits()) and set(one._ready) == set(other._ready)
    for waiting in both:
        for queue in list(waiting._queues.values()):
            for job in list(queue.jobs.values()):
                waiting.discard(job)
        assert not waiting._queues and not waiting._ready and waiting.total == 0


def _step(draw: random.Random, pools: list[Pool], ran: list[Running]) -> None:
    kind = draw.random()
    pair = draw.choice([PAIR, "en:zh"])
    if kind < 0.45:
        priority, key = draw.choice(SHARES)
        weight = draw.choice([1, 2, 4])
        for pool in pools:
            pool.submit(key, weight=weight, priority=priority, pair=pair)
    elif kind < 0.55:
        at = draw.random()
        for pool in pools:
            queue = pool.waiting._queues.get(pair)
            if queue is not None and queue.jobs:
                jobs = list(queue.jobs.values())
                pool.waiting.discard(jobs[int(at * len(jobs))])
    elif kind < 0.78:
        room = draw.choice([1, 2, 3, None])
        for pool in pools:
            if room is None:
                pool.waiting.room_everywhere()
            else:
                pool.waiting.room((pair,), room)
    elif kind < 0.95:
        ask, shares = draw.randint(1, 8), {PAIR: draw.random(), "en:zh": draw.random()}
        for pool, running in zip(pools, ran, strict=True):
            _ask(pool, ask, shares, running)
    elif all(running[pair] for running in ran):
        at = draw.random()
        for pool, running in zip(pools, ran, strict=True):
            pool.waiting.add(running[pair].pop(int(at * len(running[pair]))))


def _ask(pool: Pool, ask: int, shares: dict[str, float], running: Running) -> None:
    """Let the store find slots for a share of the jobs of each pair."""
    batch = pool.waiting.next_batch(ask)
    if batch is None:
        return
    asked = Counter(job.pair for job in batch.jobs)
    left = {pair: int(share * asked[pair]) for pair, share in shares.items()}
    for job in batch.jobs:
        if left[job.pair]:
            left[job.pair] -= 1
            job.attempt += 1
            batch.allocated(job)
            running[job.pair].append(job)
        else:
            batch.nobody(job)
            pool.waiting.add(job)
    pool.waiting.settle(batch)
