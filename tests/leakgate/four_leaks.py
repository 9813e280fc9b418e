"""Four leaks and their fixes: in a table, in a hidden list, in native memory, in a task that never ends.

Each is one unit of work. They are used by the server of foreign.py, the tests of the fixture, and the comparison with
other tools (bench/leak_finders.py).
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
from collections.abc import Awaitable, Callable

Work = Callable[[], None]
NATIVE_BYTES = 2000
HIDDEN_BYTES = 1500


class Shop:
    """The state of an application: a table from which each order should be removed again."""

    def __init__(self) -> None:
        self.orders: dict[int, str] = {}
        self.numbers = itertools.count()


def table(shop: Shop, mended: bool) -> Work:
    """An entry of a dict, with a text of 300 characters."""

    def work() -> None:
        number = next(shop.numbers)
        shop.orders[number] = "order " * 50 + str(number)
        if mended:
            del shop.orders[number]

    return work


def hidden(_shop: Shop, mended: bool) -> Work:
    """A bytearray in a list that only a closure refers to."""
    kept: list[bytearray] = []

    def work() -> None:
        kept.append(bytearray(HIDDEN_BYTES))
        if mended:
            kept.clear()

    return work


def native(_shop: Shop, mended: bool) -> Work:
    """A block of malloc, as a C extension allocates it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]

    def work() -> None:
        block = libc.malloc(NATIVE_BYTES)
        ctypes.memset(block, 1, NATIVE_BYTES)
        if mended:
            libc.free(block)

    return work


def task(_shop: Shop, mended: bool) -> Work:
    """A task that waits for ever; an event loop must run. In the fix it is cancelled at once."""
    tasks: set[asyncio.Task[object]] = set()

    def work() -> None:
        one: asyncio.Task[object] = asyncio.get_running_loop().create_task(wait_for_ever())
        tasks.add(one)
        one.add_done_callback(tasks.discard)
        if mended:
            one.cancel()

    return work


async def wait_for_ever() -> None:
    """Wait for an event that never comes."""
    await asyncio.Event().wait()


def in_a_loop(work: Work) -> Callable[[], Awaitable[None]]:
    """Return `work` as a coroutine function that lets the loop run once."""

    async def call() -> None:
        work()
        await asyncio.sleep(0)

    return call


LEAKS: dict[str, Callable[[Shop, bool], Work]] = {"table": table, "hidden": hidden, "native": native, "task": task}
