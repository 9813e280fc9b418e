"""Jobs in Redis, order fair: a key has its part of the unfinished jobs and their audio at all schedulers together."""

from __future__ import annotations

import pytest

from tests.unit.rig import AUDIO
from tests.unit.shared_rig import SharedRig, Stores
from voxpool.scheduler.config import FAIR, Settings
from voxpool.scheduler.core.jobs.job import COMPLETED, Job, Share
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.scheduler.shared.details import partition_of
from voxpool.scheduler.shared.partition.calls import Bounds
from voxpool.scheduler.shared.partition.totals import KEYS_MAX, Totals

ONE, OTHER = "zh:en", next(pair for pair in ("a:b", "a:c", "a:d", "a:e") if partition_of(pair, 2) != 0)
if partition_of(ONE, 2):
    ONE, OTHER = OTHER, ONE
LEASE_S = 9.0


def two(stores: Stores, **bounds: int) -> tuple[SharedRig, SharedRig]:
    """Start two schedulers."""
    chosen = Settings(store="redis://", jobs="redis", order=FAIR, scheduler_lease_s=LEASE_S, **bounds)  # type: ignore[arg-type]
    return stores.scheduler("a", chosen), stores.scheduler("b", chosen)


async def submit(rig: SharedRig, name: str, key: str, pair: str = ONE, weight: float = 1.0) -> str:
    """Submit a job and return the reason of its refusal; "" = it was accepted."""
    refused: list[Rejected] = []
    accepted: list[Job] = []
    job = rig.dispatcher.submit(pair=pair, audio=AUDIO, request_id=name, owner=key, share=Share(3, key, weight))
    rig.dispatcher.when_accepted(job, accepted.append, refused.append)
    await rig.settle()
    assert len(refused) + len(accepted) == 1
    return refused[0].reason if refused else ""


async def test_a_key_has_its_part_of_the_jobs_of_all_schedulers() -> None:
    stores = Stores()
    a, b = two(stores, jobs_max=8)
    found = [await submit((a, b)[number % 2], f"r{number}", "flood") for number in range(6)]
    assert found == ["", "", "", "", "share", "share"]
    assert await submit(b, "other", "sparse") == ""
    assert await submit(a, "again", "flood", weight=2.0) == "", "its weight times the room"


async def test_a_key_has_its_part_of_the_audio() -> None:
    stores = Stores()
    a, b = two(stores, audio_total_bytes_max=8 * len(AUDIO), audio_bytes_max=len(AUDIO))
    assert [await submit((a, b)[number % 2], f"r{number}", "flood") for number in range(5)] == ["", "", "", "", "share"]
    assert await submit(b, "other", "sparse") == ""


@pytest.mark.parametrize("way", ["end", "cancel"])
async def test_a_key_that_has_nothing_left_begins_anew(way: str) -> None:
    stores = Stores()
    a, b = two(stores, jobs_max=2)
    node, link = await b.node("n", pairs=[ONE])
    assert await submit(a, "r", "flood") == ""
    assert await submit(b, "s", "flood") == "share"
    job = a.dispatcher.table.find_request("r", "flood")
    assert job is not None
    if way == "end":
        b.desk.result(node, NodeResult(*link.assigns[-1], output=1))
    else:
        a.dispatcher.cancel(job.job_id)
    await stores.settle()
    assert job.ended and (job.state == COMPLETED) == (way == "end")
    assert await submit(b, "s", "flood") == ""


async def test_jobs_of_a_key_in_other_partitions_count_from_the_next_beat_on() -> None:
    stores = Stores()
    a, b = two(stores, jobs_max=40)
    for number in range(19):
        assert await submit(a, f"r{number}", "flood", ONE) == ""
    assert await submit(b, "first", "flood", OTHER) == "", "its jobs in the other partition are not known here yet"
    await stores.pass_time(LEASE_S)
    assert await submit(b, "second", "flood", OTHER) == "share"
    assert await submit(b, "other", "sparse", OTHER) == ""


async def test_without_fair_order_keys_have_no_parts() -> None:
    stores = Stores()
    rig = stores.scheduler("a", Settings(store="redis://", jobs="redis", jobs_max=4))
    assert [await submit(rig, f"r{number}", "flood") for number in range(4)] == [""] * 4


def test_what_is_known_of_keys_is_bounded() -> None:
    totals = Totals(Bounds(1000, 1000, 10))
    totals.note(0, 5, 50)
    assert totals.left_for(0, ["k"]).elsewhere == "" and totals.keys == [], "one partition knows all itself"
    totals.note(1, 7, 70, ["k"], ["3|30"])
    assert totals.left_for(0, ["k", "k", "new"]) == Bounds(993, 930, 10, "k|3|30")
    for number in range(2 * KEYS_MAX):
        totals.left_for(0, [f"key{number}", "often"])
    assert len(totals.keys) == KEYS_MAX and "often" in totals.keys and "k" not in totals.keys
    totals.note(1, 7, 70, ["often"], ["0|0"])
    assert totals.left_for(0, ["k", "often"]).elsewhere == "", "nothing of what a beat has not named stays"
