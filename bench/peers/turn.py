"""One turn of one subject: its processes are started afresh, its client runs, all end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import redis

from bench.peers.cpu import Sample, Sampler, others
from bench.peers.environments import prepare
from bench.peers.subjects import VOXPOOL, Subject
from bench.round_trips import free_port, until_listening

TREE = Path(__file__).parents[2]
OTHERS_MAX = 0.10
"""A window counts when other processes took at most this share of the machine."""
WINDOWS_MIN = 2
CLIENT_S = 180.0


@dataclass(frozen=True)
class Load:
    """What a client does."""

    in_flight: tuple[int, ...] = (1, 64)
    size: int = 10_000
    nodes: int = 1
    seconds: float = 3.0


@dataclass(frozen=True)
class Phase:
    """The clean windows of one number of jobs in flight."""

    in_flight: int
    jobs: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    """Role -> CPU time a job."""
    others: float
    """Share of the machine that other processes took."""
    windows: int
    clean: int

    @property
    def is_clean(self) -> bool:
        """Whether enough windows were undisturbed."""
        return self.clean >= WINDOWS_MIN


@dataclass(frozen=True)
class Turn:
    """The figures of a turn."""

    subject: str
    phases: tuple[Phase, ...]
    store_bytes_a_job: float | None


class TurnFailed(Exception):
    """A subject did not start or did not answer; the text says where its log is."""


def play(subject: Subject, load: Load, folder: Path, tree: Path = TREE) -> Turn:
    """Play a turn. Environments and logs are under `folder`; `tree` is the source of voxpool that is measured.

    Raises TurnFailed.
    """
    command, extra = prepare(subject, folder)
    log_path = folder / f"{subject.name.replace(' ', '-').replace(',', '')}.log"
    with ExitStack() as stack:
        log = stack.enter_context(log_path.open("wb"))
        port = free_port()
        environment = environment_of(subject, load, port, tree) | extra
        roles: dict[str, int] = {}
        store: redis.Redis | None = None
        try:
            if subject.kind == VOXPOOL:
                words = ("-m", "voxpool.scheduler", "serve", "--port", str(port), "--store", "embedded")
                roles["scheduler"] = stack.enter_context(
                    process([sys.executable, *words, *subject.flags], environment, log.fileno(), tree)
                )
                until_listening(port)
            elif subject.kind == "peer":
                store_port, roles["store"] = stack.enter_context(_redis(log.fileno()))
                environment["REDIS_URL"] = f"redis://127.0.0.1:{store_port}/0"
                store = redis.Redis(port=store_port)
            roles["worker"] = stack.enter_context(process([*command, "worker"], environment, log.fileno()))
            if subject.kind == VOXPOOL:
                until_registered(port, load.nodes)
            with _store_growth(store) as bytes_used:
                phases, samples = _run_client(
                    [*command, "client"], environment, log.fileno(), roles, len(load.in_flight)
                )
        except (AssertionError, OSError, subprocess.SubprocessError, ValueError) as error:
            raise TurnFailed(f"{subject.name}: {error}; its log is {log_path}") from error
    jobs = sum(len(phase["jobs"]) for phase in phases)
    return Turn(
        subject.name,
        tuple(_phase(phase["in_flight"], phase["jobs"], samples) for phase in phases),
        bytes_used[0] / jobs if bytes_used else None,
    )


def environment_of(subject: Subject, load: Load, port: int, tree: Path) -> dict[str, str]:
    """Return the environment variables that tell the programs of inside/ what to do."""
    inside = Path(__file__).parent / "inside"
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(inside), str(tree)] if not subject.packages else [str(inside)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "VARIANT": subject.variant,
        "PORT": str(port),
        "NODES": str(load.nodes),
        "SIZE": str(load.size),
        "SECONDS": str(load.seconds),
        "IN_FLIGHT": ",".join(map(str, load.in_flight)),
    }


@contextmanager
def process(command: list[str], environment: dict[str, str], log: int, cwd: Path | None = None) -> Iterator[int]:
    """Run a process in a session of its own and end all of it; yield its number."""
    started = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=cwd, start_new_session=True)
    try:
        yield started.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            started.wait(8)
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextmanager
def _redis(log: int) -> Iterator[tuple[int, int]]:
    program = shutil.which("redis-server")
    if program is None:
        raise TurnFailed("the peers need redis-server: apt-get install redis-server")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with process(command, dict(os.environ), log) as pid:
        until_listening(port)
        yield port, pid


@contextmanager
def _store_growth(store: redis.Redis | None) -> Iterator[list[float]]:
    """Yield a list that has, on exit, the bytes that the store has grown by; it stays empty without a store."""
    grown: list[float] = []
    before = store.info("memory")["used_memory"] if store is not None else 0
    yield grown
    if store is not None:
        grown.append(store.info("memory")["used_memory"] - before)
        store.close()


def until_registered(port: int, nodes: int) -> None:
    """Wait until the scheduler has its nodes."""
    deadline_s = time.monotonic() + 60
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/v1/nodes?limit=1").json()["total"] >= nodes:
                return
        assert time.monotonic() < deadline_s, "its nodes do not register"
        time.sleep(0.05)


def _run_client(
    command: list[str], environment: dict[str, str], log: int, roles: dict[str, int], phases: int
) -> tuple[list[dict[str, Any]], list[Sample]]:
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, start_new_session=True
    ) as client:
        try:
            with Sampler(roles | {"client": client.pid}) as sampler:
                output, _ = client.communicate(timeout=CLIENT_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(client.pid, signal.SIGKILL)
    read = [json.loads(line) for line in output.splitlines() if line.startswith(b'{"in_flight"')]
    assert client.returncode == 0 and len(read) == phases, f"its client ended with {client.returncode}"
    return read, sampler.samples


def _phase(in_flight: int, jobs: list[tuple[int, int]], samples: list[Sample]) -> Phase:
    """Join the jobs of a phase with the samples taken meanwhile; the first window is warm-up."""
    first_ns, last_ns = min(end - took for end, took in jobs), max(end for end, _ in jobs)
    inside = [sample for sample in samples if first_ns <= sample.at_ns <= last_ns]
    windows = sorted(list(pairwise(inside))[1:], key=lambda pair: others(*pair))
    clean = [pair for pair in windows if others(*pair) <= OTHERS_MAX]
    used = clean if len(clean) >= WINDOWS_MIN else windows[: max(WINDOWS_MIN, len(windows) // 4)]
    assert used, "a phase was shorter than two windows"
    rates, took_ms, cpu_ns = [], [], dict.fromkeys(used[0][1].cpu_ns, 0)
    for before, after in used:
        ended = [took / 1e6 for end, took in jobs if before.at_ns < end <= after.at_ns]
        took_ms += ended
        rates.append(len(ended) / (after.at_ns - before.at_ns) * 1e9)
        for role in cpu_ns:
            cpu_ns[role] += after.cpu_ns.get(role, 0) - before.cpu_ns.get(role, 0)
    assert len(took_ms) >= 2, "fewer than two jobs ended in the windows"
    cuts = statistics.quantiles(took_ms, n=100, method="inclusive")
    return Phase(
        in_flight,
        len(took_ms),
        statistics.median(rates),
        cuts[49],
        cuts[98],
        {role: used_ns / 1000 / len(took_ms) for role, used_ns in cpu_ns.items()},
        statistics.mean(others(*pair) for pair in used),
        len(windows),
        len(clean),
    )
