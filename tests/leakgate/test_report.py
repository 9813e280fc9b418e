"""The report of a process on its own memory: a planted leak shows, no step blocks the loop."""

from __future__ import annotations

import asyncio
import gc

import pytest

from voxpool.leakgate.errors import Unreadable
from voxpool.leakgate.inside import report as memory_report
from voxpool.leakgate.inside.allocators import AllocatedBytes
from voxpool.leakgate.inside.report import MemoryReporter


class Leaf:
    """A leaked object: 40 bytes and a place in a list."""

    __slots__ = ("other",)


def reporter(**roots: object) -> MemoryReporter:
    return MemoryReporter(roots)


TYPES = 100_000
"""More than a test process has."""


async def test_a_planted_leak_shows_in_bytes_blocks_and_types() -> None:
    meter = reporter()
    before = await meter.report(collect=True, types_max=TYPES)
    leaked = [Leaf() for _ in range(500_000)]  # many, since leftovers of other tests are freed in between
    after = await meter.report(collect=True, types_max=TYPES)
    name = f"{__name__}.Leaf"
    assert after.objects.types[name] - before.objects.types.get(name, 0) == len(leaked)
    assert after.blocks - before.blocks == pytest.approx(len(leaked), rel=0.1)
    assert before.memory.allocated_bytes is not None and after.memory.allocated_bytes is not None
    assert after.memory.allocated_bytes - before.memory.allocated_bytes == pytest.approx(len(leaked) * 56, rel=0.1)
    assert after.memory.rss_bytes <= after.memory.rss_max_bytes


async def test_garbage_is_collected_on_request_only() -> None:
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


async def test_the_loop_runs_while_objects_are_counted() -> None:
    """The number of objects takes ten turns; another task must run at least that often."""
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


async def test_unreadable_memory_is_null_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: AllocatedBytes) -> None:
        raise Unreadable("not on this system")

    monkeypatch.setattr(AllocatedBytes, "read", refuse)
    memory = (await reporter().report(collect=False, types_max=1)).memory
    assert memory.allocated_bytes is None and memory.held_bytes is None
    assert memory.unreadable == "not on this system" and memory.rss_bytes > 0
