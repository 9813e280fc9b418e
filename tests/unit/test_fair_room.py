"""The door under fair order: a key has its part of the waiting and unfinished jobs, and of their audio."""

from __future__ import annotations

import pytest

from tests.unit.rig import Rig
from tests.unit.test_fair import PAIR, Pool
from voxpool.scheduler.config import FAIR, Settings
from voxpool.scheduler.core.admission.key_rooms import KeyRooms
from voxpool.scheduler.core.jobs.fair import FairWaitingJobs
from voxpool.scheduler.core.jobs.job import Share
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.jobs.reasons import SHARE
from voxpool.scheduler.errors import Rejected


def test_a_key_has_its_weight_times_the_room_that_is_left() -> None:
    pool = Pool(FairWaitingJobs(waiting_max=10, retry_after_ms=700))
    waiting = pool.waiting
    pool.submit("a", 5)
    with pytest.raises(Rejected) as refused:
        waiting.check_room(PAIR, Share(3, "a", 1.0))
    assert (refused.value.reason, refused.value.retry_after_ms) == (SHARE, 700)
    waiting.check_room(PAIR, Share(3, "a", 1.5))
    waiting.check_room(PAIR, Share(3, "b", 1.0))
    pool.submit("low", 5, priority=5)
    waiting.check_room(PAIR, Share(3, "b", 1.0))
    waiting.check_room("en:zh", Share(3, "a", 1.0))
    with pytest.raises(Rejected) as full:
        waiting.check_room(PAIR, Share(3, "", 1.0))
    assert full.value.reason == "waiting_max", "without tokens and keys only the whole counts"


async def test_the_door_checks_the_room_of_the_key_that_submits() -> None:
    rig = Rig(settings=Settings(order=FAIR, waiting_max=4, no_node_grace_s=60))
    for _ in range(2):
        await rig.submit(share=Share(3, "a", 1.0))
    with pytest.raises(Rejected) as refused:
        await rig.submit(share=Share(3, "a", 1.0))
    assert refused.value.reason == SHARE
    await rig.submit(share=Share(3, "b", 1.0))


def test_the_parts_of_unfinished_jobs_and_audio_follow_what_ends() -> None:
    table = JobTable(jobs_max=4, audio_total_bytes_max=1000, finished_max=0, retry_after_ms=500)
    rooms, share = KeyRooms(table), Share(3, "a", 1.0)
    rooms.check(share, 1000)
    rooms.accepted(share, 300)
    table.audio_bytes, table.unfinished = 300, 1
    rooms.check(share, 400)
    with pytest.raises(Rejected, match="audio of this key"):
        rooms.check(share, 401)
    rooms.accepted(share, 300)
    table.audio_bytes, table.unfinished = 600, 2
    with pytest.raises(Rejected, match="2 jobs of this key") as refused:
        rooms.check(share, 0)
    assert (refused.value.reason, refused.value.retry_after_ms) == (SHARE, 500)
    rooms.ended(share, 300)
    table.audio_bytes, table.unfinished = 300, 1
    rooms.check(share, 400)
    rooms.ended(share, 300)
    assert len(rooms) == 0


@pytest.mark.parametrize(("retryable", "order"), [(True, "a1 a1 b1"), (False, "a1 a2 b1")])
async def test_a_key_pays_for_the_next_attempt_of_a_job_that_failed_by_itself(retryable: bool, order: str) -> None:
    rig = Rig(settings=Settings(order=FAIR, backoff_s=0, attempts_max=2))
    node, link = await rig.node("n")
    jobs = {name: await rig.submit(share=Share(3, name[0], 1.0)) for name in ("a1", "a2", "b1", "b2")}
    await rig.fail(node, jobs["a1"], retryable)
    while node.reservations:
        await rig.answer(node, next(iter(node.reservations.values())))
    names = {job.job_id: name for name, job in jobs.items()}
    assert [names[job_id] for job_id, _ in link.assigns[:3]] == order.split()


async def test_a_finished_job_keeps_nothing_of_its_share() -> None:
    """It costs the 8 bytes of an empty field: a gateway may name a new key for each job."""
    rig = Rig(settings=Settings(order=FAIR))
    node, _ = await rig.node("n1")
    job = await rig.submit()
    assert len(rig.core.intake._keys) == 1
    await rig.answer(node, job)
    assert (job.ended, job.share, len(rig.core.intake._keys)) == (True, None, 0)
