"""The requests of a scenario: their times, bursts, patience and sessions."""

from __future__ import annotations

import pytest

from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Links, Nodes, Scenario, Traffic
from voxpool.sim.world.clients import Request
from voxpool.sim.world.run import play
from voxpool.sim.world.traffic import Stream
from voxpool.sim.world.world import World

WORK_S = Exponential(1.0)


class Made(Watcher):
    """Records each request."""

    def __init__(self, world: World) -> None:
        self.requests: list[Request] = []
        world.hub.add([self])

    def request_made(self, request: Request) -> None:
        self.requests.append(request)


def requests(traffic: Traffic, duration_s: float = 100.0, seed: int = 1) -> list[Request]:
    """Run a stream alone."""
    world = World(seed=seed, is_traced=False, checkers=())
    made = Made(world)
    world.env.process(Stream(traffic, "t0", seed, duration_s).run(world.env, world.clients))
    world.run(for_s=duration_s)
    world.stop()
    return made.requests


def test_even_arrivals_have_equal_gaps() -> None:
    made = requests(Traffic(pair="zh:en", rate_per_s=2.0, work_s=WORK_S, arrivals="even", start_s=10.0, end_s=20.0))
    assert [round(request.made_at, 9) for request in made] == [10.5 + i / 2 for i in range(19)]


def test_poisson_arrivals_have_their_rate_and_spread() -> None:
    made = requests(Traffic(pair="zh:en", rate_per_s=20.0, work_s=WORK_S), duration_s=1000.0)
    assert len(made) == pytest.approx(20_000, rel=0.03)
    a_second = [0] * 1000
    for request in made:
        a_second[int(request.made_at)] += 1
    mean = sum(a_second) / 1000
    assert sum((count - mean) ** 2 for count in a_second) / 1000 == pytest.approx(mean, rel=0.15)


def test_bursts_arrive_together_at_the_same_mean_rate() -> None:
    made = requests(
        Traffic(pair="zh:en", rate_per_s=20.0, work_s=WORK_S, arrivals="bursts", burst=10), duration_s=1000.0
    )
    moments = {request.made_at for request in made}
    assert len(made) == 10 * len(moments)
    assert len(made) == pytest.approx(20_000, rel=0.1)


def test_the_nth_request_is_independent_of_the_arrivals() -> None:
    """A stream with other arrivals has the same works in the same order."""
    poisson = requests(Traffic(pair="zh:en", rate_per_s=2.0, work_s=WORK_S))
    bursts = requests(Traffic(pair="zh:en", rate_per_s=2.0, work_s=WORK_S, arrivals="bursts"))
    both = min(len(poisson), len(bursts))
    assert both > 100
    assert [request.work_s for request in poisson[:both]] == [request.work_s for request in bursts[:both]]


def test_no_rate_is_no_traffic() -> None:
    assert requests(Traffic(pair="zh:en", rate_per_s=0.0, work_s=WORK_S)) == []


def scenario(traffic: Traffic, **more: object) -> Scenario:
    return Scenario(
        name="one stream",
        duration_s=60.0,
        nodes=[Nodes(count=4, pairs=["zh:en"])],
        traffic=[traffic],
        **more,  # type: ignore[arg-type]
    )


def test_rejected_clients_retry_and_give_up_after_their_retries() -> None:
    """There is twice the work that the nodes can do and little room to wait: with retries fewer clients give up."""
    give_up = {}
    for retries in (0, 5):
        traffic = Traffic(pair="zh:en", rate_per_s=8.0, work_s=WORK_S, retries=retries)
        played = play(scenario(traffic, settings={"jobs_max": 8}, links=Links(delay_ms=5.0)))
        jobs = played.run["jobs"]
        assert played.broken == []
        assert jobs["lost"] == 0
        assert jobs["submitted"] + jobs["rejected"] == played.world.clients.made
        assert played.run["resident"]["unfinished_max"] == 8
        give_up[retries] = jobs["rejected"]
    assert 0 < give_up[5] < give_up[0]


def test_clients_without_patience_get_no_late_result() -> None:
    traffic = Traffic(pair="zh:en", rate_per_s=8.0, work_s=WORK_S, timeout_s=1.5)
    played = play(scenario(traffic))
    assert played.broken == []
    assert set(played.run["failed_for"]) == {"expired"}
    assert played.run["sojourn_s"]["max"] <= 1.502


def test_jobs_of_a_session_go_to_its_node() -> None:
    nodes: dict[str, set[str]] = {}
    for affinity in (False, True):
        seen: dict[str, set[str]] = {}

        class Dispatches(Watcher):
            def job_dispatched(self, job, node) -> None:  # type: ignore[no-untyped-def]
                seen.setdefault(job.session_id, set()).add(node.node_id)  # noqa: B023

        traffic = Traffic(pair="zh:en", rate_per_s=0.5, work_s=0.1, sessions=3, affinity=affinity)
        world = World()
        world.hub.add([Dispatches()])
        world.add_nodes(4, pairs=["zh:en"])
        world.env.process(Stream(traffic, "t0", 1, 60.0).run(world.env, world.clients))
        world.run(for_s=60)
        assert world.finish() == []
        assert len(seen) == 3
        nodes["with" if affinity else "without"] = set.union(*seen.values())
        if affinity:
            assert {len(held) for held in seen.values()} == {1}
    assert len(nodes["without"]) == 4


def test_warm_up_leaves_early_jobs_out_of_the_waits() -> None:
    traffic = Traffic(pair="zh:en", rate_per_s=1.0, work_s=0.5, arrivals="even")
    played = play(scenario(traffic, warmup_s=30.0))
    assert played.run["jobs"]["completed"] == 59
    assert len(played.world.recorder.wait_s) == 30
