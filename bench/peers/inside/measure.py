"""What the client of each subject does: jobs one after the other, then many in flight, and the time of each.

This module and those beside it run in the environment of the measured queue, so they use the standard library and that
queue only. A client writes one JSON line a phase to standard output; the times are those of CLOCK_MONOTONIC in ns, so
that the driver can lay them beside the CPU times that it samples.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque

URL = os.environ.get("REDIS_URL", "")
VARIANT = os.environ.get("VARIANT", "default")
SIZE = int(os.environ.get("SIZE", "10000"))
IN_FLIGHT = [int(count) for count in os.environ.get("IN_FLIGHT", "1,64").split(",")]
SECONDS = float(os.environ.get("SECONDS", "3"))
AUDIO = (b"RIFF\x08\x27\x00\x00WAVE" + os.urandom(SIZE))[:SIZE]
WARM_UP = 100


def answer(audio: bytes) -> dict[str, object]:
    """Do the work of a job: nothing but to say what came."""
    return {"n": len(audio), "ok": True}


def check(output: dict[str, object]) -> None:
    """Raise AssertionError when the output is not that of the audio sent."""
    assert output == {"n": SIZE, "ok": True}, output


def write(in_flight: int, jobs: list[tuple[int, int]]) -> None:
    """Report a phase: the end and the duration of each of its jobs."""
    print(json.dumps({"in_flight": in_flight, "jobs": jobs}), flush=True)


async def measure(call) -> None:
    """Measure `call`, which submits a job and returns its output."""
    check(await asyncio.wait_for(call(), 60))
    for _ in range(WARM_UP):
        check(await call())
    for in_flight in IN_FLIGHT:
        jobs, end_ns = [], time.monotonic_ns() + int(SECONDS * 1e9)
        await asyncio.gather(*(one_after_the_other(call, end_ns, jobs) for _ in range(in_flight)))
        write(in_flight, jobs)


async def one_after_the_other(call, end_ns, jobs) -> None:
    """Call until `end_ns`; add the end and the duration of each call to `jobs`."""
    while (start_ns := time.monotonic_ns()) < end_ns:
        check(await call())
        jobs.append((time.monotonic_ns(), time.monotonic_ns() - start_ns))


def measure_blocking(submit, wait) -> None:
    """Measure a client that blocks: a window of jobs in flight, of which it waits for the oldest first."""
    for _ in range(1 + WARM_UP):
        check(wait(submit()))
    for in_flight in IN_FLIGHT:
        jobs, window, end_ns = [], deque(), time.monotonic_ns() + int(SECONDS * 1e9)
        while True:
            while len(window) < in_flight and time.monotonic_ns() < end_ns:
                window.append((time.monotonic_ns(), submit()))
            if not window:
                break
            start_ns, handle = window.popleft()
            check(wait(handle))
            jobs.append((time.monotonic_ns(), time.monotonic_ns() - start_ns))
        write(in_flight, jobs)


def run(client) -> None:
    """Run an asynchronous client, on uvloop: the fastest loop that each of them can have."""
    import uvloop

    uvloop.run(client)


def become(module: str, *arguments: str) -> None:
    """Replace this process by the worker program that the queue brings."""
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
