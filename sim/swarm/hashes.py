"""Runs seeds again in other processes, each with a different hash seed, and compares the trace hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

HASH_SEEDS = ("1", "77", "4242", "99999")
SEEDS_A_PROCESS = 25


def hashes_elsewhere(seeds: Sequence[int], size: str, jobs: int, python: str = sys.executable) -> dict[int, str]:
    """Return seed -> trace hash computed by other processes, `jobs` of them at the same time.

    A seed without a hash has '' (the process's output goes to stderr).
    """
    found: dict[int, str] = {}
    chunks = [seeds[at : at + SEEDS_A_PROCESS] for at in range(0, len(seeds), SEEDS_A_PROCESS)]
    for at in range(0, len(chunks), jobs):
        started = [
            _start(chunk, size, python, HASH_SEEDS[(at + i) % len(HASH_SEEDS)])
            for i, chunk in enumerate(chunks[at : at + jobs])
        ]
        for process in started:
            lines, _ = process.communicate()
            found.update((int(seed), trace_hash) for seed, trace_hash in map(_pair, lines.splitlines()))
    return {seed: found.get(seed, "") for seed in seeds}


def differing(here: Mapping[int, str], elsewhere: Mapping[int, str]) -> list[int]:
    """Return the seeds whose two hashes differ."""
    return [seed for seed, trace_hash in here.items() if elsewhere.get(seed) != trace_hash]


def _start(seeds: Sequence[int], size: str, python: str, hash_seed: str) -> subprocess.Popen[str]:
    command = [python, "-m", "voxpool.sim.swarm.one_seed", size, *map(str, seeds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})


def _pair(line: str) -> tuple[str, str]:
    seed, _, trace_hash = line.partition(" ")
    return seed, trace_hash
