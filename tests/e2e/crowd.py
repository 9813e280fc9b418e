"""Thousands of peers that stay connected: idle sessions, and nodes that send heartbeats and answer at once.

`python -m tests.e2e.crowd PORT sessions|nodes COUNT FIRST BEAT_S` opens them and then, for each line that it reads,
prints a Tally of them as JSON; at the end of its input it exits.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import uvloop

from tests.e2e.bare_peer import BarePeer, client, node
from voxpool.scheduler.protocol.messages import Assign, Heartbeat, Hello, NodeResult, Register, Registered, Welcome

PAIR = "crowd:en"
OPENED_AT_ONCE = 50


class Tally(msgspec.Struct):
    """Counts of the peers; `least` counts are those of the peer with the lowest count."""

    peers: int
    gone: int
    """Connections that were closed."""
    beats: int
    """Heartbeats (of nodes), each followed by a ping, or pings alone (of sessions)."""
    pings_least: int
    """Pings from the scheduler."""
    pongs_least: int
    unanswered_most: int
    """Maximum number of heartbeats of one peer that were not answered by a pong."""
    registers_most: int
    """Registrations of one node: 1 unless it had to register again."""
    others: int
    """Unexpected messages."""
    jobs: int


class Crowd:
    """The peers of one process."""

    def __init__(self, port: int, beat_s: float) -> None:
        self.port = port
        self.beat_s = beat_s
        self.peers: list[BarePeer] = []
        self._nodes = False
        self._beats: dict[BarePeer, int] = {}
        self._registers: dict[BarePeer, int] = {}
        self._others = 0
        self._jobs = 0

    async def open(self, kind: str, count: int, first: int) -> None:
        """Open `count` sessions or nodes and start their heartbeats."""
        self._nodes = kind == "nodes"
        numbers = iter(range(first, first + count))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(OPENED_AT_ONCE):
                tasks.create_task(self._open_some(numbers))

    async def _open_some(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            peer = await (self._node(number) if self._nodes else self._session(number))
            self.peers.append(peer)
            self._beats[peer] = 0
            asyncio.get_running_loop().call_later(self.beat_s, self._beat, peer)

    async def _session(self, number: int) -> BarePeer:
        peer = await client(self.port)
        peer.send_message(Hello(session_id=f"crowd-{number}"))
        await peer.answer(Welcome)
        return peer

    async def _node(self, number: int) -> BarePeer:
        registered = asyncio.Event()

        def received(message: object) -> None:
            if isinstance(message, Assign):
                self._jobs += 1
                peer.send_message(NodeResult(message.job_id, message.attempt, output=len(message.audio)))
            elif isinstance(message, Registered):
                self._registers[peer] = self._registers.get(peer, 0) + 1
                registered.set()
            else:
                self._others += 1

        peer = await node(self.port, received)
        peer.send_message(Register(f"crowd-{number}", "p", [PAIR], 2, []))
        await registered.wait()
        return peer

    def _beat(self, peer: BarePeer) -> None:
        if not peer.gone:
            self._beats[peer] += 1
            if self._nodes:
                peer.send_message(Heartbeat([]))
            peer.ping()
            asyncio.get_running_loop().call_later(self.beat_s, self._beat, peer)

    def tally(self) -> Tally:
        """Return the counts of the peers so far."""
        return Tally(
            peers=len(self.peers),
            gone=sum(peer.gone for peer in self.peers),
            beats=sum(self._beats.values()),
            pings_least=min(peer.pings for peer in self.peers),
            pongs_least=min(peer.pongs for peer in self.peers),
            unanswered_most=max(self._beats[peer] - peer.pongs for peer in self.peers),
            registers_most=max(self._registers.values(), default=1),
            others=self._others,
            jobs=self._jobs,
        )


class CrowdProcess:
    """A crowd in a process of its own."""

    def __init__(self, port: int, kind: str, count: int, first: int, beat_s: float) -> None:
        arguments = (str(port), kind, str(count), str(first), str(beat_s))
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.crowd", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.tally()

    def tally(self) -> Tally:
        """Return the counts of the peers; the first call returns when all are connected."""
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._popen.stdin.write(b"\n")
        self._popen.stdin.flush()
        return msgspec.json.decode(self._popen.stdout.readline(), type=Tally)

    def leave(self) -> None:
        """Close all connections; return when the process has ended."""
        self._popen.communicate()


@contextmanager
def crowd(port: int, kind: str, count: int, beat_s: float, first: int = 0) -> Iterator[CrowdProcess]:
    """Run a crowd during the block; all its peers are connected when the block begins."""
    process = CrowdProcess(port, kind, count, first, beat_s)
    try:
        yield process
    finally:
        process.leave()


def allow_files() -> None:
    """Raise this process's limit of open files to the maximum."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _main(port: int, kind: str, count: int, first: int, beat_s: float) -> None:
    allow_files()
    here = Crowd(port, beat_s)
    await here.open(kind, count, first)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        sys.stdout.write(msgspec.json.encode(here.tally()).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
