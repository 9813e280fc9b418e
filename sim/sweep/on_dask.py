"""Runs tasks on the workers of a Dask cluster. A worker that dies costs nothing but time: its tasks are run again.

The workers must have the same source as this process, because another source has other traces: each task carries a
digest of the source, which the worker compares with that of its own.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from voxpool._extras import needs
from voxpool.scheduler.errors import CannotStart, ConfigError
from voxpool.sim.swarm.one_seed import SeedResult
from voxpool.sim.swarm.swarm import AHEAD, Done
from voxpool.sim.swarm.task import Task
from voxpool.sim.sweep.child import play_in_child

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 10.0
"""Time in which the scheduler must answer and have a worker."""
PARTS = ("scheduler", "sim", "leakgate", "lua")
"""The folders that decide what a run does."""


def play_on(address: str, tasks: Sequence[Task]) -> Iterator[Done]:
    """Yield each task with its result on arrival, from the workers of the Dask scheduler at `address`.

    Raises MissingPackage without the extra `cluster`, CannotStart when the scheduler can't be reached or is lost,
    ConfigError for a worker with another source.
    """
    with needs("cluster"):
        from distributed import as_completed
    with _client(address) as client:
        todo = deque(tasks)
        running: dict[Future, Task] = {}

        def submit(task: Task) -> Future:
            future = client.submit(play_on_worker, task, source_digest(), pure=False)
            running[future] = task
            return future

        def to_submit() -> Iterator[Future]:
            threads = sum(client.nthreads().values())
            while todo and len(running) < AHEAD * max(1, threads):
                yield submit(todo.popleft())

        arrivals = as_completed(list(to_submit()), loop=client.loop)
        for future in arrivals:
            task = running.pop(future)
            yield task, _result(future, task, address)
            for another in to_submit():
                arrivals.add(another)


def play_on_worker(task: Task, digest: str) -> SeedResult:
    """Run `task`, in the thread of a worker. Raises ConfigError when the worker's source has another digest."""
    if source_digest() != digest:
        raise ConfigError("a Dask worker has another source of voxpool: install the same version on all machines")
    return play_in_child(task)


@cache
def source_digest() -> str:
    """Return a digest of the Python and Lua files that decide what a run does."""
    root = Path(__file__).resolve().parents[1].parent
    digest = hashlib.blake2b(digest_size=16)
    for part in PARTS:
        for path in sorted((root / part).rglob("*")):
            if path.suffix in (".py", ".lua"):
                digest.update(f"{path.relative_to(root)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _client(address: str) -> Client:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise CannotStart(f"no Dask scheduler answers at {address}: {str(error).splitlines()[0]}") from None
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError:
        client.close()
        raise CannotStart(f"the Dask scheduler at {address} has no worker: start one with `dask worker`") from None
    return client


def _result(future: Future, task: Task, address: str) -> SeedResult:
    from distributed import KilledWorker

    try:
        result: SeedResult = future.result()
    except KilledWorker as error:
        return task.died(str(error).splitlines()[0])
    except ConfigError:
        raise
    except ModuleNotFoundError as error:
        raise ConfigError(f"a Dask worker can't import {error.name}: install voxpool[sim] there") from None
    except Exception as error:
        what = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise CannotStart(
            f"the Dask cluster at {address} was lost ({what}): run the same command again; with --table it goes on "
            "where it stopped"
        ) from None
    return result
