"""Nothing is kept for ever: audio is released when its job ends, and the job after `retention_s`."""

from __future__ import annotations

from voxpool.sim.world.world import World


def test_a_finished_job_is_kept_for_five_minutes_and_not_for_ever(world: World) -> None:
    """The leak that this project began with: finished jobs were never removed."""
    world.add_nodes(1, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=1)
    world.run_until(lambda: job.ended)
    world.run(for_s=299)
    assert world.core.dispatcher.find(job.job_id) is job
    world.run(for_s=62)
    assert world.core.dispatcher.find(job.job_id) is None and len(world.core.table) == 0


def test_the_audio_is_freed_when_the_job_ends_and_not_before(world: World) -> None:
    """A second attempt needs it; a finished job does not."""
    nodes = world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=5)
    world.run(for_s=1)
    world.do(world.node(job.node_id).crash)
    world.run(for_s=1)
    assert len(nodes) == 2 and job.attempt == 2 and world.core.table.audio_bytes == job.audio_bytes > 0
    world.run_until(lambda: job.ended)
    assert job.audio is None and world.core.table.audio_bytes == 0
