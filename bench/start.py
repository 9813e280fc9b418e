"""How long `voxpool serve` takes from its start to the first answer, with its embedded store.

It is compared with a Python process that only imports the modules of serve, which is the lower bound.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import httpx

from bench._rows import Row
from bench.round_trips import QUIET, free_port, process, until_listening

ROUNDS = 5
GOAL = "<= 1"


def run() -> list[Row]:
    """Start both in turn and return their times."""
    starts, imports = [], []
    for _ in range(ROUNDS):
        starts.append(_start_s())
        imports.append(_import_s())
    start_s = statistics.median(starts)
    ratio = statistics.median(start / bare for start, bare in zip(starts, imports, strict=True))
    beside = f"{ratio:.1f} x its imports alone; {min(starts):.2f} to {max(starts):.2f} in {ROUNDS} rounds"
    return [Row("start", "from the start of voxpool serve to its first answer", start_s, "s", GOAL, beside)]


def _start_s() -> float:
    port = free_port()
    began_s = time.monotonic()
    with process("voxpool.scheduler", "serve", "--port", str(port), *QUIET):
        until_listening(port)
        httpx.get(f"http://127.0.0.1:{port}/healthz").raise_for_status()
        return time.monotonic() - began_s


def _import_s() -> float:
    began_s = time.monotonic()
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import uvloop; from voxpool.scheduler import cli; from voxpool.scheduler.service import serve",
        ],
        check=True,
    )
    return time.monotonic() - began_s
