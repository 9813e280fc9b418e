"""R18, R19: what a scheduler's connection to the store, and its scripts, have to do with several of them."""

from __future__ import annotations

from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.experiments.schedulers.clustered import PRIMARIES, ClusteredStore, with_keys, without_keys
from voxpool.sim.experiments.schedulers.costs import ROUND
from voxpool.sim.instances.production.world import Instances, Sizes
from voxpool.sim.instances.store import PartitionStore

BLOCK_S = 1.0
"""The time of a blocking read."""
IDLE = Sizes(schedulers=2, partitions=1, elsewhere=True, in_flight=1, nodes=1)
IDLE_S = 30.0
ASKED_S = 1.0
SETTLE_S = 5.0


def blocks_its_connection(stage: Stage) -> Figures:
    """R18: two schedulers with one request in flight each, whose nodes are at the other one."""
    world = Instances(IDLE, ROUND, stage.seed)
    try:
        for scheduler in world.schedulers:
            scheduler.link.block_s = 0.0 if stage.has_fix else BLOCK_S
        world.run(IDLE_S / 100 if stage.has_fix else IDLE_S)
        if stage.has_fix:
            stage.broken += world.wrong
        return {"job_s": world.loop.env.now * IDLE.schedulers / max(1, world.done), "done": world.done}
    finally:
        world.close()


def runs_on_a_cluster(stage: Stage) -> Figures:
    """R19: two schedulers on a cluster of three primaries."""
    chance = plain_random(stage.seed, "servers")
    stores: list[ClusteredStore] = []

    def store(partition: int) -> PartitionStore:
        stores.append((with_keys if stage.has_fix else without_keys)(partition, chance))
        return stores[-1]

    sizes = Sizes(2, shards=PRIMARIES, partitions=6, in_flight=stage.size.jobs // 2, nodes=stage.size.nodes)
    world = Instances(sizes, ROUND, stage.seed, store)
    try:
        world.run(ASKED_S / 10)
        world.is_ending = True
        world.settle(SETTLE_S)
        if stage.has_fix:
            stage.broken += world.wrong
        return {
            "refused": 100 * sum(each.failed for each in stores) / sum(each.calls for each in stores),
            "calls": sum(each.calls for each in stores),
            "done": world.done,
            "never_end": len(world.open),
        }
    finally:
        world.close()
