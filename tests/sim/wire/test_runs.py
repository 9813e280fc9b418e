"""The whole stack in virtual time: seeds under faults break nothing, and a seed is one run everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voxpool.sim.wire.faults import KINDS, Strike, draw_strikes
from voxpool.sim.wire.run import FAULTS, play_wire

ROOT = Path(__file__).parents[3]
OTHER_PYTHON = ROOT / ".venv-other" / "bin" / "python"
SEEDS = range(1, 13)
FRESH = range(1000, 2000)
"""Seeds on which nothing was tuned."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_under_faults_breaks_nothing(seed: int) -> None:
    """Each request completes once, with its own output, in order where that was asked for, and nothing is left."""
    run = play_wire(seed)
    assert run.broken == []
    assert run.requests == 60
    assert run.events > 6 * 60


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_is_survived(kind: str) -> None:
    """The fault strikes twice, and leaves a trace of its own."""
    quiet = play_wire(3, [])
    struck = play_wire(3, [Strike(0.7, kind, 0, 3.0), Strike(2.0, kind, 1, 8.0)])
    assert quiet.broken == struck.broken == []
    assert struck.trace_hash != quiet.trace_hash


def test_the_draws_reach_every_kind() -> None:
    """Within the seeds of the next test."""
    drawn = {strike.kind for seed in SEEDS for strike in draw_strikes(seed, FAULTS)}
    assert drawn == set(KINDS)


def test_a_seed_has_one_trace_hash_in_other_processes_with_other_hash_seeds() -> None:
    """Also after other seeds in the same process."""
    here = [play_wire(seed).trace_hash for seed in (2, 5, 7)]
    assert hashes(sys.executable, "0") == hashes(sys.executable, "11") == here


def hashes(python: str | Path, hash_seed: str, first: int = 2, last: int = 7) -> list[str]:
    """Return the trace hashes of seeds 2, 5 and 7, or of a range, as another process finds them."""
    seeds = "(2, 5, 7)" if (first, last) == (2, 7) else f"range({first}, {last + 1})"
    code = f"from voxpool.sim.wire.run import play_wire\nfor s in {seeds}: print(play_wire(s).trace_hash)"
    done = subprocess.run(
        [python, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_second_signal_keeps_the_order() -> None:
    """A job is handed back while a later one of the session waits for its turn: the next scheduler brings both."""
    strikes = [Strike(1.324, "scheduler_terminate", 0, 36.0), Strike(2.758, "scheduler_terminate", 0, 1.4)]
    assert play_wire(86, strikes, jobs=5).broken == []


@pytest.mark.large
def test_sixty_seeds_have_one_trace_hash_each_under_both_pythons() -> None:
    """Three hash seeds, Python 3.11 and 3.13."""
    here = hashes(sys.executable, "0", 1, 60)
    assert len(set(here)) == 60
    assert hashes(sys.executable, "11", 1, 60) == here
    assert hashes(OTHER_PYTHON, "12", 1, 60) == here


@pytest.mark.large
def test_a_thousand_fresh_seeds_break_nothing() -> None:
    """The time of it is in docs/reports/wire.md."""
    broken = {seed: run.broken[:2] for seed in FRESH if (run := play_wire(seed)).broken}
    assert broken == {}
