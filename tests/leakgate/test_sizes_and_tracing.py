"""Tools for finding a leak: bytes of all objects by type, and the source lines that hold memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator

import msgspec
import pytest

from tests.leakgate.foreign import ROOT
from tests.leakgate.planted_sizes import MARKED, PAIRS, STRINGS, Grown
from voxpool.leakgate.errors import BadRequest, TraceError
from voxpool.leakgate.inside.door import switch
from voxpool.leakgate.inside.report import MemoryReporter
from voxpool.leakgate.inside.tracing import FRAMES_MAX, Tracer


@pytest.fixture(scope="module")
def grown() -> Grown:
    command = [sys.executable, "-m", "tests.leakgate.planted_sizes"]
    return msgspec.json.decode(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout, type=Grown)


def test_strings_in_a_hidden_list_are_counted(grown: Grown) -> None:
    """The collector does not track strings, so its list lacks them."""
    count, size = grown.strings
    assert count == pytest.approx(STRINGS, rel=0.1) and size == pytest.approx(549 * STRINGS, rel=0.1)
    assert grown.whole


def test_shared_objects_and_objects_in_tuples_count_once(grown: Grown) -> None:
    """An object of 1 MB is in many lists; the collector does not track the tuples."""
    assert not grown.pairs_are_tracked
    count, size = grown.bytes_
    assert count == pytest.approx(1 + PAIRS, rel=0.1)
    assert size == pytest.approx(1_000_000 + 737 * PAIRS, rel=0.1)


def test_objects_behind_a_frozen_object_are_reached(grown: Grown) -> None:
    count, _ = grown.marked
    assert count == pytest.approx(MARKED, rel=0.1)


async def test_the_loop_runs_while_sizes_are_counted() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    report = await MemoryReporter({}).report(collect=False, types_max=3, sizes=True)
    task.cancel()
    assert report.sizes is not None and len(report.sizes.types) == 3 and report.sizes.total_bytes > 1_000_000
    assert turns > 20 and "sizes" in report.pauses_ms


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    made = Tracer()
    yield made
    if tracemalloc.is_tracing():
        made.stop()


def test_the_line_that_holds_memory_comes_first_with_its_callers(tracer: Tracer) -> None:
    assert tracer.start(frames=3).frames == 3
    warm = [bytes(1000) for _ in range(500)]
    tracer.mark()
    leaked = [bytes(1000) for _ in range(200)]
    row = tracer.top(rows=5).rows[0]
    assert row.grown_bytes == pytest.approx(200 * 1033, rel=0.05) and row.grown_blocks >= 200
    assert __file__ in row.lines[0] and 1 < len(row.lines) <= 3
    assert len(warm) == 500 and len(leaked) == 200
    allocated = [row.lines[0] for row in tracer.top().rows]
    assert not any("leakgate/inside/tracing.py" in line or "tracemalloc" in line for line in allocated)


async def test_during_tracing_the_report_says_why_allocated_bytes_are_missing(tracer: Tracer) -> None:
    tracer.start()
    memory = (await MemoryReporter({}).report(collect=False, types_max=1)).memory
    assert memory.allocated_bytes is None and "tracemalloc" in (memory.unreadable or "")
    tracer.stop()
    assert (await MemoryReporter({}).report(collect=False, types_max=1)).memory.allocated_bytes is not None


def test_a_request_that_does_not_fit_the_state_is_refused(tracer: Tracer) -> None:
    for too_early in (tracer.top, tracer.mark, tracer.stop):
        with pytest.raises(TraceError, match="tracing is off"):
            too_early()
    with pytest.raises(TraceError, match="1 to 10"):
        tracer.start(FRAMES_MAX + 1)
    with pytest.raises(BadRequest, match="start, mark, stop"):
        switch(tracer, "begin", 1, 900)
    tracer.start()
    with pytest.raises(TraceError, match="on already"):
        Tracer().start()
    assert tracer.stop().on is False


@pytest.mark.parametrize(("bound_s", "asked_s"), [(0.01, None), (900.0, 0.01)])
def test_the_tracing_ends_by_itself(bound_s: float, asked_s: float | None) -> None:
    Tracer(seconds_max=bound_s).start(seconds=asked_s)
    end_s = time.monotonic() + 10
    while tracemalloc.is_tracing():
        assert time.monotonic() < end_s
