"""Waiting queues: the order of submits, and the known room in each pool."""

from tests.unit.fakes import make_job
from voxpool.scheduler.core.jobs.job import CANCELLED, Job
from voxpool.scheduler.core.jobs.waiting import SelectBatch, WaitingJobs


def sequences(batch: SelectBatch | None) -> list[int]:
    return [] if batch is None else [job.sequence for job in batch.jobs]


def queue_of(*jobs: Job) -> WaitingJobs:
    waiting = WaitingJobs()
    for job in jobs:
        waiting.add(job)
    return waiting


def answer_nobody(waiting: WaitingJobs, batch: SelectBatch | None) -> None:
    assert batch is not None
    for job in batch.jobs:
        batch.nobody(job)
        waiting.add(job)
    waiting.settle(batch)


def answer_allocated(waiting: WaitingJobs, batch: SelectBatch | None) -> None:
    assert batch is not None
    for job in batch.jobs:
        batch.allocated(job)
    waiting.settle(batch)


def test_the_oldest_jobs_go_first_in_any_order_of_arrival() -> None:
    waiting = queue_of(make_job(3), make_job(1), make_job(2))
    assert sequences(waiting.next_batch(2)) == [1, 2]


def test_a_pool_in_flight_gives_no_further_jobs() -> None:
    waiting = queue_of(make_job(1), make_job(2))
    batch = waiting.next_batch(1)
    assert sequences(batch) == [1]
    waiting.add(make_job(3))
    assert waiting.next_batch(5) is None
    answer_allocated(waiting, batch)
    assert sequences(waiting.next_batch(5)) == [2, 3]


def test_after_nobody_a_pool_rests_until_there_is_room() -> None:
    waiting = queue_of(make_job(1), make_job(2), make_job(3))
    answer_nobody(waiting, waiting.next_batch(5))
    assert not waiting.ready and len(waiting) == 3
    waiting.room(["en:zh"], 1)
    assert not waiting.ready
    waiting.room(["en:zh", "zh:en"], 1)
    batch = waiting.next_batch(5)
    assert sequences(batch) == [1]  # one slot becomes free, one job is sent
    answer_allocated(waiting, batch)
    assert not waiting.ready


def test_room_that_crosses_the_answer_nobody_is_not_lost() -> None:
    """R21: a slot is released while the store's answer "nobody has room" is in flight."""
    waiting = queue_of(make_job(1))
    batch = waiting.next_batch(5)
    waiting.room(["zh:en"], 1)
    answer_nobody(waiting, batch)
    assert sequences(waiting.next_batch(5)) == [1]


def test_unused_credit_is_kept_after_allocations() -> None:
    waiting = queue_of(make_job(1), make_job(2), make_job(3))
    answer_nobody(waiting, waiting.next_batch(5))
    waiting.room(["zh:en"], 3)
    answer_allocated(waiting, waiting.next_batch(1))
    assert dict(waiting.credits()) == {"zh:en": 2}
    assert sequences(waiting.next_batch(5)) == [2, 3]


def test_an_unsure_answer_makes_the_pool_ask_again() -> None:
    waiting = queue_of(make_job(1), make_job(2))
    batch = waiting.next_batch(1)
    assert batch is not None
    batch.unsure(batch.jobs[0])
    waiting.add(batch.jobs[0])
    waiting.settle(batch)
    assert sequences(waiting.next_batch(5)) == [1, 2]


def test_a_cancelled_job_is_removed_at_once_or_at_the_top() -> None:
    jobs = [make_job(sequence) for sequence in (1, 2, 3)]
    waiting = queue_of(*jobs)
    for job in jobs[:2]:
        job.state = CANCELLED
        waiting.discard(job)
        waiting.discard(job)
    assert len(waiting) == 1 and sequences(waiting.next_batch(5)) == [3]


def test_pools_without_waiting_jobs_do_not_exist() -> None:
    waiting = WaitingJobs()
    for sequence in range(1000):
        job = make_job(sequence, pair=f"a{sequence}:b")
        waiting.add(job)
        job.state = CANCELLED
        waiting.discard(job)
    assert list(waiting.counts()) == [] and not waiting.ready


def test_discarding_a_job_in_flight_to_the_store_changes_nothing() -> None:
    job = make_job(1)
    waiting = queue_of(job, make_job(2))
    batch = waiting.next_batch(1)
    job.state = CANCELLED
    waiting.discard(job)
    assert len(waiting) == 1
    assert batch is not None
    batch.allocated(job)
    waiting.settle(batch)
    assert sequences(waiting.next_batch(5)) == [2]


def test_one_batch_holds_jobs_of_several_pools_in_the_order_of_their_submits() -> None:
    waiting = queue_of(make_job(2, "a:b"), make_job(1, "c:d"), make_job(3, "c:d"))
    assert sequences(waiting.next_batch(10)) == [1, 2, 3]


def test_a_full_batch_gives_the_other_pools_the_next_turn() -> None:
    waiting = queue_of(make_job(1, "a:b"), make_job(2, "a:b"), make_job(3, "c:d"))
    first = waiting.next_batch(1)
    assert sequences(first) == [1]
    answer_allocated(waiting, first)
    assert sequences(waiting.next_batch(1)) == [3]


def test_a_removed_job_is_released_although_an_older_one_waits() -> None:
    """A client that submits and cancels for an hour behind one old job leaves nothing behind."""
    waiting = queue_of(make_job(1))
    for sequence in range(2, 5000):
        job = make_job(sequence)
        waiting.add(job)
        job.state = CANCELLED
        waiting.discard(job)
    queue = waiting._queues["zh:en"]
    assert list(queue.jobs) == [1] and len(queue.sequences) < 200
    assert sequences(waiting.next_batch(5)) == [1]
