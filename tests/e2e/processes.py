"""Real processes for the tests (a scheduler on a free port, nodes), and functions that wait for conditions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection, connect

from voxpool.scheduler.sdk import Client, Worker

T = TypeVar("T")
PATIENCE_S = 15.0
EXAMPLES = Path(__file__).parents[2] / "examples"
TONE = (EXAMPLES / "tone.wav").read_bytes()


class Process:
    """One process of voxpool; its log goes into a file."""

    program: ClassVar[tuple[str, ...]] = (sys.executable, "-m", "voxpool.scheduler")
    """The program; it takes the arguments of `voxpool`."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self.log = folder / f"{name}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("VOXPOOL_")}
        with self.log.open("ab") as file:
            self.popen = subprocess.Popen([*self.program, *arguments], stdout=file, stderr=file, env=environment)
        self.pid = self.popen.pid

    def events(self, event: str = "") -> list[dict[str, Any]]:
        """Return the lines of the log, or those of one event. An incomplete last line is left out."""
        whole = self.log.read_bytes().rpartition(b"\n")[0]
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
        return [line for line in lines if not event or line["event"] == event]

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def end(self) -> int:
        """Wait for the end of the process and return its exit code."""
        return self.popen.wait(PATIENCE_S)

    def stop(self) -> int:
        """End it in good order."""
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            return self.end()
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise


class Scheduler(Process):
    """A `voxpool serve` that is ready when the constructor returns; it does not wait for jobs when it stops.

    By default it accepts jobs that no node serves, at any age: most tests need no node.
    """

    def __init__(
        self,
        folder: Path,
        store: str,
        *flags: str,
        port: int = 0,
        name: str = "scheduler",
        patience_s: float = PATIENCE_S,
    ) -> None:
        usual = ("--drain-s", "0", "--no-node-grace-s", "86400")
        super().__init__(folder, name, "serve", "--port", str(port), "--store", store, *usual, *flags)
        try:
            started = wait_until(lambda: self.popen.poll() is not None or self.events("scheduler_started"), patience_s)
            assert started is not True, self.log.read_text()
        except BaseException:
            self.popen.kill()
            self.popen.wait()
            raise
        self.url: str = self.events("scheduler_started")[-1]["url"]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.session_url = self.url.replace("http", "ws", 1) + "/ws/session"
        self.node_url = self.url.replace("http", "ws", 1) + "/ws/node"

    def get(self, path: str) -> Any:
        """Return the JSON answer of a GET."""
        return httpx.get(self.url + path, trust_env=False).json()

    def node_ids(self) -> list[str]:
        """Return the ids of the nodes that take jobs."""
        return sorted(node["node_id"] for node in self.get("/v1/nodes")["nodes"] if node["state"] == "ready")


class LeakyScheduler(Scheduler):
    """A scheduler with planted leaks, to test the checkers."""

    program = (sys.executable, "-m", "tests.e2e.leaky_scheduler")


def wait_until(look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """Return the first value of `look` that is not None."""
    end_s = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < end_s, f"waited {patience_s} s in vain"
        time.sleep(0.01)
    return found


async def until(look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """Return the first value of `look` that is not None; the loop runs in between."""
    async with asyncio.timeout(patience_s):
        while not (found := look()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


@contextlib.asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """Connect a WebSocket to `url`; it is closed at the end."""
    connection = await connect(url, compression=None, **options)
    try:
        yield connection
    finally:
        with contextlib.suppress(AttributeError):  # of asyncio, when aborted after a close with data unsent (3.11)
            await connection.close()


def cut(peer: Worker | Client) -> bool:
    """Break the connection of `peer` without a goodbye; return whether it was open."""
    connection = peer._connection if isinstance(peer, Worker) else peer._session._connection
    if connection is None:
        return False
    connection._socket.transport.abort()
    return True


def children_of(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def descendants_of(pid: int) -> list[int]:
    """Return the children of `pid`, their children, and so on."""
    children = children_of(pid)
    return children + [grandchild for child in children for grandchild in descendants_of(child)]


def runs(pid: int) -> bool:
    """Return whether that process exists and isn't a zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
