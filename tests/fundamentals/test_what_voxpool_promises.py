"""What voxpool promises, one idea a test. Read these first.

They run the production dispatcher and the production Lua scripts in virtual time. When a test is over, its world is
healed and drained, and every checker must be content: see conftest.py.
"""

import pytest

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.errors import Rejected
from voxpool.sim.world.world import World


def test_a_job_goes_to_a_node_and_comes_back_as_a_result(world: World) -> None:
    """It is given to a node that serves its pair, and its client hears of its end once."""
    world.add_nodes(1, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=2)
    world.run_until(lambda: job.ended)
    assert (job.state, job.attempt, job.node_id) == ("completed", 1, "gpu-1")


def test_a_job_survives_the_death_of_its_node(world: World) -> None:
    """Its node dies, the job goes to another one at once, and the client gets one result."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=30)
    world.run_until(lambda: world.holder(job) is not None)
    holder = world.holder(job)
    assert holder is not None
    world.do(holder.crash)  # its socket closes
    world.run(for_s=35)
    assert world.state(job) == "completed" and world.attempts(job) == 2
    assert world.broken_checkers() == []


def test_a_silent_node_is_noticed_at_the_end_of_its_lease(world: World) -> None:
    """No socket closes, nothing is said: after 45 s without a beat its job goes to another node."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=50)
    world.run_until(lambda: world.holder(job) is not None)
    silent = world.holder(job)
    assert silent is not None
    world.do(silent.vanish)
    world.run_until(lambda: world.holder(job) not in (None, silent))
    assert 30 <= world.env.now <= 46
    world.run_until(lambda: job.ended)
    assert world.state(job) == "completed"


def test_a_node_that_was_away_works_again(world: World) -> None:
    """A pause of 60 s costs a node its lease, and no more than that."""
    node = world.add_nodes(1, pairs=["zh:en"])[0]
    world.run(for_s=1)
    world.do(node.freeze)
    world.run(for_s=60)
    world.do(node.thaw)
    world.run_until(lambda: world.core.intake.has_node("zh:en"))
    job = world.submit("zh:en", work_s=1)
    world.run_until(lambda: job.ended)
    assert world.state(job) == "completed"


def test_a_job_waits_until_a_node_comes(world: World) -> None:
    """Nobody serves its pair now; that is no failure."""
    job = world.submit("zh:en", work_s=1)
    world.run(for_s=8)
    assert world.state(job) == "waiting"
    world.add_nodes(1, pairs=["zh:en"])
    world.run_until(lambda: job.ended)
    assert world.state(job) == "completed"


def test_a_job_for_which_nobody_comes_fails_and_says_why(world: World) -> None:
    """After 10 s of waiting; it was never started, so it may be asked for again under its request id."""
    job = world.submit("zh:en", work_s=1, request_id="once")
    world.run(for_s=9.99)
    assert world.state(job) == "waiting"
    world.add_nodes(1, pairs=["zh:en"], slots=1)
    world.do(world.nodes[0].crash)
    world.run(for_s=0.02)
    assert (job.state, job.reason, job.retryable) == ("failed", "no_node", True)
    world.do(world.nodes[0].start)
    again = world.submit("zh:en", work_s=1, request_id="once")
    world.run_until(lambda: again.ended)
    assert again is not job and world.state(again) == "completed"


def test_a_pair_that_no_node_serves_takes_no_jobs(world: World) -> None:
    """A node that restarts is back in 10 s; after that a submit is refused at once, and learns when to come again."""
    world.run(for_s=15)
    with pytest.raises(Rejected) as refused:
        world.submit("zh:en", work_s=1)
    assert (refused.value.reason, refused.value.retry_after_ms) == ("no_node", 15_000)


def test_what_would_wait_too_long_is_refused_and_told_when_to_come_again(world: World) -> None:
    """Five jobs a second for one slot that does one: who is accepted is done in time, who is refused knows when."""
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    accepted, refused = [], []
    for _ in range(300):
        try:
            accepted.append(world.submit("zh:en", work_s=1))
        except Rejected as rejected:
            refused.append(rejected)
        world.run(for_s=0.2)
    world.run_until(lambda: all(job.ended for job in accepted))
    assert {world.state(job) for job in accepted} == {"completed"} and len(accepted) >= 60
    assert {rejected.reason for rejected in refused} == {"overloaded"}
    assert all(rejected.retry_after_ms for rejected in refused)


def test_no_node_is_given_more_than_it_has_slots_for(world: World) -> None:
    """Ten jobs at once for three slots: three run, seven wait for their turn, in the order in which they came."""
    world.add_nodes(1, pairs=["zh:en"], slots=3)
    jobs = [world.submit("zh:en", work_s=1) for _ in range(10)]
    world.run(for_s=0.5)
    assert [world.state(job) for job in jobs] == ["dispatched"] * 3 + ["waiting"] * 7
    world.run_until(lambda: all(job.ended for job in jobs))
    assert [job.dispatched_ms for job in jobs] == sorted(job.dispatched_ms for job in jobs)


def test_the_same_request_is_done_once(world: World) -> None:
    """A client that is not sure whether its submit arrived submits again, under the same request id."""
    world.add_nodes(1, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=1, request_id="once")

    def submit_again() -> Job:
        return world.core.dispatcher.submit(pair="zh:en", audio=bytes(job.audio_bytes), request_id="once")

    assert submit_again() is job
    world.run_until(lambda: job.ended)
    assert submit_again() is job
    assert len(world.core.table) == 1


def test_the_audio_goes_when_the_job_ends_and_not_before(world: World) -> None:
    """A redispatch needs it; a finished job does not."""
    nodes = world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=5)
    world.run(for_s=1)
    world.do(world.node(job.node_id).crash)
    world.run(for_s=1)
    assert len(nodes) == 2 and job.attempt == 2 and world.core.table.audio_bytes == job.audio_bytes > 0
    world.run_until(lambda: job.ended)
    assert job.audio is None and world.core.table.audio_bytes == 0


def test_a_finished_job_is_kept_for_five_minutes_and_not_for_ever(world: World) -> None:
    """The leak that this project began with."""
    world.add_nodes(1, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=1)
    world.run_until(lambda: job.ended)
    world.run(for_s=299)
    assert world.core.dispatcher.find(job.job_id) is job
    world.run(for_s=62)
    assert world.core.dispatcher.find(job.job_id) is None and len(world.core.table) == 0


def test_a_cancelled_job_stops_on_its_node(world: World) -> None:
    """The slot is free again at once."""
    world.add_nodes(1, pairs=["zh:en"])
    long = world.submit("zh:en", work_s=50)
    next_one = world.submit("zh:en", work_s=1)
    world.run(for_s=1)
    world.cancel(long)
    world.run_until(lambda: next_one.ended, at_most_s=5)
    assert (world.state(long), world.state(next_one)) == ("cancelled", "completed")


def test_nothing_is_left_in_the_store_when_everybody_has_gone(world: World) -> None:
    """Whatever is stored about a node is reachable from its lease."""
    nodes = world.add_nodes(5, pairs=["zh:en", "en:zh"], slots=2)
    for pair in ("zh:en", "en:zh") * 10:
        world.submit(pair, work_s=1)
    world.run(for_s=20)
    for node in nodes:
        world.do(node.crash)
    world.run(for_s=1)
    assert world.store_keys() == 0
