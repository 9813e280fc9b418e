"""The scenarios of `race` about redispatches: defects R2 to R5 and R9."""

from __future__ import annotations

import math
from typing import Any

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.protocol.messages import Assign
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.world.clients import Request
from voxpool.sim.world.links import Connection
from voxpool.sim.world.nodes import SimNode, Work
from voxpool.sim.world.world import World

PAIR = "zh:en"
HANGS = 1e-6
"""The speed of a node that sends heartbeats and never answers."""
WORK_S = 5.0
POISONED_NODES = 5


def times_out_again(stage: Stage) -> Figures:
    """R2: the first node of each job hangs; the others complete it in five seconds."""
    count = stage.size.nodes
    world = stage.world()
    hanging = world.add_nodes(count, [PAIR], speed=HANGS, name="hangs")
    world.run(for_s=1)
    jobs = [world.submit(PAIR, work_s=WORK_S) for _ in range(count)]
    world.run(for_s=1)
    for node in hanging:
        world.do(node.leave)  # they receive no more jobs
    world.add_nodes(count, [PAIR])
    world.run(for_s=3 * world.settings.dispatch_timeout_s)
    figures: Figures = {
        "redispatches": sum(job.redispatches for job in jobs) / count,
        "failed": 100 * sum(job.state == "failed" for job in jobs) / count,
    }
    stage.end(world)
    return figures


class _Kills(Watcher):
    """One job kills each node that receives it; the node restarts a second later."""

    def __init__(self, world: World, request_id: str) -> None:
        self._loop = world.loop
        self._request_id = request_id

    def work_started(self, worker: SimNode, work: Work) -> None:
        if work.request.request_id == self._request_id:
            self._loop.after(0.1, worker.crash)
            self._loop.after(1.1, worker.start)


def is_poisoned(stage: Stage) -> Figures:
    """R3: the input of a job kills the process that works on it."""
    world = stage.world()
    world.hub.add([_Kills(world, "poison")])
    world.add_nodes(POISONED_NODES, [PAIR])
    world.run(for_s=1)
    job = world.submit(PAIR, work_s=WORK_S, request_id="poison")
    world.run(for_s=stage.size.span_s)
    figures: Figures = {"attempts": job.attempt, "end": job.reason or job.state}
    stage.end(world)
    return figures


def names_the_old_attempt(stage: Stage) -> Figures:
    """R4: half of the nodes die with their jobs; the others answer."""
    count = stage.size.nodes
    world = stage.world(settings={"retention_s": 10 * stage.size.span_s, "rest_after_failures": 0})
    dying = world.add_nodes(count, [PAIR], name="dies")
    world.run(for_s=1)
    jobs = [world.submit(PAIR, work_s=WORK_S) for _ in range(count)]
    world.run(for_s=1)
    world.add_nodes(count, [PAIR])
    for node in dying:
        world.do(node.crash)
    world.run(for_s=stage.size.span_s)
    figures: Figures = {
        "never_end": sum(not job.ended for job in jobs),
        "thrown_away": world.recorder.late_results,
        "attempts": max(job.attempt for job in jobs),
    }
    stage.end(world)
    return figures


class _Redispatches(Watcher):
    """Records when each job was taken from its node."""

    def __init__(self, world: World) -> None:
        self.at_s: dict[str, float] = {}
        self._env = world.env

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self.at_s.setdefault(job.job_id, self._env.now)


def loses_its_node(stage: Stage) -> Figures:
    """R5: for each pair, one node closes its socket and one goes silent, each with a job."""
    count = stage.size.nodes
    world = stage.world()
    seen = _Redispatches(world)
    world.hub.add([seen])
    nodes = world.add_nodes(2 * count, [PAIR])
    world.run(for_s=20)
    began_ms = world.clock.now_ms() - round(1000 * world.env.now)
    jobs = [world.submit(PAIR, work_s=50.0) for _ in range(2 * count)]
    chance = plain_random(stage.seed, "losses")
    world.run(for_s=0.5)
    held = {node.node_id: job for job in jobs if (node := world.holder(job)) is not None}
    lost_s: dict[str, list[tuple[Job, float]]] = {"closed": [], "silent": []}
    for number, node in enumerate(nodes):
        world.run(for_s=2 * chance.random() / count)
        connection = node.connection
        assert connection is not None and connection.node is not None
        job = held[node.node_id]
        if number % 2:
            lost_s["silent"].append((job, (connection.node.seen_ms - began_ms) / 1000))
            world.do(node.vanish)
        else:
            lost_s["closed"].append((job, world.env.now))
            world.do(node.crash)
    world.run(for_s=5)
    world.add_nodes(2 * count, [PAIR], name="spare")
    world.run(for_s=3 * world.settings.dispatch_timeout_s)
    figures: Figures = {}
    for way, lost in lost_s.items():
        waits = [seen.at_s.get(job.job_id, math.inf) - since_s for job, since_s in lost]
        figures[way] = max(waits)
        figures[f"{way}_mean"] = sum(waits) / len(waits)
    stage.end(world)
    return figures


class _Assigns(Watcher):
    """Counts the assigns of each attempt."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, int], int] = {}

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        key = (assign.job_id, assign.attempt)
        self.of[key] = self.of.get(key, 0) + 1


def is_sent_by_two(stage: Stage) -> Figures:
    """R9: two parts of the scheduler try to dispatch the same jobs, some again after their nodes die."""
    world = stage.world(delay_ms=1.0, store_delay_ms=0.5)
    seen = _Assigns()
    world.hub.add([seen])
    nodes: list[Any] = world.add_nodes(stage.size.nodes, [PAIR])
    world.run(for_s=1)
    for number in range(stage.size.jobs):
        world.submit(PAIR, work_s=0.5)
        world.run(for_s=0.1)
        if number % 10 == 9:
            node = nodes[number // 10 % len(nodes)]
            world.do(node.crash)
            world.run(for_s=0.1)
            world.do(node.start)
    world.run(for_s=20)
    counts = list(seen.of.values())
    figures: Figures = {"assigns": max(counts), "mean": sum(counts) / len(counts), "attempts": len(counts)}
    stage.end(world)
    return figures
