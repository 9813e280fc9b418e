"""A scheduler with thousands of connections: the memory of each, keep-alive of all, the latency of a job.

`python -m tests.e2e.connections SESSIONS NODES BEAT_S BEATS` prints the figures of docs/reports/service.md.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.bare_peer import BarePeer, client
from tests.e2e.crowd import PAIR, CrowdProcess, Tally, allow_files, crowd
from tests.e2e.processes import Scheduler
from voxpool.scheduler.protocol.messages import Accepted, Hello, JobResult, Submit, Welcome

FLAGS = ("--session-grace-s", "0", "--log-sample", "0", "--retention-s", "5", "--cleanup-interval-s", "1")
AUDIO = b"RIFF\x00\x00\x00\x00WAVE" + bytes(2000)
BYTES_A_CONNECTION_GOAL = 40_000
SLOWER_GOAL = 2.0
WARM_UP = 200
"""Connections opened and closed before the memory is first measured."""
JOBS = 400
"""Round trips at each of the two schedulers, in turn."""
WARM_UP_JOBS = 20
LEASE_BEATS = 3
"""The interval of the default settings."""
PATIENCE_S = 120.0
LOOK_S = 1.0


class BareServer(Scheduler):
    """The HTTP server alone."""

    program = (sys.executable, "-m", "tests.e2e.bare_server")


@dataclass(frozen=True)
class Memory:
    """The memory of one process, in bytes."""

    allocated: int
    rss: int

    @classmethod
    def of(cls, scheduler: Scheduler) -> Memory:
        """Return the current memory, after a collection."""
        now = scheduler.get("/v1/debug/memory?gc=1")["memory"]
        return cls(now["allocated_bytes"], now["rss_bytes"])

    def each(self, before: Memory, connections: int) -> Memory:
        """Return the increase per connection."""
        return Memory((self.allocated - before.allocated) // connections, (self.rss - before.rss) // connections)

    def __str__(self) -> str:
        return f"{self.allocated / 1000:.1f} kB allocated, {self.rss / 1000:.1f} kB of RSS"


@dataclass(frozen=True)
class Connections:
    """The results. Memory is per connection; round trips are in s, in pairs taken one after the other."""

    server: Memory
    """The HTTP server alone."""
    session: Memory
    node: Memory
    sessions: Tally
    nodes: Tally
    lost: list[str]
    """Connections that the scheduler closed, by reason."""
    idle_s: list[float]
    crowded_s: list[float]

    @property
    def slower(self) -> float:
        """The p50 of a job's round trip relative to an idle scheduler."""
        return statistics.median(self.crowded_s) / statistics.median(self.idle_s)

    def __str__(self) -> str:
        idle, crowded = (1000 * statistics.median(taken) for taken in (self.idle_s, self.crowded_s))
        lines = (
            f"a connection of the HTTP server alone: {self.server}",
            f"a session, of {self.sessions.peers}: {self.session}",
            f"a node, of {self.nodes.peers}: {self.node}",
            f"sessions: {self.sessions}",
            f"nodes: {self.nodes}; given up by the scheduler: {self.lost or 'none'}",
            f"round trip of a job, p50: {crowded:.2f} ms; {idle:.2f} ms at an idle scheduler with one node; "
            f"{self.slower:.2f} times ({len(self.idle_s)} pairs)",
        )
        return "\n".join(lines)


def connections(
    crowded: Scheduler, idle: Scheduler, bare: Scheduler, sessions: int, nodes: int, beat_s: float, beats: int
) -> Connections:
    """Open all connections, wait until each peer has exchanged `beats` pings in both directions; run jobs."""
    server = _each(bare, sessions, beat_s)
    for kind in ("sessions", "nodes"):
        with crowd(crowded.port, kind, WARM_UP, beat_s):
            pass
    with crowd(idle.port, "nodes", 1, beat_s), ExitStack() as stack:
        empty = Memory.of(crowded)
        clients = stack.enter_context(crowd(crowded.port, "sessions", sessions, beat_s))
        with_sessions = Memory.of(crowded)
        workers = stack.enter_context(crowd(crowded.port, "nodes", nodes, beat_s))
        with_nodes = Memory.of(crowded)
        _stay([clients, workers], beats, beats * beat_s + PATIENCE_S)
        idle_s, crowded_s = asyncio.run(_round_trips(idle, crowded))
        lost = [event["reason"] for event in crowded.events() if event["event"] in ("node_offline", "peer_aborted")]
        return Connections(
            server,
            with_sessions.each(empty, sessions),
            with_nodes.each(with_sessions, nodes),
            clients.tally(),
            workers.tally(),
            [reason for reason in lost if reason != "closed"],
            idle_s,
            crowded_s,
        )


def _each(scheduler: Scheduler, sessions: int, beat_s: float) -> Memory:
    with crowd(scheduler.port, "sessions", WARM_UP, beat_s):
        pass
    before = Memory.of(scheduler)
    with crowd(scheduler.port, "sessions", sessions, beat_s):
        return Memory.of(scheduler).each(before, sessions)


def _stay(crowds: Sequence[CrowdProcess], beats: int, patience_s: float) -> None:
    """Return when each peer has had that many pings and pongs. It polls rarely, since a poll costs the crowd CPU."""
    end_s = time.monotonic() + patience_s
    while min(min(tally.pings_least, tally.pongs_least) for tally in (one.tally() for one in crowds)) < beats:
        assert time.monotonic() < end_s, [one.tally() for one in crowds]
        time.sleep(LOOK_S)


async def _round_trips(*schedulers: Scheduler) -> Sequence[list[float]]:
    """Measure jobs at both schedulers in turn, so that other load slows both alike."""
    peers = [await client(scheduler.port) for scheduler in schedulers]
    for peer in peers:
        peer.send_message(Hello())
        await peer.answer(Welcome)
    taken: list[list[float]] = [[] for _ in peers]
    for number in range(JOBS + WARM_UP_JOBS):
        for peer, times in zip(peers, taken, strict=True):
            times.append(await _round_trip(peer, f"r-{number}"))
    for peer in peers:
        peer.end()
    return [times[WARM_UP_JOBS:] for times in taken]


async def _round_trip(peer: BarePeer, request_id: str) -> float:
    start_s = time.perf_counter()
    peer.send_message(Submit(request_id, PAIR, AUDIO))
    await peer.answer(Accepted)
    result: JobResult = await peer.answer(JobResult)
    assert (result.state, result.output) == ("completed", len(AUDIO))
    return time.perf_counter() - start_s


def measured(folder: Path, sessions: int, nodes: int, beat_s: float, beats: int) -> Connections:
    """Measure with two schedulers and a bare HTTP server of its own."""
    allow_files()
    beat = ("--heartbeat-s", str(beat_s), "--lease-s", str(LEASE_BEATS * beat_s))
    with ExitStack() as stack:
        started: list[Scheduler] = []
        for kind, name in ((Scheduler, "crowded"), (Scheduler, "idle"), (BareServer, "bare")):
            started.append(kind(folder, "embedded", *FLAGS, *beat, name=name))
            stack.callback(started[-1].stop)
        crowded, idle, bare = started
        return connections(crowded, idle, bare, sessions, nodes, beat_s, beats)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(measured(Path(place), int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
