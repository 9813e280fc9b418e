"""A node from register to end: heartbeats, rests, drains, reconnects; and its jobs."""

import asyncio
import gc
import weakref

import pytest

from tests.unit.rig import Link, Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import COMPLETED, DISPATCHED, WAITING
from voxpool.scheduler.core.scripts import register_node
from voxpool.scheduler.errors import NodeRefused
from voxpool.scheduler.protocol.messages import CancelAttempt, Register, Registered, Reregister


async def test_a_node_gets_its_generation_and_heartbeat_interval() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    assert link.sent == [Registered(node.generation, 15_000, 45_000)]
    assert node.generation == "test-1", "another scheduler, and another register, has another one"
    assert (node.replaces, node.clock_ahead_ms) == ("", 0)
    assert node.deadline_ms == rig.clock.ms + 45_000, "the next look at it"


async def test_the_clock_of_a_node_is_compared_when_it_registers() -> None:
    rig = Rig()
    behind = Register(node_id="n1", process_id="p", pairs=["zh:en"], slots=1, running=[], now_ms=rig.clock.ms - 70)
    assert (await rig.desk.joined(Link(), behind)).clock_ahead_ms == -70


async def test_the_jobs_of_a_closed_connection_go_to_another_node_at_once() -> None:
    """R5."""
    rig = Rig()
    dying, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.node("n2")
    rig.desk.left(dying)
    await rig.settle()
    assert (job.node_id, job.attempt) == ("n2", 2)
    assert rig.counts.of["redispatched:closed"] == 1
    assert rig.store.census()["nodes"] == 1


async def test_a_closed_connection_is_released_at_once() -> None:
    """The node's record may stay until the end of its lease; the objects of the connection are 20 kB."""
    rig = Rig()
    await rig.node("n1")
    node, link = await rig.node("n2")
    held = weakref.ref(link)
    rig.desk.left(node)
    await rig.settle()
    del link
    gc.collect()
    assert held() is None and not await node.link.probe()


async def test_a_silent_node_loses_its_jobs_at_the_end_of_its_lease_and_is_informed() -> None:
    rig = Rig()
    _, link = await rig.node("n1")
    job = await rig.submit()
    await rig.pass_time(44)
    beating, _ = await rig.node("n2")
    assert job.node_id == "n1"
    await rig.pass_time(1)
    assert (job.node_id, rig.counts.of["redispatched:lapsed"]) == (beating.node_id, 1)
    assert link.of_kind(Reregister) == [Reregister("lease_ended")]


async def test_a_node_that_slept_past_its_lease_works_again_one_heartbeat_later() -> None:
    """R6: it must register again, and is not refused for ever."""
    rig = Rig()
    node, link = await rig.node("n1")
    await rig.pass_time(46)
    await rig.beat(node)
    assert link.of_kind(Reregister)[-1] == Reregister("lease_ended")
    await rig.node("n1", link=link)
    job = await rig.submit()
    assert job.state == DISPATCHED


async def test_a_heartbeat_renews_the_lease() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    for _ in range(10):
        await rig.pass_time(15)
        await rig.beat(node)
    assert node.connected and (await rig.submit()).node_id == "n1"


async def test_the_end_of_an_old_connection_does_not_touch_the_new_one() -> None:
    """R7."""
    rig = Rig()
    old, old_link = await rig.node("n1")
    job = await rig.submit()
    new, _ = await rig.node("n1", running=[(job.job_id, 1)])
    assert old_link.closed_for == "replaced"
    rig.desk.left(old)
    await rig.settle()
    assert rig.core.node_registry.find("n1") is new and new.connected
    assert (job.state, job.node_id) == (DISPATCHED, "n1")
    await rig.answer(new, job)
    assert job.state == COMPLETED


async def test_a_reconnect_keeps_running_jobs_and_gives_back_the_others() -> None:
    rig = Rig()
    await rig.node("n1", slots=2)
    kept, lost = await rig.submit(), await rig.submit()
    new, link = await rig.node("n1", slots=2, running=[(kept.job_id, 1), ("unknown-job", 3)])
    assert CancelAttempt("unknown-job", 3) in link.sent
    assert (kept.attempt, lost.attempt, lost.redispatches) == (1, 2, 1)
    assert set(new.reservations) == {kept.job_id, lost.job_id}
    assert rig.store.census()["reservations"] == 2


@pytest.mark.parametrize("attempts", [(1, 2), (2, 1)])
async def test_a_reconnect_with_two_attempts_of_a_job_keeps_the_one_that_counts(attempts: tuple[int, int]) -> None:
    """The result of an earlier attempt may be unsent while the node works on the next one."""
    rig = Rig()
    node, _ = await rig.node("n1")
    job = await rig.submit(backoff_ms=0)
    await rig.fail(node, job, retryable=True)
    assert (job.node_id, job.attempt) == ("n1", 2)
    again, link = await rig.node("n1", running=[(job.job_id, attempt) for attempt in attempts])
    assert list(again.reservations) == [job.job_id] and (job.state, job.attempt) == (DISPATCHED, 2)
    assert link.of_kind(CancelAttempt) == [CancelAttempt(job.job_id, 1)]


async def test_a_second_process_under_a_name_in_use_is_refused_without_effect() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    job = await rig.submit()
    with pytest.raises(NodeRefused) as refused:
        await rig.node("n1", process_id="p2")
    assert refused.value.reason == "name_taken"
    await rig.answer(node, job)
    assert job.state == COMPLETED


async def test_a_second_process_takes_the_name_when_the_first_no_longer_answers() -> None:
    rig = Rig()
    _, dead = await rig.node("n1", link=Link(answers=False))
    job = await rig.submit()
    new, link = await rig.node("n1", process_id="p2")
    assert dead.closed_for == "replaced" and new.registered
    assert link.assigns == [(job.job_id, 2)]


async def test_the_name_of_a_dead_schedulers_node_can_be_taken() -> None:
    """TAKEN names the generation, the retry replaces exactly that one."""
    rig = Rig()
    left_over = register_node(rig.clock.ms, 45_000, "n1", "dead-1", "p0", 1, "", ["zh:en"], "", [("gone-1|1", 2**40)])
    await rig.store.run([left_over])
    node, _ = await rig.node("n1", process_id="p1")
    assert node.registered and (await rig.submit()).state == DISPATCHED


async def test_no_job_is_sent_to_a_dead_schedulers_node() -> None:
    """R22: the allocation is stale, the old record is removed, and the job finds the live node."""
    rig = Rig()
    ghost = register_node(rig.clock.ms, 45_000, "ghost", "dead-1", "p0", 5, "", ["zh:en"], "", [])
    await rig.store.run([ghost])
    job = await rig.submit()
    assert job.state == WAITING and rig.counts.of["stale_allocation"] == 1
    assert rig.store.census() == dict.fromkeys(rig.store.census(), 0)
    await rig.node("n1")
    assert (job.node_id, rig.counts.of["stale_allocation"]) == ("n1", 1)


async def test_the_leftovers_of_a_dead_scheduler_leave_the_store_after_one_lease_and_one_sweep() -> None:
    """M5."""
    rig = Rig()
    for i in range(300):
        name = f"ghost-{i}"
        await rig.store.run([register_node(rig.clock.ms, 45_000, name, "dead-1", "p0", 1, "", ["zh:en"], "", [])])
    await rig.pass_time(44)
    assert rig.store.census()["leases"] == 300
    await rig.pass_time(1)
    assert rig.store.census() == dict.fromkeys(rig.store.census(), 0)


async def test_a_store_without_its_data_has_its_nodes_again_after_one_heartbeat() -> None:
    """R6, second half: the nodes do not notice."""
    rig = Rig()
    nodes = [(await rig.node(f"n{i}"))[0] for i in range(5)]
    job = await rig.submit()
    rig.store.clear()
    await rig.beat(nodes[0])
    assert rig.store.census()["nodes"] == 5 and rig.store.census()["reservations"] == 1
    assert job.state == DISPATCHED
    assert [job.state for job in [await rig.submit() for _ in range(5)]] == [DISPATCHED] * 4 + [WAITING]


async def test_an_assign_missing_from_two_heartbeats_is_lost() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    job = await rig.submit()
    await rig.node("n2")
    await rig.beat(node, running=[])
    assert job.node_id == "n1"  # the heartbeat may have crossed the assign
    await rig.beat(node, running=[])
    assert (job.node_id, rig.counts.of["redispatched:assign_lost"]) == ("n2", 1)
    assert link.sent[-1] == CancelAttempt(job.job_id, 1)  # in case it was only slow


async def test_an_attempt_without_owner_in_a_heartbeat_is_cancelled() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    await rig.beat(node, running=[("old-job", 7)])
    assert CancelAttempt("old-job", 7) in link.sent


async def test_a_busy_node_rests_until_its_next_heartbeat_and_the_attempt_does_not_count() -> None:
    """R24."""
    rig = Rig()
    node, link = await rig.node("n1")
    job = await rig.submit()
    await rig.busy(node, job)
    assert (job.state, job.redispatches, len(link.assigns)) == (WAITING, 0, 1)
    await rig.beat(node)
    assert link.assigns == [(job.job_id, 1), (job.job_id, 2)]


async def test_the_rest_of_a_busy_node_ends_by_itself_after_a_second() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    job = await rig.submit()
    await rig.busy(node, job)
    await rig.pass_time(0.9, step_s=0.1)
    assert len(link.assigns) == 1
    await rig.pass_time(0.2, step_s=0.1)
    assert len(link.assigns) == 2


async def test_a_job_that_meets_only_busy_nodes_fails_at_its_waiting_timeout() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    job = await rig.submit()
    for _ in range(30):
        if job.state == DISPATCHED:
            await rig.busy(node, job)
        await rig.pass_time(1)
    assert job.reason == "waiting_timeout" and len(link.assigns) <= 11


async def test_a_node_that_fails_five_jobs_in_a_row_rests() -> None:
    """Defect C8."""
    rig = Rig()
    node, _ = await rig.node("n1")
    for _ in range(5):
        await rig.fail(node, await rig.submit(), retryable=False)
    job = await rig.submit(timeout_ms=60_000)
    assert job.state == WAITING and node.rest_until_ms
    await rig.beat(node)
    assert job.state == WAITING  # this rest does not end with a heartbeat
    await rig.pass_time(9)
    good, _ = await rig.node("n2")
    assert job.node_id == "n2"
    await rig.answer(good, job)
    await rig.beat(node)
    await rig.pass_time(21)
    assert not node.rest_until_ms


async def test_a_draining_node_keeps_its_jobs_and_gets_no_new_ones() -> None:
    rig = Rig()
    node, _ = await rig.node("n1", slots=2)
    first = await rig.submit()
    rig.desk.drain(node, on=True)
    second = await rig.submit()
    assert (first.state, second.state) == (DISPATCHED, WAITING)
    assert repr(node) == "<node n1 test-1 1/2 connected draining>"
    rig.desk.drain(node, on=False)
    await rig.settle()
    assert repr(node) == "<node n1 test-1 2/2 connected>"
    assert second.state == DISPATCHED


async def test_a_drain_survives_a_reconnect_of_the_same_process() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    rig.desk.drain(node, on=True)
    await rig.settle()
    await rig.node("n1")
    assert (await rig.submit()).state == WAITING


async def test_a_new_register_with_fewer_pairs_replaces_the_old_pairs() -> None:
    """R14."""
    rig = Rig()
    await rig.node("n1", pairs=["zh:en", "en:zh"])
    await rig.node("n1", pairs=["en:zh"])
    assert (await rig.submit("zh:en")).state == WAITING
    assert (await rig.submit("en:zh")).state == DISPATCHED


async def test_fewer_slots_evict_nothing_and_allocate_nothing_until_there_is_room() -> None:
    rig = Rig()
    await rig.node("n1", slots=3)
    jobs = [await rig.submit() for _ in range(3)]
    node, _ = await rig.node("n1", slots=1, running=[(job.job_id, 1) for job in jobs])
    waits = await rig.submit()
    for job in jobs[:2]:
        await rig.answer(node, job)
        assert waits.state == WAITING
    await rig.answer(node, jobs[2])
    assert waits.state == DISPATCHED


async def test_after_a_stall_of_the_scheduler_no_lease_ends_for_one_heartbeat() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    rig.clock.ms += 100_000  # the process was stalled; the heartbeats are still in the sockets
    rig.core.leases.run_once()
    assert node.connected
    await rig.pass_time(14)
    assert node.connected
    await rig.pass_time(2)
    assert not node.connected


async def test_more_nodes_than_allowed_are_refused() -> None:
    rig = Rig(settings=Settings(nodes_max=1))
    await rig.node("n1")
    with pytest.raises(NodeRefused) as refused:
        await rig.node("n2")
    assert refused.value.reason == "nodes_max"


async def test_only_one_of_two_simultaneous_processes_gets_the_name() -> None:
    rig = Rig()
    register = [Register(node_id="n1", process_id=p, pairs=["zh:en"], slots=1, running=[]) for p in ("p1", "p2")]
    joins = await asyncio.gather(*(rig.desk.joined(Link(), message) for message in register), return_exceptions=True)
    assert sorted(type(join).__name__ for join in joins) == ["Node", "NodeRefused"]
