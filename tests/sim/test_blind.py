"""The blind policies, which `policy` compares production with: each chooses as its name says."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.checkers import CHECKERS
from voxpool.sim.experiments.policy.runs import checkers_of
from voxpool.sim.experiments.policy.without.blind import RULES, Board, at_random, least_loaded, of_two
from voxpool.sim.experiments.theory.question import PATIENT, Starts
from voxpool.sim.experiments.without import variant_without
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.report.theory import ggc_starts
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.nodes import SimNode, Work
from voxpool.sim.world.run import set_up
from voxpool.sim.world.world import World

DRAWS = 3000


def shares(loads: list[int], choose: object) -> list[float]:
    source = random.Random(1)
    counts = Counter(choose(loads, source) for _ in range(DRAWS))  # type: ignore[operator]
    return [counts[place] / DRAWS for place in range(len(loads))]


def test_at_random_does_not_look_at_loads() -> None:
    assert shares([0, 9, 9, 9], at_random) == pytest.approx([0.25] * 4, abs=0.03)


def test_the_less_loaded_of_two_never_is_the_most_loaded() -> None:
    """Of 3 nodes there are 3 pairs: the least loaded node is in two, the next one wins one."""
    assert shares([0, 1, 2], of_two) == pytest.approx([2 / 3, 1 / 3, 0.0], abs=0.03)
    assert shares([1, 1], of_two) == pytest.approx([0.5, 0.5], abs=0.03)
    assert shares([7], of_two) == [1.0]


def test_the_least_loaded_is_one_of_those_with_equal_load() -> None:
    assert shares([3, 1, 1, 2], least_loaded) == pytest.approx([0.0, 0.5, 0.5, 0.0], abs=0.03)


def test_a_report_has_the_loads_of_its_time() -> None:
    nodes = [Node(f"gpu-{number}", "p", ("zh:en",), 1, None, 0) for number in (1, 2)]  # type: ignore[arg-type]
    board = Board(nodes, report_s=15.0, now_ms=0)
    board.add("gpu-1", 1)
    board.report_if_due(14_999)
    assert (board.seen, board.loads) == ([0, 0], [1, 0])
    board.report_if_due(15_000)
    assert board.seen == [1, 0]
    board.report_if_due(46_000)  # two reports were missed; the next is due at 60 s
    board.add("gpu-2", 1)
    board.report_if_due(59_999)
    assert board.seen == [1, 0]
    board.report_if_due(60_000)
    assert board.seen == [1, 1]


def blind(rule: str = "two/exact", seed: int = 1) -> World:
    return World(seed=seed, settings=PATIENT, variant=RULES[rule].variant(), checkers=checkers_of(rule))


def test_a_job_queues_at_a_full_node() -> None:
    world = blind()
    (node,) = world.add_nodes(1, ["zh:en"])
    world.run(for_s=0.1)
    jobs = [world.submit("zh:en", work_s=2) for _ in range(3)]
    world.run(for_s=3)
    assert [world.state(job) for job in jobs] == ["completed", "dispatched", "dispatched"]
    assert list(node.running) == [jobs[1].job_id]
    world.cancel(jobs[2])
    world.run(for_s=2)
    assert [world.state(job) for job in jobs] == ["completed", "completed", "cancelled"]
    assert list(world.recorder.start_wait_s) == pytest.approx([0.0, 2.0])
    assert world.finish() == []


def test_jobs_queued_at_a_lost_node_are_sent_to_another_one() -> None:
    world = blind("least/15")
    first, second = world.add_nodes(2, ["zh:en"])
    world.run(for_s=0.1)
    jobs = [world.submit("zh:en", work_s=5) for _ in range(6)]
    world.run(for_s=1)
    first.crash()
    world.run(for_s=40)
    assert {world.state(job) for job in jobs} == {"completed"}
    assert {job.node_id for job in jobs} == {second.node_id}
    assert world.finish() == []


def test_without_connected_nodes_a_job_fails_at_once() -> None:
    world = blind()
    job = world.submit("zh:en", work_s=1)
    assert (world.state(job), job.reason) == ("failed", "no_node")
    assert world.finish() == []


class _Places(Watcher):
    """Records the node of each request."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def work_started(self, worker: SimNode, work: Work) -> None:
        self.of[work.request.request_id] = worker.node_id


@pytest.mark.parametrize("rule", ["random", "two/exact", "least/5"])
def test_each_node_is_a_first_come_first_served_queue(rule: str) -> None:
    """The starts match the recursion for one server: the path costs no time, and no job overtakes another."""
    world = blind(rule, seed=3)
    starts, places = Starts(world), _Places()
    world.hub.add([places])
    scenario = Scenario(
        name=rule,
        duration_s=150.0,
        nodes=[Nodes(count=8, pairs=["zh:en"])],
        traffic=[Traffic(pair="zh:en", rate_per_s=3.2, work_s=Exponential(2.0))],
    )
    set_up(world, scenario)
    world.run_to(scenario.duration_s)
    assert world.finish() == []
    of_node: dict[str, list[int]] = {}
    for number in range(len(starts.starts_s)):
        of_node.setdefault(places.of[f"t0-{number}"], []).append(number)
    assert len(of_node) == 8
    for numbers in of_node.values():
        arrivals = [starts.arrivals_s[number] for number in numbers]
        works = [starts.works_s[number] for number in numbers]
        assert [starts.starts_s[number] for number in numbers] == pytest.approx(ggc_starts(arrivals, works, 1))


def test_a_blind_choice_breaks_the_checker_of_allocations_and_no_other() -> None:
    world = World(settings=PATIENT, variant=variant_without("C6"), checkers=CHECKERS)
    world.add_nodes(2, ["zh:en"])
    world.run(for_s=0.1)
    world.submit("zh:en", work_s=1)
    world.run(for_s=5)
    (line,) = world.broken_checkers()
    assert line.startswith("an allocation goes to its generation")
    world.stop()
