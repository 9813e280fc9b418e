"""Measures what a scheduler keeps of broken connections: tables, tasks, objects and bytes, and keys of its store.

`python -m tests.e2e.closes CLOSES` prints the figures of docs/reports/service.md.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import redis

from tests.e2e.processes import Scheduler
from tests.e2e.torn import POINTS
from tests.servers import redis_server

FLAGS = (
    *("--session-grace-s", "0.3", "--retention-s", "0.5", "--cleanup-interval-s", "0.25", "--log-sample", "0"),
    *("--waiting-timeout-s", "600"),
)
"""Everything that may stay for a while is removed after two seconds; an idle HTTP connection after five."""
WARM_UP = 100 * len(POINTS)
"""Connections before the first look; after them every bounded table, cache and series has its final size."""
TEARERS = 2
"""Processes that break connections at the same time."""
LOOK_S = 0.5
STEADY_LOOKS = 12
PATIENCE_S = 60.0
BYTES_MAX = 192 * 1024
"""Allowed increase of the allocated bytes: buffers and free lists vary in size."""
HISTORY_BYTES_A_SECOND = 2000
"""Allowed increase by the dashboard's history: it has an entry for each of the last 300 s."""
OPEN_BYTES_MAX = 4 * 1024**2
"""Allocated bytes of the connections that are open at one time, however many were broken before."""
OURS = ("voxpool.scheduler.", "uvicorn.", "websockets.", "httptools.", "starlette.")
"""Modules whose objects belong to connections and jobs; others are covered by the allocated bytes."""
HISTORY = ("dashboard._history.", "core.intake.")
"""Tables that a new scheduler fills up to a bound:

the dashboard's history, and the pairs whose last node or job left within a minute (intake.py).
"""
BY_TIME = (
    "voxpool.scheduler.telemetry.",
    "voxpool.scheduler.core.admission.intake.",
    "voxpool.scheduler.core.admission.wait_times.",
)
"""Allocations outside these tables, such as the entries of the history and of the remembered pairs."""
SPARE_FILES = 2
"""Connections that the store's client opens when two requests overlap, and keeps."""
KINDS = ("table ", "task ", "object ", "key ", "open files")


@dataclass(frozen=True)
class Kept:
    """The contents of a scheduler and its store at one time."""

    counts: dict[str, int]
    """Name -> number of everything that must be the same as before."""
    allocated_bytes: int
    rss_bytes: int
    at_s: float

    @property
    def tables(self) -> dict[str, int]:
        """The counts that are tables of the scheduler."""
        return {name: count for name, count in self.counts.items() if name.startswith("table ")}

    def more_than(self, before: Kept) -> dict[str, int]:
        """Return what has increased, and by how much."""
        more = {name: count - before.counts.get(name, 0) for name, count in self.counts.items()}
        more = {name: count for name, count in more.items() if count > (SPARE_FILES if name == "open files" else 0)}
        if self.allocated_bytes > before.allocated_bytes + BYTES_MAX + HISTORY_BYTES_A_SECOND * (
            self.at_s - before.at_s
        ):
            more["allocated bytes"] = self.allocated_bytes - before.allocated_bytes
        return more


@dataclass(frozen=True)
class Closes:
    """The result of a run."""

    torn: Counter[str]
    seconds: float
    before: Kept
    after: Kept
    most_bytes: int
    """The maximum of the allocated bytes while connections were broken."""

    @property
    def more(self) -> dict[str, int]:
        """What had increased when the values no longer fell."""
        return self.after.more_than(self.before)

    @property
    def bytes_under_load(self) -> int:
        """Increase of the allocated bytes while connections were broken."""
        return self.most_bytes - self.before.allocated_bytes

    def __str__(self) -> str:
        allocated, rss = (
            self.after.allocated_bytes - self.before.allocated_bytes,
            self.after.rss_bytes - self.before.rss_bytes,
        )
        kinds = {kind: sum(1 for name in self.before.counts if name.startswith(kind)) for kind in KINDS}
        lines = (
            f"{self.torn.total()} connections torn in {self.seconds:.1f} s at {len(POINTS)} points, half by RST",
            f"of {kinds} there is more than before: {self.more or 'nothing'}",
            f"allocated bytes {self.before.allocated_bytes:,}, at most {self.bytes_under_load:+,} meanwhile, "
            f"{allocated:+,} in the end",
            f"RSS {self.before.rss_bytes:,}, {rss:+,} in the end",
        )
        return "\n".join(lines)


def closes(scheduler: Scheduler, store_url: str, count: int, warm_up: int = WARM_UP) -> Closes:
    """Break `count` connections at `scheduler`, and wait until nothing of them is left or the rest is constant."""
    _tear(scheduler, 0, warm_up)
    before = of_each(max, settled(scheduler, store_url))
    start_s = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        tearing = pool.submit(_tear, scheduler, warm_up, warm_up + count)
        most_bytes = 0
        while not tearing.done():
            most_bytes = max(most_bytes, _report(scheduler, types=0)["memory"]["allocated_bytes"])
            time.sleep(LOOK_S)
    torn, seconds = tearing.result(), time.monotonic() - start_s
    after = of_each(min, settled(scheduler, store_url, before))
    return Closes(torn, seconds, before, after, most_bytes)


def look(scheduler: Scheduler, store_url: str) -> Kept:
    """Collect, then count the contents of `scheduler` and of its store."""
    report = _report(scheduler, types=1000)
    counts = {f"table {path}": size for path, size in report["tables"].items() if not path.startswith(HISTORY)}
    counts |= {f"task {name}": number for name, number in report["tasks"]["functions"].items()}
    objects = report["objects"]["types"].items()
    counts |= {
        f"object {name}": number for name, number in objects if name.startswith(OURS) and not name.startswith(BY_TIME)
    }
    counts |= {f"key {key}": size for key, size in _keys(store_url).items()}
    counts["open files"] = report["open_files"]
    return Kept(counts, report["memory"]["allocated_bytes"], report["memory"]["rss_bytes"], time.monotonic())


def _report(scheduler: Scheduler, types: int) -> Any:
    url = f"{scheduler.url}/v1/debug/memory?gc=1&types={types}"
    return httpx.get(url, trust_env=False, timeout=PATIENCE_S).json()


def settled(scheduler: Scheduler, store_url: str, before: Kept | None = None) -> list[Kept]:
    """Return a look without an increase over `before`, or the last looks when the tables no longer change."""
    end_s = time.monotonic() + PATIENCE_S
    looks: list[Kept] = []
    while True:
        looks.append(look(scheduler, store_url))
        if before is not None and not looks[-1].more_than(before):
            return looks[-1:]
        last = looks[-STEADY_LOOKS:]
        if len(last) == STEADY_LOOKS and all(one.tables == last[0].tables for one in last):
            return last
        assert time.monotonic() < end_s, f"after {PATIENCE_S} s the tables still change: {last}"
        time.sleep(LOOK_S)


def of_each(choose: Callable[[Iterable[int]], int], looks: Sequence[Kept]) -> Kept:
    """Combine `looks`: the minimum or the maximum of each name."""
    names = dict.fromkeys(name for one in looks for name in one.counts)
    return Kept(
        {name: choose(one.counts.get(name, 0) for one in looks) for name in names},
        choose(one.allocated_bytes for one in looks),
        choose(one.rss_bytes for one in looks),
        looks[-1].at_s,
    )


def _tear(scheduler: Scheduler, first: int, last: int) -> Counter[str]:
    bounds = [first + (last - first) * part // TEARERS for part in range(TEARERS + 1)]
    tearers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.torn", str(scheduler.port), str(begin), str(end)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for begin, end in itertools.pairwise(bounds)
    ]
    torn: Counter[str] = Counter()
    for (printed, errors), tearer in [(tearer.communicate(), tearer) for tearer in tearers]:
        assert tearer.returncode == 0, errors.decode()
        torn.update(msgspec.json.decode(printed, type=dict[str, int]))
    return torn


def _keys(store_url: str) -> dict[str, int]:
    """Return how many members each key of the store has."""
    sizes = {"zset": "zcard", "hash": "hlen", "set": "scard", "list": "llen", "string": "strlen"}
    with redis.Redis.from_url(store_url, decode_responses=True) as store:
        kinds = {str(key): str(store.type(key)) for key in store.scan_iter()}
        # A key may end between two of these calls.
        return {key: int(getattr(store, sizes[kind])(key)) for key, kind in kinds.items() if kind != "none"}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place, redis_server() as server:
        measured = Scheduler(Path(place), server.url, *FLAGS)
        try:
            print(closes(measured, server.url, int(sys.argv[1])))
        finally:
            measured.stop()
