"""The dispatchers of several schedulers on one store: the life of a job whose client and node are at different ones."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.rig import AUDIO, Link
from tests.unit.shared_rig import SharedRig, Stores
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import COMPLETED, DISPATCHED, FAILED, WAITING, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign, CancelAttempt, Heartbeat, NodeResult, Register
from voxpool.sim.observing.census import entries

LEASE_S = 10.0


def settings(**changes: float) -> Settings:
    return Settings(store="redis://", jobs="redis", scheduler_lease_s=LEASE_S, **changes)  # type: ignore[arg-type]


@pytest.fixture
def stores() -> Stores:
    return Stores()


@pytest.fixture
def a(stores: Stores) -> SharedRig:
    return stores.scheduler("a", settings())


@pytest.fixture
def b(stores: Stores) -> SharedRig:
    return stores.scheduler("b", settings())


def run_of(link: Link) -> tuple[str, int]:
    """Return job and attempt of the last assign."""
    return link.assigns[-1]


async def answer(rig: SharedRig, node: Node, link: Link, **result: object) -> None:
    """Let `node` answer its last assign."""
    rig.desk.result(node, NodeResult(*run_of(link), **result))  # type: ignore[arg-type]
    await rig.settle()


async def test_a_job_runs_elsewhere_and_leaves_nothing(stores: Stores, a: SharedRig, b: SharedRig) -> None:
    """It is accepted when the store has it; its result has the node, the times and the number of attempts."""
    node, link = await b.node("n")
    accepted: list[Job] = []
    job = a.dispatcher.submit(pair="zh:en", audio=AUDIO, request_id="r", session_id="s")
    a.dispatcher.when_accepted(job, accepted.append, lambda refused: pytest.fail(str(refused)))
    assert accepted == []
    await a.settle()
    assert accepted == [job] and job.state == WAITING
    (assign,) = link.of_kind(Assign)
    assert isinstance(assign, Assign) and (assign.audio, assign.session_id) == (AUDIO, "s")
    stores.clock.ms += 500
    await answer(b, node, link, output={"text": "hello|world"})
    assert a.sink.ended == [job] and b.sink.ended == []
    assert (job.state, job.output, job.node_id, job.tries) == (COMPLETED, {"text": "hello|world"}, "n", 1)
    assert job.times_ms.dispatched == 500
    assert node.reservations == {} and b.dispatcher.unfinished == 0 and stores.audio == 0
    shown = await looked_up(b, job.job_id)
    assert shown is not None and (shown.state, shown.output, shown.request_id) == (COMPLETED, job.output, "r")


async def looked_up(rig: SharedRig, job_id: str) -> Job | None:
    """Return what the store knows of a job."""
    found = asyncio.ensure_future(rig.dispatcher.look_up(job_id))
    await asyncio.sleep(0)
    await rig.settle()
    return await found


async def test_an_own_node_needs_no_other_scheduler(a: SharedRig) -> None:
    """It gets the job with the answer to the submit, and its slot is free with the result."""
    node, link = await a.node("n", slots=1)
    first, second = await a.submit(), await a.submit()
    assert first.state == DISPATCHED and second.state == WAITING and len(link.assigns) == 1
    await answer(a, node, link, output=1)
    assert first.state == COMPLETED and second.state == DISPATCHED


async def test_a_retryable_error_pauses_the_job_and_the_last_one_fails_it(a: SharedRig, b: SharedRig) -> None:
    """The pause doubles; the detail of the end names the cause."""
    node, link = await b.node("n")
    job = await a.submit(attempts_max=2, backoff_ms=1000)
    await b.fail(node, _held(b, job), retryable=True, reason="broken_model", detail="no speaker")
    assert len(link.assigns) == 1
    await b._stores.pass_time(0.5)
    assert len(link.assigns) == 1
    await b._stores.pass_time(2)
    assert len(link.assigns) == 2
    await b.fail(node, _held(b, job), retryable=True, reason="broken_model", detail="no speaker")
    assert (job.state, job.reason) == (FAILED, "attempts_max")
    assert job.detail == "the last of 2 attempts, on n: broken_model: no speaker"


def _held(rig: SharedRig, job: Job) -> Job:
    """Return the record of `job` at the scheduler of its node."""
    found = rig.dispatcher.find(job.job_id)
    assert found is not None
    return found


async def test_a_busy_node_costs_no_attempt(a: SharedRig, b: SharedRig) -> None:
    node, _ = await b.node("n")
    job = await a.submit(attempts_max=1)
    await b.busy(node, _held(b, job))
    other, link = await a.node("m")
    await answer(a, other, link, output=1)
    assert (job.state, job.tries) == (COMPLETED, 1)


async def test_an_attempt_that_times_out_is_made_elsewhere(stores: Stores) -> None:
    """Its node is told to drop it, and a late result changes nothing."""
    a, b = stores.scheduler("a", settings(dispatch_timeout_s=5)), stores.scheduler("b", settings(dispatch_timeout_s=5))
    node, link = await b.node("n")
    job = await a.submit()
    late = run_of(link)
    other, other_link = await a.node("m")
    await stores.pass_time(6)
    assert link.of_kind(CancelAttempt) == [CancelAttempt(*late)]
    b.desk.result(node, NodeResult(*late, output="late"))
    await b.settle()
    assert job.state != COMPLETED
    rig, at, its_link = (a, other, other_link) if other_link.assigns else (b, node, link)
    await answer(rig, at, its_link, output="right")
    assert (job.output, job.tries) == ("right", 2)


async def test_a_job_that_its_client_no_longer_wants_ends_whoever_has_it(
    stores: Stores, a: SharedRig, b: SharedRig
) -> None:
    node, link = await b.node("n")
    running, waiting = await a.submit(timeout_ms=3000), await a.submit(timeout_ms=3000)
    await stores.pass_time(4)
    assert {(job.state, job.reason) for job in (running, waiting)} == {(FAILED, "expired")}
    assert link.of_kind(CancelAttempt) and node.reservations == {} and stores.audio == 0


async def test_a_job_waits_no_longer_than_its_timeout(stores: Stores, a: SharedRig) -> None:
    job = await a.submit()
    await stores.pass_time(9)
    assert job.state == WAITING
    await stores.pass_time(2.5)
    assert (job.state, job.reason, job.retryable) == (FAILED, "waiting_timeout", True)


async def test_the_jobs_of_a_dead_scheduler_wait_again(stores: Stores, a: SharedRig, b: SharedRig) -> None:
    """When its lease is over; not before."""
    await b.node("n")
    job = await a.submit()
    _, link = await a.node("m")
    stores.kill(b)
    await stores.pass_time(LEASE_S - 1)
    assert link.assigns == []
    await stores.pass_time(1 + LEASE_S / 3)
    assert [job_id for job_id, _ in link.assigns] == [job.job_id]


async def test_a_node_takes_its_work_along(stores: Stores, a: SharedRig, b: SharedRig) -> None:
    """Its result counts, also when it comes before the store has answered who owns the job."""
    _, link = await b.node("n", slots=2)
    early, late = await a.submit(), await a.submit()
    runs = list(link.assigns)
    stores.kill(b)
    c = stores.scheduler("c", settings())
    node = await _join(c, "n", runs)
    c.desk.heartbeat(node, Heartbeat(runs))
    c.desk.result(node, NodeResult(*runs[0], output="early"))
    await c.settle()
    c.desk.heartbeat(node, Heartbeat(runs[1:]))
    await answer_of(c, node, runs[1], "late")
    assert {(job.output, job.tries) for job in (early, late)} == {("early", 1), ("late", 1)}
    assert node.link.of_kind(CancelAttempt) == []  # type: ignore[attr-defined]
    assert node.reservations == {} and c.dispatcher.unfinished == 0


async def _join(rig: SharedRig, node_id: str, running: list[tuple[str, int]]) -> Node:
    """Let a node register; nothing is sent to the store yet."""
    return await rig.desk.joined(Link(), Register(node_id, "p1", ["zh:en"], 2, running))


async def answer_of(rig: SharedRig, node: Node, run: tuple[str, int], output: str) -> None:
    rig.desk.result(node, NodeResult(*run, output=output))
    await rig.settle()


async def test_a_claim_that_comes_too_late_is_void(stores: Stores, a: SharedRig, b: SharedRig) -> None:
    """The job has another attempt by then: the node drops what it brought along, and its slot is free."""
    _, link = await b.node("n")
    job = await a.submit()
    runs = list(link.assigns)
    stores.kill(b)
    other, other_link = await a.node("m")
    await stores.pass_time(LEASE_S * 4 / 3 + 1)
    assert other_link.assigns
    node, its_link = await a.node("n", running=runs)
    assert its_link.of_kind(CancelAttempt) == [CancelAttempt(*runs[0])] and node.reservations == {}
    await answer(a, other, other_link, output="second")
    assert (job.output, job.tries) == ("second", 2)


async def test_a_node_cannot_take_the_attempt_of_another_one(stores: Stores, a: SharedRig, b: SharedRig) -> None:
    """Neither one that runs, nor one whose claim is on its way."""
    node, link = await a.node("n")
    job = await a.submit()
    runs = list(link.assigns)
    thief, thiefs_link = await a.node("thief", running=runs)
    assert thiefs_link.of_kind(CancelAttempt) == [CancelAttempt(*runs[0])] and thief.reservations == {}
    assert list(node.reservations) == [job.job_id] and link.of_kind(CancelAttempt) == []
    stores.kill(a)
    owner, thief = await _join(b, "n", runs), await _join(b, "thief", runs)
    await b.settle()
    assert list(owner.reservations) == [job.job_id] and thief.reservations == {}
    assert thief.link.of_kind(CancelAttempt) == [CancelAttempt(*runs[0])]  # type: ignore[attr-defined]


async def test_a_scheduler_that_stops_gives_back_what_it_has(stores: Stores, a: SharedRig, b: SharedRig) -> None:
    """It takes nothing more; its clients are asked to go on elsewhere; what its node ran waits again at once."""
    _, link = await b.node("n", slots=1)
    there, here = await a.submit(request_id="there"), await b.submit(request_id="here")
    b.dispatcher.stop_taking()
    await b.settle()
    b.dispatcher.hand_back(here)
    b.dispatcher.leave()
    await b.settle()
    assert (here.state, here.reason) == (FAILED, "stopping") and len(link.assigns) == 1
    stores.kill(b)
    node, its_link = await a.node("m", slots=2)
    assert [job_id for job_id, _ in its_link.assigns] == [there.job_id, here.job_id]
    again = await a.submit(request_id=here.request_id)
    for run in list(its_link.assigns):
        await answer_of(a, node, run, "done")
    assert (there.output, again.output, again.job_id) == ("done", "done", here.job_id)


async def test_a_result_that_the_store_does_not_have_is_waited_for(stores: Stores, a: SharedRig) -> None:
    """A scheduler that stops does not give back a job whose node has just answered."""
    node, link = await a.node("n")
    job = await a.submit()
    a.desk.result(node, NodeResult(*run_of(link), output="done"))
    assert not job.ended and a.dispatcher.unfinished == 1
    await a.settle()
    assert job.state == COMPLETED and a.dispatcher.unfinished == 0


async def test_a_job_that_is_granted_to_a_scheduler_that_stops_is_not_begun(stores: Stores, a: SharedRig) -> None:
    """Its node would be told to cancel it, and it would run a second time elsewhere."""
    _, link = await a.node("n")

    def stop() -> None:
        if not a.shared.is_leaving:
            a.shared.stop_taking()

    for partition in stores.partitions:
        partition.before_answer = stop
    job = await a.submit()
    assert link.assigns == [] and a.dispatcher.unfinished == 0
    b = stores.scheduler("b", settings())
    node, there = await b.node("m")
    await answer(b, node, there, output="done")
    assert (job.state, job.tries) == (COMPLETED, 1)


async def test_a_session_that_closes_as_its_job_ends_is_forgotten(a: SharedRig) -> None:
    node, link = await a.node("n")
    job = await a.submit(session_id="s", affinity=True)
    a.desk.result(node, NodeResult(*run_of(link), output="done"))
    a.dispatcher.session_closed(job.session_key, [job.job_id])
    await a.settle()
    assert job.ended and not [path for path in entries(a.core) if "homes" in path or "affinity" in path]


async def test_a_node_that_names_a_job_twice_and_leaves_does_no_harm(stores: Stores, a: SharedRig) -> None:
    """Its second claim of the job has no place: it runs one attempt of a job."""
    job = await a.submit()
    for running in ([(job.job_id, 1), (job.job_id, 2)], [(job.job_id, 1), (job.job_id, 1)]):
        link = Link()
        node = await a.desk.joined(link, Register("twice", "p", ["zh:en"], 2, running))
        a.desk.left(node)
        await a.settle()
        assert link.of_kind(CancelAttempt) and a.dispatcher.unfinished == 0
    await stores.pass_time(1)


async def test_a_node_that_comes_again_and_leaves_before_it_has_its_name_gets_nothing(a: SharedRig) -> None:
    _, link = await a.node("n")
    again = await a.desk.joined(link, Register("n", "p1", ["zh:en"], 1, []))
    a.desk.left(again)
    _, other = await a.node("m", slots=1)
    jobs = [await a.submit() for _ in range(2)]
    assert link.assigns == [] and len(other.assigns) == 1
    assert {job.state for job in jobs} == {DISPATCHED, WAITING}


async def test_a_session_stays_with_its_node_at_another_scheduler(stores: Stores, a: SharedRig, b: SharedRig) -> None:
    """Though its client's scheduler has a free node, and that other one has a second."""
    node, link = await b.node("n")
    await a.submit(session_id="s", affinity=True)
    await answer(b, node, link, output=1)
    _, nearer = await a.node("m")
    _, beside = await b.node("o")
    for count in range(2, 5):
        job = await a.submit(session_id="s", affinity=True)
        assert len(link.assigns) == count and nearer.assigns == beside.assigns == []
        await answer(b, node, link, output=1)
        assert job.state == COMPLETED
    await b.submit(request_id="own")
    assert len(b.core.node_registry.nodes["n"].reservations) + len(beside.assigns) == 1


async def test_pairs_that_no_node_serves_any_more_are_forgotten(stores: Stores, a: SharedRig) -> None:
    """Here and in the store: nobody is invited for them."""
    for number in range(20):
        node, _ = await a.node(f"n{number}", pairs=[f"p{number}:en", "zh:en"])
        a.desk.left(node)
        await a.settle()
    assert [pair for feed in a.shared.feeds for pair in feed.hunger] == []
    assert all(partition.store.members("hungry") == [] for partition in stores.partitions)
    node, link = await a.node("n", pairs=["p3:en"])
    job = await a.submit("p3:en")
    await answer(a, node, link, output=1)
    assert job.state == COMPLETED


async def test_the_wanted_nodes_of_all_schedulers_are_those_of_all_jobs(
    stores: Stores, a: SharedRig, b: SharedRig
) -> None:
    """Jobs that run at another scheduler are not counted twice; in the end none is counted."""

    def wanted() -> float:
        return sum(nodes for rig in (a, b) for _, nodes in rig.core.intake.nodes_wanted())

    node, link = await b.node("n", slots=1)
    await a.node("m", slots=1)
    jobs = [await a.submit() for _ in range(5)]
    assert wanted() == 5
    await answer(b, node, link, output=1)
    assert wanted() == pytest.approx(4, abs=1)
    for job in jobs:
        a.dispatcher.cancel(job.job_id)
    await a.settle()
    assert wanted() == 0
