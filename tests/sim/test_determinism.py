"""One seed gives one run: in another process, with another hash seed and on the other Python; another seed differs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from voxpool.sim.cli.play import SCENARIOS
from voxpool.sim.scenario.scenario import Scenario, load_scenario
from voxpool.sim.world.run import play

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120.0
CHILD = """
import sys
from tests.sim.test_determinism import churn
from voxpool.sim.world.run import play
print(play(churn(), seed=int(sys.argv[1])).run["trace_hash"])
"""


def churn() -> Scenario:
    """Two minutes with every fault, delays and sessions, so that everything that may depend on chance is included."""
    whole = load_scenario(SCENARIOS / "churn.toml")
    often = [msgspec.structs.replace(fault, per_target_per_h=60.0) for fault in whole.faults]
    return msgspec.structs.replace(whole, duration_s=SECONDS, faults=often)


def hash_in_another_process(python: str, seed: int, hash_seed: str) -> str:
    """Play the scenario in a process of its own."""
    done = subprocess.run(
        [python, "-c", CHILD, str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def other_python() -> str | None:
    """The other Python of 3.11 and 3.13, in its own environment, if the set-up has made one."""
    for folder in (".venv", ".venv-other"):
        python = ROOT / folder / "bin" / "python"
        if python.exists() and _version(str(python)) != sys.version_info[:2]:
            return str(python)
    return None


def _version(python: str) -> tuple[int, ...]:
    code = "import json, sys; print(json.dumps(sys.version_info[:2]))"
    return tuple(json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout))


def test_the_same_seed_gives_the_same_run_everywhere() -> None:
    played = play(churn(), seed=11)
    here = played.run["trace_hash"]
    assert played.broken == []
    assert played.run["jobs"]["redispatched"] > 0
    assert played.run["faults"]["begun"] > 10
    assert play(churn(), seed=11).run["trace_hash"] == here
    for hash_seed in ("1", "77"):
        assert hash_in_another_process(sys.executable, 11, hash_seed) == here
    other = other_python()
    if other is not None:
        assert hash_in_another_process(other, 11, "5") == here


def test_another_seed_gives_another_run() -> None:
    assert len({play(churn(), seed=seed).run["trace_hash"] for seed in (1, 2, 3)}) == 3


def test_observers_change_nothing(tmp_path: Path) -> None:
    """Trace file and checkers only read: without checkers, and with the file, every event is the same."""
    plain = play(churn(), seed=4, checkers=())
    with (tmp_path / "trace.json").open("w") as file:
        traced = play(churn(), seed=4, trace_file=file)
    assert plain.run["trace_hash"] == traced.run["trace_hash"]
    assert json.loads((tmp_path / "trace.json").read_text())


@pytest.mark.parametrize("store", ["fakeredis", "embedded"])
def test_a_real_store_gives_the_run_of_the_memory_store(store: str) -> None:
    """The same scripts run with the same time and chance: the answers are equal, and so is the run."""
    short = msgspec.structs.replace(churn(), duration_s=20.0, settings={"retention_s": 5.0, "cleanup_interval_s": 5.0})
    assert play(short, store=store).run["trace_hash"] == play(short).run["trace_hash"]
