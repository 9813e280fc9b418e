"""The scenarios of `faults` about sessions and crossing answers: defects R16, R17 and R21."""

from __future__ import annotations

from collections.abc import Callable

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.protocol.in_order import InOrder
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.checkers.no_node_idles_beside_a_waiting_job import NoNodeIdlesBesideAWaitingJob
from voxpool.sim.experiments.faults.without.clients import ForgetsItsPosition
from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.world.nodes import SimNode, Work
from voxpool.sim.world.world import World

PAIR = "zh:en"
UTTERANCES = 5
GRACE_MS = 5000
HELD_MAX = 1000


class _Waste(Watcher):
    """Sums the seconds that nodes work on jobs of closed sessions."""

    def __init__(self, world: World) -> None:
        self.seconds = 0.0
        self.closed_s: dict[str, float] = {}
        self._env = world.env

    def work_ended(self, worker: SimNode, work: Work, is_done: bool) -> None:
        closed_s = self.closed_s.get(work.request.session_id)
        if closed_s is not None:
            self.seconds += max(0.0, self._env.now - max(work.started_at, closed_s))


def sessions_close(stage: Stage) -> Figures:
    """R16: clients submit three jobs of 20 s each and close their sessions 5 s later."""
    world = stage.world(delay_ms=2.0)
    seen = _Waste(world)
    world.hub.add([seen])
    world.add_nodes(stage.size.nodes, [PAIR], slots=2)
    world.run(for_s=1)
    sessions = stage.size.jobs // 5
    for number in range(sessions):
        session_id = f"session-{number}"
        jobs = [world.submit(PAIR, work_s=20.0, session_id=session_id) for _ in range(3)]
        world.run(for_s=5)
        seen.closed_s[session_id] = world.env.now
        world.do(world.core.dispatcher.session_closed, session_id, [job.job_id for job in jobs if not job.ended])
    world.run(for_s=60)
    figures: Figures = {"wasted_s": seen.seconds, "a_session_s": seen.seconds / sessions, "sessions": sessions}
    stage.end(world)
    return figures


class _Session(Watcher):
    """A client that receives its results in the order of its submits."""

    def __init__(self, world: World, order: InOrder[str]) -> None:
        self.order = order
        self.out: list[str] = []
        self.came_s: dict[str, float] = {}
        self.longest_s = 0.0
        self._own: dict[str, None] = {}
        self._loop = world.loop
        self._env = world.env
        self._now_ms: Callable[[], int] = world.clock.now_ms

    def submitted(self, job: Job) -> None:
        """Register `job` as a job of this client."""
        self._own[job.job_id] = None
        self.order.submitted(job.job_id)

    def job_ended(self, job: Job) -> None:
        if job.job_id in self._own:
            self.came_s[job.job_id] = self._env.now
            self._tell(self.order.ended(job.job_id, job.job_id, self._now_ms()))
            due_ms = self.order.due_ms
            if due_ms is not None:
                self._loop.after((due_ms - self._now_ms()) / 1000, self._due)

    def _due(self) -> None:
        self._tell(self.order.skip_gap(self._now_ms()))
        due_ms = self.order.due_ms
        if due_ms is not None:
            self._loop.after((due_ms - self._now_ms()) / 1000, self._due)

    def _tell(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            self.out.append(job_id)
            self.longest_s = max(self.longest_s, self._env.now - self.came_s[job_id])


def results_go_in_order(stage: Stage) -> Figures:
    """R17: each session submits five utterances; in every other one the second takes 30 s, more than a gap may."""
    world = stage.world()
    world.add_nodes(stage.size.nodes, [PAIR], slots=UTTERANCES)
    world.run(for_s=1)
    sessions: list[_Session] = []
    jobs: list[list[Job]] = []
    for number in range(stage.size.nodes):
        order = (InOrder[str] if stage.has_fix else ForgetsItsPosition[str])(GRACE_MS, HELD_MAX)
        session = _Session(world, order)
        world.hub.add([session])
        sessions.append(session)
        jobs.append([])
        for utterance in range(UTTERANCES):
            is_slow = number % 2 == 1 and utterance == 1
            job = world.submit(PAIR, work_s=30.0 if is_slow else 0.3, session_id=f"session-{number}")
            session.submitted(job)
            jobs[-1].append(job)
            world.run(for_s=0.5)
    world.run(for_s=60)
    in_order = sum(
        session.out == [job.job_id for job in submitted]
        for session, submitted in zip(sessions[::2], jobs[::2], strict=True)
    )
    figures: Figures = {
        "stuck": sum(len(session.order) for session in sessions),
        "in_order": in_order,
        "longest_s": max(session.longest_s for session in sessions) if stage.has_fix else float("inf"),
    }
    stage.end(world)
    return figures


def nobody_crosses_a_release(stage: Stage) -> Figures:
    """R21: a busy pool and a slow store, so that answers "nobody" often cross a release."""
    world = stage.world(counts=NoNodeIdlesBesideAWaitingJob, store_delay_ms=5.0)
    world.add_nodes(stage.size.nodes, [PAIR])
    world.run(for_s=1)
    chance = plain_random(stage.seed, "works")
    works_s = [0.1 + 0.8 * chance.random() for _ in range(10 * stage.size.jobs)]
    mean_s = sum(works_s) / len(works_s)
    for work_s in works_s:
        world.submit(PAIR, work_s=work_s)
        world.run(for_s=mean_s / stage.size.nodes / 0.9)
    world.run(for_s=30)
    figures: Figures = {
        "idle": stage.broken_in(world, NoNodeIdlesBesideAWaitingJob),
        "jobs": len(works_s),
    }
    stage.end(world)
    return figures
