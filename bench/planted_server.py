"""A scheduler with a planted leak, or with growth that only looks like a leak.

`python -m bench.planted_server PLANT serve …` is a `voxpool serve` with that growth. bench/_gate.py runs the memory
gate on each of them.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from voxpool.scheduler.cli import main
from voxpool.scheduler.core.jobs.job import CANCELLED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.stores.redis import RedisStore
from voxpool.scheduler.web.sessions.results import Results

KB = 1000
_libc = ctypes.CDLL(None)
_libc.malloc.restype = _libc.mmap.restype = ctypes.c_void_p
_hidden: list[Any] = []
"""Planted memory that is in no table of the scheduler."""
_numbers = itertools.count()


def each_job(keep: Callable[[Results, Job], None]) -> None:
    """Call `keep` with each job that ended."""
    ended = Results.job_ended

    def job_ended(results: Results, job: Job) -> None:
        ended(results, job)
        keep(results, job)

    patch.object(Results, "job_ended", job_ended).start()


def _table(results: Results, name: str) -> dict[Any, Any]:
    table: dict[Any, Any] = results.__dict__.setdefault(name, {})
    return table


def _fresh(size: int) -> bytes:
    return random.randbytes(8) * (size // 8)


# ---- leaks


def dict_50(results: Results, job: Job) -> None:
    """An entry of about 50 bytes a job, in a table."""
    _table(results, "_leaked")[next(_numbers)] = None


def dict_200(results: Results, job: Job) -> None:
    """An entry of about 200 bytes a job."""
    _table(results, "_leaked")[job.job_id] = bytes(60)


def hidden_1000(results: Results, job: Job) -> None:
    """1,000 bytes a job, in no table."""
    _hidden.append(_fresh(KB))


def ctypes_2000(results: Results, job: Job) -> None:
    """2,000 bytes of malloc a job, which Python does not know about."""
    ctypes.memset(_libc.malloc(ctypes.c_size_t(2 * KB)), 1, 2 * KB)


def log_buffer_1000(results: Results, job: Job) -> None:
    """Log lines of 1,000 characters are kept in a buffer."""
    _hidden.append(f"{time.time():.6f} job {job.job_id} ended ".ljust(KB, "."))


def task_never_done(results: Results, job: Job) -> None:
    """A task that waits for ever, for one job in twenty."""
    if next(_numbers) % 20 == 0:
        _hidden.append(asyncio.get_running_loop().create_task(_for_ever()))


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def mmap_6500(results: Results, job: Job) -> None:
    """Two pages mapped by native code a job."""
    address = _libc.mmap(None, ctypes.c_size_t(6500), 3, 0x22, -1, ctypes.c_size_t(0))
    ctypes.memset(address, 1, 6500)


def one_percent(results: Results, job: Job) -> None:
    """10 kB for one job in a hundred."""
    if next(_numbers) % 100 == 0:
        _table(results, "_leaked")[job.job_id] = _fresh(10 * KB)


def per_cancel(results: Results, job: Job) -> None:
    """1,000 bytes for each job that was cancelled."""
    if job.state == CANCELLED:
        _table(results, "_leaked")[job.job_id] = _fresh(KB)


def plant_per_connection() -> None:
    """One object is kept for each node that leaves."""
    left = NodeEvents.left

    def leaky(desk: NodeEvents, node: Node) -> None:
        left(desk, node)
        _hidden.append(node)

    patch.object(NodeEvents, "left", leaky).start()


def plant_error_kept() -> None:
    """Each error of a peer is kept with its traceback."""
    make = BadInput.__init__

    def leaky(error: BadInput, *arguments: Any, **more: Any) -> None:
        make(error, *arguments, **more)
        _hidden.append(error)

    patch.object(BadInput, "__init__", leaky).start()


def plant_redis_keys() -> None:
    """A key in the store for each flush of scripts."""
    run = RedisStore.run

    async def leaky(store: RedisStore, calls: Sequence[ScriptCall]) -> list[list[str]]:
        await store.client.set(f"vp:{{0}}:kept:{next(_numbers)}", calls[0].name)
        return await run(store, calls)

    patch.object(RedisStore, "run", leaky).start()


# ---- no leaks, although they grow


def cache_2000(results: Results, job: Job) -> None:
    """A table of 2,000 results, the oldest evicted."""
    cache = _table(results, "_cache")
    cache[job.job_id] = bytes(200)
    if len(cache) > 2000:
        del cache[next(iter(cache))]


def hidden_cache_2000(results: Results, job: Job) -> None:
    """A cache of 2,000 kB that is in no table."""
    _hidden.append(_fresh(KB))
    if len(_hidden) > 2000:
        del _hidden[0]


def declared_cache_9000(results: Results, job: Job) -> None:
    """A table that fills for five minutes, up to a bound that is declared."""
    cache = _table(results, "_cache")
    cache[next(_numbers)] = None
    if len(cache) > 9000:
        del cache[next(iter(cache))]


def flush_40_s(results: Results, job: Job) -> None:
    """A buffer of 1 kB a job that is flushed every 40 s."""
    buffer = results.__dict__.setdefault("_buffer", [time.monotonic()])
    buffer.append(_fresh(KB))
    if time.monotonic() - buffer[0] > 40:
        buffer[:] = [time.monotonic()]


def warm_up_60_s(results: Results, job: Job) -> None:
    """3 MB in the first 1,800 jobs, which take a minute."""
    if next(_numbers) < 1800:
        _hidden.append(_fresh(1700))


def survivors(results: Results, job: Job) -> None:
    """A record of 1 kB for each of 1,000 users, who return at random."""
    _table(results, "_users").setdefault(random.randrange(1000), _fresh(KB))


def spike(results: Results, job: Job) -> None:
    """5 MB for ten seconds, after three minutes."""
    number = next(_numbers)
    if number == 5400:
        _hidden.append(_fresh(5000 * KB))
    elif number == 5700:
        _hidden.clear()


def random_walk(results: Results, job: Job) -> None:
    """1 kB is added or removed with each job, at random."""
    if not _hidden:
        _hidden.extend(_fresh(KB) for _ in range(1000))
    if random.random() < 0.5:
        _hidden.append(_fresh(KB))
    elif len(_hidden) > 1:
        _hidden.pop()


JOBS: dict[str, Callable[[Results, Job], None]] = {
    one.__name__: one
    for one in (
        dict_50, dict_200, hidden_1000, ctypes_2000, log_buffer_1000, task_never_done, mmap_6500, one_percent,
        per_cancel, cache_2000, hidden_cache_2000, declared_cache_9000, flush_40_s, warm_up_60_s, survivors, spike,
        random_walk,
    )
}  # fmt: skip
OTHERS: dict[str, Callable[[], None]] = {
    "per_connection": plant_per_connection, "error_kept": plant_error_kept, "redis_keys": plant_redis_keys,
    "nothing": lambda: None,
}  # fmt: skip


if __name__ == "__main__":
    name = sys.argv.pop(1)
    if name in JOBS:
        each_job(JOBS[name])
    else:
        OTHERS[name]()
    main()
