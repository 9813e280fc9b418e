"""Counts the time series of a scheduler after many jobs, nodes, sessions and pairs.

`python -m tests.e2e.series JOBS NODES SESSIONS` prints the figures of docs/reports/service.md.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.bare_peer import BarePeer, client, node
from tests.e2e.crowd import PAIR, allow_files, crowd
from tests.e2e.processes import Scheduler, until
from tests.unit.metrics_rig import parsed
from voxpool.scheduler.protocol.messages import Hello, JobResult, Register, Registered, RejectedSubmit, Submit, Welcome
from voxpool.scheduler.telemetry.metrics.labels import OTHER, PAIRS_MAX

FLAGS = (
    *("--session-grace-s", "0", "--retention-s", "1", "--cleanup-interval-s", "0.5", "--log-sample", "0"),
    *("--waiting-timeout-s", "600"),
)
"""No job is refused since it would wait for too long: on a slow machine, all jobs at once would."""
AUDIO = b"RIFF\x00\x00\x00\x00WAVE"
BEAT_S = 15.0
WARM_UP = 20
TOLD_APART_MAX = PAIRS_MAX + len([OTHER])
"""Maximum number of pairs in the labels of a metric."""
PAIRS = PAIRS_MAX + 50
"""Number of language pairs that jobs and nodes have named at the end."""
EXPIRES_MS = 200
LABELS = frozenset(
    {"meaning", "pair", "priority", "state", "reason", "result", "script", "family", "version", "python", "jobs", "le"}
)
"""All labels of all metrics (interfaces.md); none of them is a job, a node or a session."""
OPENED_AT_ONCE = 50

Series = frozenset[tuple[str, tuple[tuple[str, str], ...]]]


@dataclass(frozen=True)
class Grown:
    """The series after each step."""

    warm: Series
    """After a few jobs, nodes and sessions of one pair."""
    crowded: Series
    """After many, of the same pair."""
    paired: Series
    """After more pairs than may be labels."""

    @property
    def added(self) -> Series:
        """The series that the many have added."""
        return self.crowded - self.warm

    def pairs_of(self, name: str) -> set[str]:
        """Return the pairs in the labels of a metric."""
        return {dict(labels)["pair"] for found, labels in self.paired if found == name and "pair" in dict(labels)}

    @property
    def paired_names(self) -> list[str]:
        """Return the metrics that have a pair label."""
        return sorted({name for name, labels in self.paired if "pair" in dict(labels)})

    def __str__(self) -> str:
        pairs = ", ".join(f"{name} {len(self.pairs_of(name))}" for name in self.paired_names)
        return (
            f"series with a few jobs, nodes and sessions: {len(self.warm)}; the many added {len(self.added)}\n"
            f"with {PAIRS} pairs: {len(self.paired)} series; pairs told apart: {pairs}"
        )


async def series(scheduler: Scheduler, jobs: int, nodes: int, sessions: int) -> Grown:
    """Let few and then many jobs, nodes and sessions come and go, then many pairs; read /metrics after each step."""
    await _come_and_go(scheduler, WARM_UP, WARM_UP, WARM_UP, "warm")
    warm = await _shown(scheduler)
    await _come_and_go(scheduler, jobs, nodes, sessions, "many")
    crowded = await _shown(scheduler)
    await _name_pairs(scheduler)
    return Grown(warm, crowded, await _shown(scheduler))


async def _come_and_go(scheduler: Scheduler, jobs: int, nodes: int, sessions: int, name: str) -> None:
    with crowd(scheduler.port, "nodes", nodes, BEAT_S, first=nodes):
        numbers = iter(range(sessions))

        async def some() -> None:
            for number in numbers:
                peer = await _greeted(scheduler, f"{name}-{number}")
                share = (jobs * (number + 1)) // sessions - (jobs * number) // sessions
                for job in range(share):
                    peer.send_message(Submit(f"{name}-{number}-{job}", PAIR, AUDIO))
                for _ in range(share):
                    result = await peer.answer(JobResult, RejectedSubmit)
                    assert isinstance(result, JobResult) and result.state == "completed", result
                peer.end()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(OPENED_AT_ONCE):
                tasks.create_task(some())
    await until(lambda: not scheduler.get("/v1/nodes")["nodes"])


async def _name_pairs(scheduler: Scheduler) -> None:
    """Register a node with many pairs, and submit a job of each that times out."""
    pairs = [f"p{number}:en" for number in range(PAIRS)]
    worker = await node(scheduler.port)
    worker.send_message(Register("polyglot", "p", pairs, 1, []))
    await worker.answer(Registered)
    peer = await _greeted(scheduler, "polyglot")
    for pair in pairs:
        peer.send_message(Submit(pair.split(":")[0], pair, AUDIO, timeout_ms=EXPIRES_MS))
    for _ in pairs:  # the first may end before the last is accepted
        result = await peer.answer(JobResult, RejectedSubmit)
        assert isinstance(result, JobResult) and result.error == "expired", result
    peer.end()
    worker.end()


async def _greeted(scheduler: Scheduler, session_id: str) -> BarePeer:
    peer = await client(scheduler.port)
    peer.send_message(Hello(session_id=session_id))
    await peer.answer(Welcome)
    return peer


async def _shown(scheduler: Scheduler) -> Series:
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
        return frozenset(parsed((await http.get("/metrics")).text))


if __name__ == "__main__":
    allow_files()
    with tempfile.TemporaryDirectory() as place:
        measured = Scheduler(Path(place), "embedded", *FLAGS)
        try:
            print(asyncio.run(series(measured, int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
        finally:
            measured.stop()
