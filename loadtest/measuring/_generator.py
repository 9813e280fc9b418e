"""Checks whether the load generator was the limit: CPU and memory of its processes, lag of arrivals.

A process of the generator runs on one core: when it is full, requests start and answers are read too late, and
measured latencies are the generator's. `ProcessWatch` reads one process, `judge` combines all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec
import psutil

from voxpool.loadtest.report._records import Arrivals, Generator, GeneratorProcess

SAMPLE_S = 1.0
"""Time between two readings."""
BUSY = 0.9
"""A reading above this share of a core counts as full: the kernel uses the rest for the same work."""
BUSY_SHARE_MAX = 0.1
"""Largest accepted share of full readings."""
SAMPLES_MIN = 5
"""Minimum number of readings, because the start of a run is always busy."""
LATE_SHARE_MAX = 0.01
"""Largest accepted share of late arrivals; above it a p99 is the generator's."""
AVAILABLE_SHARE_MIN = 0.05
"""Minimum available memory; below it the machine may swap or kill processes."""
MACHINE_FULL = 0.95
"""Share of all cores from which on processes of the machine wait for each other."""


class Readings(msgspec.Struct):
    """Readings of one process since the start of the run. CPU of a process is a share of one core, CPU of the machine
    a share of all.
    """

    pid: int
    samples: int = 0
    busy: int = 0
    cpu_sum: float = 0.0
    cpu_max: float = 0.0
    rss_bytes_max: int = 0
    machine_cpu_sum: float = 0.0
    available_bytes_min: int | None = None
    memory_bytes: int = 0


class ProcessWatch:
    """Reads this process. `start` before the first `sample`: CPU is counted since the call before."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.readings = Readings(os.getpid())

    def start(self) -> None:
        """Reset the readings, and count from now on."""
        self.readings = Readings(os.getpid())
        self._process.cpu_percent(None)
        psutil.cpu_percent(None)

    def sample(self) -> None:
        """Take a reading."""
        cpu = self._process.cpu_percent(None) / 100
        memory = psutil.virtual_memory()
        readings = self.readings
        readings.samples += 1
        readings.busy += cpu >= BUSY
        readings.cpu_sum += cpu
        readings.cpu_max = max(readings.cpu_max, cpu)
        readings.rss_bytes_max = max(readings.rss_bytes_max, self._process.memory_info().rss)
        readings.machine_cpu_sum += psutil.cpu_percent(None) / 100
        least = readings.available_bytes_min
        readings.available_bytes_min = memory.available if least is None else min(least, memory.available)
        readings.memory_bytes = memory.total


def judge(processes: Mapping[str, Readings], arrivals: Arrivals | None) -> Generator:
    """Return whether the generator, made of `processes` by name, was the limit."""
    reasons = [reason for name, readings in processes.items() for reason in _limits(name, readings)]
    if arrivals is not None and arrivals.late > LATE_SHARE_MAX * arrivals.sent:
        reasons.append(
            f"{arrivals.late:,} of {arrivals.sent:,} arrivals were sent more than {arrivals.late_ms:g} ms after their "
            "time"
        )
    machine = [readings.machine_cpu_sum / readings.samples for readings in processes.values() if readings.samples]
    available = [
        readings.available_bytes_min for readings in processes.values() if readings.available_bytes_min is not None
    ]
    notes = []
    if machine and max(machine) >= MACHINE_FULL:
        notes.append(
            f"all cores of the generator's machine were busy ({max(machine):.0%} on average): other processes "
            "on it, such as the scheduler, had to wait"
        )
    return Generator(
        was_limit=bool(reasons),
        reasons=reasons,
        notes=notes,
        processes=[_figures(name, readings) for name, readings in processes.items()],
        machine_cpu_mean=round(max(machine), 3) if machine else None,
        memory_available_bytes_min=min(available, default=None),
    )


def _limits(name: str, readings: Readings) -> list[str]:
    found = []
    if readings.samples >= SAMPLES_MIN and readings.busy > BUSY_SHARE_MAX * readings.samples:
        found.append(
            f"process {name} had its core full in {readings.busy} of {readings.samples} readings "
            f"(mean {readings.cpu_sum / readings.samples:.0%}): use more processes, --processes 2 or workers"
        )
    least = readings.available_bytes_min
    if least is not None and least < AVAILABLE_SHARE_MIN * readings.memory_bytes:
        found.append(f"the machine of process {name} had {least / 1e6:,.0f} MB of memory left")
    return found


def _figures(name: str, readings: Readings) -> GeneratorProcess:
    return GeneratorProcess(
        name=name,
        pid=readings.pid,
        cpu_mean=round(readings.cpu_sum / readings.samples, 3) if readings.samples else None,
        cpu_max=round(readings.cpu_max, 3) if readings.samples else None,
        rss_bytes_max=readings.rss_bytes_max,
        samples=readings.samples,
    )
