"""A world on a real store: the same scheduler, the same answers; a store with foreign data is not touched."""

from __future__ import annotations

import pytest

from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.sim.planted.bugs import overfills
from voxpool.sim.world.stores import RealStore, open_store
from voxpool.sim.world.world import World


def test_a_store_with_data_is_refused_and_an_empty_one_is_left_empty() -> None:
    world = World(store="embedded")
    assert isinstance(world.store, RealStore)
    world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    url = world.store._store.url
    with pytest.raises(ConfigError, match="it has data of a scheduler"):
        World(store=url)
    world.store._wait(world.store._store.clear())

    other = World(store=url)
    other.add_nodes(1, pairs=["zh:en"])
    job = other.submit("zh:en", work_s=1)
    other.run(for_s=2)
    assert other.state(job) == "completed"
    other.stop()
    assert sum(world.store.census().values()) == 0
    world.close()


def test_a_flushed_store_heals_within_a_heartbeat() -> None:
    """The nodes register again by themselves, and nothing is lost, on a real server too."""
    world = World(store="embedded")
    assert isinstance(world.store, RealStore)
    world.add_nodes(3, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=40)
    world.run(for_s=5)
    world.store._wait(world.store._store.clear())
    world.run(for_s=20)
    assert {node for node, _ in world.store_dump()["nodes"]} == {"gpu-1", "gpu-2", "gpu-3"}
    world.run(for_s=20)
    assert (world.state(job), world.attempts(job)) == ("completed", 1)
    world.stop()


@pytest.mark.parametrize("kind", ["redus", "http://127.0.0.1", ""])
def test_an_unknown_store_is_named(kind: str) -> None:
    with pytest.raises(ConfigError, match="is not known: use memory"):
        open_store(kind)


def test_a_store_that_does_not_answer_is_named() -> None:
    with pytest.raises(StoreUnavailable, match=r"redis://127\.0\.0\.1:1"):
        World(store="redis://127.0.0.1:1")


def test_scripts_can_be_replaced_in_memory_only() -> None:
    with pytest.raises(ConfigError, match="memory store only"):
        World(store="fakeredis", variant=overfills())
