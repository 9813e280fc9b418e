"""The pause between the attempts of a job that its nodes answer with errors, in virtual time."""

from __future__ import annotations

from tests.sim.test_checkers_bite import failing
from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.world.world import World


class Attempts(Watcher):
    """Records when the attempts of jobs were sent, and why others were not."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.sent_s: list[float] = []

    def job_dispatched(self, job: Job, node: object) -> None:
        self.sent_s.append(round(self._world.env.now, 2))


def failing_world(**settings: float) -> tuple[World, Attempts]:
    """Two nodes that answer each job with an error after 0.1 s, in a world with these settings."""
    world = World(settings=settings)
    attempts = Attempts(world)
    world.hub.add([attempts])
    for node in world.add_nodes(2, pairs=["zh:en"]):
        failing(node)
    world.run(for_s=1)
    return world, attempts


def test_a_failing_job_is_retried_after_its_pauses() -> None:
    world, attempts = failing_world(backoff_s=0.5, backoff_max_s=1.5, attempts_max=5)
    job = world.submit("zh:en", work_s=0.1)
    world.run(for_s=20)
    assert attempts.sent_s == [1.0, 1.6, 2.7, 4.3, 5.9]
    assert (world.state(job), job.reason, world.attempts(job)) == ("failed", "attempts_max", 5)
    assert world.broken_checkers() == []


def test_without_a_pause_a_job_is_retried_at_once() -> None:
    world, attempts = failing_world(backoff_s=0.0)
    world.submit("zh:en", work_s=0.1)
    world.run(for_s=5)
    assert attempts.sent_s == [1.0, 1.1, 1.2, 1.3]
    assert world.broken_checkers() == []
