"""The scenarios of `race` about crossing connections, results and submits: defects R7 and R10 to R13."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.experiments.race.without.results import GAP_S, MarksBeforeItSends
from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.world.content import audio_of
from voxpool.sim.world.nodes import SimNode, Work
from voxpool.sim.world.world import World

PAIR = "zh:en"
WAY_MS = 500.0
"""Delay each way between nodes and scheduler in scenarios in which results cross timeouts."""
TIME_OUT_S = 5.0
STORE_MS = 20.0
"""Delay each way to the store: a redispatch takes two of them."""
LATE_S = 30.0
"""A job with one second of work that takes longer than this was lost for a while."""

TWICE_BYTES = 100
"""The audio of a request that is submitted twice."""


def old_connections_close(stage: Stage) -> Figures:
    """R7: every node's machine restarts and reconnects before its old connection is cleaned up."""
    world = stage.world(delay_ms=1.0)
    nodes = world.add_nodes(stage.size.nodes, [PAIR])
    world.run(for_s=20)
    for node in nodes:
        world.do(node.vanish)
        world.run(for_s=2)
        world.do(node.start)
        world.run(for_s=0.5)
    world.run(for_s=stage.size.span_s)
    free = {member for member, _ in world.store_dump().get("capacity", [])}
    figures: Figures = {"out": sum(node.is_whole and f"{PAIR}|{node.node_id}" not in free for node in nodes)}
    stage.end(world)
    return figures


class _RunsAfterItsEnd(Watcher):
    """Counts ended jobs that nodes begin to work on."""

    def __init__(self) -> None:
        self.ended: dict[str, None] = {}
        self.run_again: dict[str, None] = {}
        self.redispatched = 0

    def job_ended(self, job: Job) -> None:
        self.ended[job.job_id] = None

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self.redispatched += 1

    def work_started(self, worker: SimNode, work: Work) -> None:
        if work.job_id in self.ended:
            self.run_again[work.job_id] = None


def results_cross_redispatches(stage: Stage) -> Figures:
    """R10: jobs that take about as long as the timeout, so that some results arrive during a redispatch."""
    world = _slow_world(stage)
    seen = _RunsAfterItsEnd()
    world.hub.add([seen])
    _jobs_at_the_timeout(world, stage, spread_s=0.2)
    figures: Figures = {"again": len(seen.run_again), "redispatched": seen.redispatched, "jobs": stage.size.jobs}
    stage.end(world)
    return figures


def _slow_world(stage: Stage) -> World:
    # Timeouts make these nodes look overloaded; no job may be refused for that, because each one is part of the race.
    settings = {"dispatch_timeout_s": TIME_OUT_S, "heartbeat_s": 5.0, "lease_s": 15.0, "waiting_timeout_s": 60.0}
    return stage.world(delay_ms=WAY_MS, store_delay_ms=STORE_MS, settings=settings)


def _jobs_at_the_timeout(world: World, stage: Stage, spread_s: float, fast: float = 1.0) -> None:
    """Submit jobs whose results come within `spread_s` of their timeouts; half of the nodes are `fast` times faster."""
    chance = plain_random(stage.seed, "works")
    world.add_nodes(stage.size.nodes // 2, [PAIR], slots=4, name="slow")
    world.add_nodes(stage.size.nodes // 2, [PAIR], slots=4, speed=fast, name="fast")
    world.run(for_s=2)
    latest_s = TIME_OUT_S - 2 * WAY_MS / 1000
    for _ in range(stage.size.jobs):
        world.submit(PAIR, work_s=latest_s + spread_s * (chance.random() - 0.5))
        world.run(for_s=0.5)
    world.run(for_s=60)


class _Deliveries(Watcher):
    """Counts valid results that were dropped, and ends of a job that were reported more than once."""

    def __init__(self, world: World) -> None:
        self.lost = self.double = self.late = 0
        self._world = world
        self._is_right = False
        self._delivered: dict[str, None] = {}

    def result_arrives(self, node: Node, result: NodeResult) -> None:
        job = node.reservations.get(result.job_id)
        self._is_right = job is not None and job.attempt == result.attempt
        self.late += not self._is_right

    def result_handled(self, node: Node, result: NodeResult) -> None:
        self.lost += self._is_right and result.job_id in node.reservations

    def job_ended(self, job: Job) -> None:
        self.double += job.job_id in self._delivered
        self._delivered[job.job_id] = None


def late_results_come_first(stage: Stage) -> Figures:
    """R11: the first attempt of some jobs answers just after its timeout, the second one, on a fast node, in time."""
    world = _slow_world(stage)
    seen = _Deliveries(world)
    world.hub.add([seen])
    _jobs_at_the_timeout(world, stage, spread_s=0.6, fast=2.0)
    figures: Figures = {
        "lost": seen.lost,
        "double": seen.double,
        "late": seen.late,
        "failed": world.recorder.ended["failed"],
    }
    stage.end(world)
    return figures


class _AnswersTwice(Watcher):
    """Every node sends its results twice."""

    def __init__(self, world: World) -> None:
        self._loop = world.loop

    def work_ended(self, worker: SimNode, work: Work, is_done: bool) -> None:
        if is_done and worker.connection is not None:
            again = NodeResult(work.job_id, work.attempt, work.output)
            self._loop.after(0.01, worker.connection.to_scheduler, again)


def answers_come_twice(stage: Stage) -> Figures:
    """R11: every answer is sent twice, without a filter."""
    world = stage.world(delay_ms=1.0)
    seen = _Deliveries(world)
    world.hub.add([seen, _AnswersTwice(world)])
    world.add_nodes(stage.size.nodes, [PAIR])
    world.run(for_s=1)
    for _ in range(stage.size.jobs):
        world.submit(PAIR, work_s=0.5)
        world.run(for_s=0.1)
    world.run(for_s=10)
    figures: Figures = {"double": seen.double, "late": seen.late}
    stage.end(world)
    return figures


class _JobsOfRequests(Watcher):
    """Counts the jobs of each request id."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}

    def job_submitted(self, job: Job) -> None:
        self.of[job.request_id] = self.of.get(job.request_id, 0) + 1


def submits_come_twice(stage: Stage) -> Figures:
    """R12: each request is submitted again within 20 ms, as by a client that doesn't wait for the answer."""
    world = stage.world()
    seen = _JobsOfRequests()
    world.hub.add([seen])
    world.add_nodes(stage.size.nodes, [PAIR])
    world.run(for_s=1)
    chance = plain_random(stage.seed, "gaps")
    for number in range(stage.size.jobs):
        request_id = f"twice-{number}"
        world.submit(PAIR, work_s=0.3, request_id=request_id, audio_bytes=TWICE_BYTES)
        world.run(for_s=0.02 * chance.random())
        world.do(_submit_again, world, request_id)
        world.run(for_s=0.2)
    counts = list(seen.of.values())
    figures: Figures = {"jobs": max(counts), "share": 100 * sum(count > 1 for count in counts) / len(counts)}
    stage.end(world)
    return figures


def _submit_again(world: World, request_id: str) -> None:
    world.core.dispatcher.submit(pair=PAIR, audio=audio_of(request_id, TWICE_BYTES), request_id=request_id)


def dies_between_mark_and_send(stage: Stage) -> Figures:
    """R13: the scheduler dies within 10 ms after a submit, at a different time in each run, and restarts at once."""
    world = stage.world()
    world.add_nodes(3, [PAIR])
    world.run(for_s=20)
    chance = plain_random(stage.seed, "deaths")
    late = lost = 0
    longest_s = 0.0
    rounds = stage.size.jobs // 10
    for number in range(rounds):
        began_s = world.env.now
        world.submit(PAIR, work_s=1.0, request_id=f"r13-{number}")
        world.run(for_s=2 * GAP_S * chance.random())
        if stage.has_fix:
            world.do(world.crash_scheduler)
            world.do(world.start_scheduler)
        else:
            dispatcher = world.core.dispatcher
            assert isinstance(dispatcher, MarksBeforeItSends)
            dispatcher.die()
        try:
            world.run_until(lambda: not world.clients.open, at_most_s=stage.size.span_s)
        except TimeoutError:
            lost += 1
        took_s = world.env.now - began_s
        longest_s = max(longest_s, took_s)
        late += took_s > LATE_S
        world.run(for_s=20)
        stage.tell(number / rounds)
    figures: Figures = {"late": late, "lost": lost, "longest_s": longest_s, "deaths": rounds}
    stage.end(world)
    return figures
