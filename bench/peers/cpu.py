"""Samples the CPU time of the measured processes and of the whole machine, while a client runs."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY_S = 0.25
LOOK_EVERY = 4
"""Samples after which the processes are looked up again: a worker may start others when its first job comes."""
STORES = ("valkey-server", "redis-server")


@dataclass(frozen=True)
class Sample:
    """What had been used at a time."""

    at_ns: int
    cpu_ns: dict[str, int]
    """Role -> CPU time of its processes."""
    busy_s: float
    """CPU time of all processes of the machine, without the driver's own."""


def processes_of(roles: dict[str, int]) -> dict[str, list[int]]:
    """Return the processes of each role, given by its first process. An embedded store is a role of its own."""
    found: dict[str, list[int]] = {}
    for role, first in roles.items():
        tree = [psutil.Process(first), *psutil.Process(first).children(recursive=True)]
        for one in tree:
            is_store = one.name() in STORES and one.pid != first
            found.setdefault("store" if is_store else role, []).append(one.pid)
    return found


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process and its threads; 0 when it has ended."""
    total = 0
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total


class Sampler:
    """A thread that takes a sample every quarter of a second."""

    def __init__(self, roles: dict[str, int]) -> None:
        self._roles = roles
        self.samples: list[Sample] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        pids: dict[str, list[int]] = {}
        while not self._ended.wait(EVERY_S):
            if len(self.samples) % LOOK_EVERY == 0:
                with contextlib.suppress(psutil.NoSuchProcess):
                    pids = processes_of(self._roles)
            used = {role: sum(map(cpu_ns, of_role)) for role, of_role in pids.items()}
            times = psutil.cpu_times()
            busy_s = sum(times[:8]) - times.idle - times.iowait - time.process_time()
            self.samples.append(Sample(time.monotonic_ns(), used, busy_s))


def others(before: Sample, after: Sample) -> float:
    """Return the share of the machine that neither the measured processes nor the driver used between two samples."""
    wall_s = (after.at_ns - before.at_ns) / 1e9
    ours_s = sum(after.cpu_ns.values()) / 1e9 - sum(before.cpu_ns.values()) / 1e9
    return max(0.0, (after.busy_s - before.busy_s - ours_s) / (wall_s * (os.cpu_count() or 1)))
