"""The meter of allocated bytes finds planted leaks, and fails loudly where it can't read."""

from __future__ import annotations

import ctypes
import mmap
import sys
import tracemalloc

import pytest

from voxpool.leakgate.errors import Unreadable
from voxpool.leakgate.inside import allocators
from voxpool.leakgate.inside.allocators import AllocatedBytes, parse_mallocstats


def test_a_planted_leak_of_small_objects_is_measured() -> None:
    meter = AllocatedBytes(collect=True)
    before = meter.read()

    chain: tuple[object, ...] | None = None
    for _ in range(100_000):
        chain = (chain, None, None)

    grown = meter.read().allocated - before.allocated
    assert grown / 100_000 == pytest.approx(64.0, abs=1.0)


def test_memory_outside_pythons_allocator_is_measured() -> None:
    meter = AllocatedBytes(collect=True)
    before = meter.read()

    large = [bytes(3_000_000) for _ in range(4)]

    after = meter.read()
    assert after.malloc - before.malloc == pytest.approx(12_000_000, rel=0.01)
    assert after.held >= after.allocated
    del large
    assert meter.read().allocated == pytest.approx(before.allocated, abs=100_000)


def test_the_rss_contains_touched_pages() -> None:
    """It maps its own pages: malloc may reuse memory of an earlier test, which is in RAM already."""
    with mmap.mmap(-1, 30_000_000) as touched:
        before = allocators.read_rss()
        for page in range(0, len(touched), mmap.PAGESIZE):
            touched[page] = 1

        assert allocators.read_rss() - before > 20_000_000


def test_stderr_is_restored(capfd: pytest.CaptureFixture[str]) -> None:
    AllocatedBytes().read()
    print("after", file=sys.stderr, flush=True)

    assert capfd.readouterr().err == "after\n"


def test_tracemalloc_makes_it_unreadable_not_zero() -> None:
    meter = AllocatedBytes()
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="without tracemalloc"):
            meter.read()
    finally:
        tracemalloc.stop()
    assert meter.read().allocated > 0


def test_unknown_text_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="does not say"):
        parse_mallocstats("# bytes in allocated blocks = 12\n")


def test_no_mallinfo2_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    class OtherLibc:
        def __init__(self, _name: None) -> None: ...

    monkeypatch.setattr(ctypes, "CDLL", OtherLibc)

    with pytest.raises(Unreadable, match=r"glibc 2\.33"):
        AllocatedBytes()


def test_another_python_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = AllocatedBytes()
    monkeypatch.delattr(sys, "_debugmallocstats")

    with pytest.raises(Unreadable, match="use CPython"):
        meter.read()


def test_no_proc_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> object:
        raise FileNotFoundError("no such file")

    monkeypatch.setattr("builtins.open", refuse)

    with pytest.raises(Unreadable, match="/proc/self/statm"):
        allocators.read_rss()
