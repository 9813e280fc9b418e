"""Servers that tests start: a redis-server on a free port."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 10.0
TRIES = 5
WAIT_S = 20.0
BOTH = ("memory", "redis")
"""Where the jobs of a scheduler are (place_of)."""
IN_REDIS = ("--jobs", "redis", "--partitions", "2")


class RedisServer:
    """A redis-server of the system, without persistence, on 127.0.0.1. `kill` and `start` simulate a crash.

    `options` are added to its command line; `binary` replaces it.
    """

    def __init__(self, folder: Path, *options: str, binary: str = "") -> None:
        binary = binary or shutil.which("redis-server") or ""
        if not binary:
            raise FileNotFoundError("the tests need redis-server: apt-get install redis-server (make test does it)")
        self._binary = binary
        self._options = options
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process id. It must be running."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on its old port if it had one, and return when it accepts connections."""
        for _ in range(TRIES):
            port = self.port or _free_port()
            self._process = subprocess.Popen(
                [
                    *(self._binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
                    *("--dir", str(self._folder), "--enable-debug-command", "local"),
                    *self._options,
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._answers(port):
                self.port = port
                return
            self.kill()
        raise RuntimeError("redis-server did not start")

    def kill(self) -> None:
        """Kill it, as a crash does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Stop it: connections stay open, nothing is answered, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self, port: int) -> bool:
        assert self._process is not None
        end_s = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < end_s:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64).startswith(b"+PONG"):
                        return self._process.poll() is None
            except OSError:
                time.sleep(0.005)
        return False


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a redis-server on a free port; it is ended afterwards. Raises FileNotFoundError when it isn't installed."""
    folder = Path(tempfile.mkdtemp(prefix="vp-redis-"))
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def place_of(jobs: str, store: str = "memory") -> Iterator[tuple[str, ...]]:
    """Yield what `voxpool serve` needs to have its jobs in memory, or in a Redis of its own: the store, then flags."""
    if jobs == "memory":
        yield (store,)
    else:
        with redis_server() as server:
            yield (server.url, *IN_REDIS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(holds: Callable[[], bool], wait_s: float = WAIT_S) -> None:
    """Return as soon as `holds`. Raises AssertionError after `wait_s`."""
    end_s = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.005)
