"""What a scheduler tells of its own memory: every table is found, a planted leak is seen, no step holds the loop."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque

import pytest

from scheduler.telemetry import memory_report
from scheduler.telemetry.live_bytes import LiveBytes, Unreadable
from scheduler.telemetry.memory_report import MemoryReporter
from scheduler.telemetry.tables import table_sizes
from sim.census import entries
from tests.unit.rig import Rig


class Leaf:
    """Something that leaks, 40 bytes and a place in a list."""

    __slots__ = ("other",)


def reporter(**roots: object) -> MemoryReporter:
    return MemoryReporter(roots, time.perf_counter)


async def test_every_container_that_a_full_walk_finds_stands_among_the_tables() -> None:
    """The full walk (of the simulation) looks at each entry; what it finds beyond the tables is inside of records."""
    rig = Rig()
    node, _ = await rig.node("n-1", ["zh:en"], slots=2)
    for number in range(5):
        await rig.submit("zh:en", session_id=f"s-{number}", affinity=True)
    assert len(node.holds) == 2
    sizes = table_sizes({"core": rig.core})
    found = {f"core.{path}": count for path, count in entries(rig.core).items()}
    inside = {path for path in found for table in sizes if path.startswith(f"{table}.")}
    assert found.keys() - inside <= sizes.keys()
    assert {path: sizes[path] for path in found.keys() - inside} == {
        path: found[path] for path in found.keys() - inside
    }
    assert sizes["core.table._by_id"] == 5 and sizes["core.fleet.nodes"] == 1


def test_shards_are_one_table_and_a_thing_under_two_names_counts_once() -> None:
    class Holder:
        def __init__(self) -> None:
            self.shards = [{1: 1}, {2: 2, 3: 3}]
            self.again = self.shards
            self.queue = deque([1])
            self.empty: set[int] = set()

    Holder.__module__ = "scheduler.somewhere"
    assert table_sizes({"it": Holder()}) == {"it.shards": 3, "it.queue": 1, "it.empty": 0}


TYPES = 100_000
"""More than a process of tests has."""


async def test_a_planted_leak_shows_in_bytes_blocks_and_types() -> None:
    meter = reporter()
    before = await meter.report(collect=True, types_max=TYPES)
    leaked = [Leaf() for _ in range(500_000)]  # many, since what other tests leave behind goes meanwhile
    after = await meter.report(collect=True, types_max=TYPES)
    name = f"{__name__}.Leaf"
    assert after.objects.types[name] - before.objects.types.get(name, 0) == len(leaked)
    assert after.blocks - before.blocks == pytest.approx(len(leaked), rel=0.1)
    assert before.memory.live_bytes is not None and after.memory.live_bytes is not None
    assert after.memory.live_bytes - before.memory.live_bytes == pytest.approx(len(leaked) * 56, rel=0.1)
    assert after.memory.rss_bytes <= after.memory.rss_max_bytes


async def test_garbage_goes_when_asked_and_only_then() -> None:
    gc.collect()
    gc.disable()
    try:
        ring: list[object] = [Leaf()]
        ring.append(ring)
        del ring
        name = f"{__name__}.Leaf"
        kept = await reporter().report(collect=False, types_max=TYPES)
        gone = await reporter().report(collect=True, types_max=TYPES)
    finally:
        gc.enable()
    assert kept.objects.types[name] == 1 and name not in gone.objects.types
    assert "collect" in gone.pauses_ms and "collect" not in kept.pauses_ms


async def test_the_loop_gets_its_turns_while_objects_are_counted() -> None:
    """With as many objects as ten turns take, another task runs at least as often as that."""
    ballast = [[] for _ in range(10 * memory_report.OBJECTS_A_TURN)]  # type: ignore[var-annotated]
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    report = await reporter().report(collect=False, types_max=1)
    task.cancel()
    assert turns >= 10 and report.objects.total >= len(ballast)
    assert len(report.objects.types) == 1
    assert report.tasks.functions[f"{other.__qualname__}"] == 1 and report.tasks.total >= 2


async def test_memory_that_cant_be_read_is_null_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: LiveBytes) -> None:
        raise Unreadable("not on this system")

    monkeypatch.setattr(LiveBytes, "read", refuse)
    memory = (await reporter().report(collect=False, types_max=1)).memory
    assert memory.live_bytes is None and memory.held_bytes is None
    assert memory.unreadable == "not on this system" and memory.rss_bytes > 0
