"""assert_no_leak finds each of the four leaks, passes each fixed one, and fails when the result is unclear."""

from __future__ import annotations

import asyncio
import inspect
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from tests.leakgate.foreign import ROOT
from tests.leakgate.four_leaks import LEAKS, Shop, in_a_loop
from voxpool import leakgate
from voxpool.leakgate import assert_no_leak
from voxpool.leakgate.errors import Unreadable

NAMED = {"table": "four_leaks.py", "hidden": "four_leaks.py", "native": "native memory", "task": "wait_for_ever"}
"""The name that the failure must have; for a task it is the function, from its table of tasks."""


def made(name: str, shop: Shop, mended: bool) -> Callable[[], Any]:
    work = LEAKS[name](shop, mended)
    return in_a_loop(work) if name == "task" else work


@pytest.mark.parametrize("name", sorted(LEAKS))
def test_a_leak_is_found_with_its_size_and_its_place(name: str) -> None:
    with pytest.raises(AssertionError) as failed:
        assert_no_leak(made(name, Shop(), mended=False), per="order")
    text = str(failed.value)
    first, figures, types, *places = text.splitlines()
    assert first.startswith("leak after 590 orders: allocated bytes") and "limit 50 B" in first
    assert " a order: allocated bytes " in figures and " to " in figures
    assert types.startswith("  types that grow: ")
    assert NAMED[name].replace("wait_for_ever", "four_leaks.py") in "\n".join(places)


@pytest.mark.parametrize("name", sorted(LEAKS))
def test_the_fixed_version_passes(name: str) -> None:
    assert_no_leak(made(name, Shop(), mended=True), per="order")


def test_with_roots_the_table_is_named() -> None:
    shop = Shop()
    with pytest.raises(AssertionError, match=r"table shop\.orders grows by 1\.00 a order"):
        assert_no_leak(made("table", shop, mended=False), per="order", roots={"shop": shop})
    mended = Shop()
    assert_no_leak(made("table", mended, mended=True), roots={"shop": mended})


def test_growth_up_to_the_limit_passes() -> None:
    assert_no_leak(made("hidden", Shop(), mended=False), limit=5000)


def test_the_fixture_calls_the_function(assert_no_leak: Callable[..., None]) -> None:
    assert assert_no_leak is leakgate.assert_no_leak


async def test_a_coroutine_is_awaited_in_a_loop(assert_no_leak_async: Callable[..., Any]) -> None:
    call = made("task", Shop(), mended=True)
    with pytest.raises(TypeError, match="an event loop is running"):
        leakgate.assert_no_leak(call)
    await assert_no_leak_async(call)
    with pytest.raises(AssertionError, match="leak after"):
        await assert_no_leak_async(made("task", Shop(), mended=False))
    for left in asyncio.all_tasks() - {asyncio.current_task()}:
        left.cancel()


def test_an_unclear_result_is_measured_longer_and_then_fails() -> None:
    chance = random.Random(3)
    kept: list[bytearray] = []
    calls = [0]

    def wander() -> None:
        calls[0] += 1
        kept[:] = [bytearray(chance.randrange(2_000_000))]

    with pytest.raises(AssertionError, match=r"unclear after 2,360 calls: .*\n(.*\n)+  give more calls"):
        assert_no_leak(wander, limit=1)
    assert calls[0] == 120 + 600 * (1 + 2 + 4)
    assert_no_leak(wander, limit=1, unclear="pass")


def test_an_exception_of_the_call_is_raised_and_the_state_restored() -> None:
    def broken() -> None:
        raise KeyError("broken")

    with pytest.raises(KeyError):
        assert_no_leak(broken)
    left = [0]

    def breaks_under_tracing() -> bytearray:
        if tracemalloc.is_tracing():
            raise KeyError("broken")
        left.append(bytearray(1000))  # type: ignore[arg-type]
        return bytearray(1)

    with pytest.raises(KeyError):
        assert_no_leak(breaks_under_tracing)
    assert not tracemalloc.is_tracing()


def test_wrong_input_has_a_helpful_error() -> None:
    with pytest.raises(ValueError, match="at least 60 calls"):
        assert_no_leak(dict, times=10)
    with pytest.raises(ValueError, match="'fail' or 'pass'"):
        assert_no_leak(dict, unclear="maybe")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="returns an awaitable"):
        assert_no_leak(lambda: asyncio.Event().wait())


def test_assert_no_leak_refuses_under_tracemalloc() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="tracemalloc"):
            assert_no_leak(dict)
    finally:
        tracemalloc.stop()


def test_the_unused_plugin_imports_nothing() -> None:
    """Neither pytest's start nor `import leakgate` imports the modules of the verdict."""
    code = (
        "import sys, leakgate, voxpool.leakgate.pytest_plugin, voxpool.leakgate.inside.asgi; "
        "print([name for name in ('numpy', 'scipy', 'httpx', 'voxpool.leakgate.no_leak') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert inspect.iscoroutinefunction(leakgate.assert_no_leak_async)
