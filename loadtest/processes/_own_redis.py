"""A Redis that a load run starts and may kill: the system's redis-server, without persistence."""

from __future__ import annotations

import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from voxpool.loadtest.processes._own_process import OwnProcess
from voxpool.loadtest.running._preflight import CannotLoad

START_S = 10.0
LOOK_S = 0.01
TRIES = 5
DUMP = "dump.rdb"


class OwnRedis:
    """A Redis on a free port, or on `port`; its output goes to `output`. Raises CannotLoad without a redis-server.

    `arguments` are further ones of redis-server.
    """

    def __init__(self, output: Path, port: int = 0, arguments: Sequence[str] = ()) -> None:
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            raise CannotLoad(
                "--store redis: there is no redis-server here: install it, or give --store redis://HOST:PORT/0"
            )
        self._binary = found
        self._folder = Path(tempfile.mkdtemp(prefix="vp-load-"))
        self._output = output
        self._process: OwnProcess | None = None
        self._arguments = arguments
        self.port = port
        self.restarts = 0
        self.start()

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it on the same port as before, and return when it answers. Raises CannotLoad."""
        for _ in range(TRIES):
            port = self.port or free_port()
            arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            arguments += ["--dir", str(self._folder), *self._arguments]
            self._process = OwnProcess([self._binary, *arguments], self._output)
            if self._answers(port):
                self.port = port
                return
            self._process.kill()
        raise CannotLoad(f"--store redis: {self._binary} does not start: see {self._output}")

    def kill(self) -> None:
        """Kill it, so that its data are lost, also those that it got as a replica and has in a file."""
        if self._process is not None:
            self._process.kill()
        (self._folder / DUMP).unlink(missing_ok=True)

    def restart(self) -> None:
        """Kill it and start it again. Raises CannotLoad."""
        self.kill()
        self.restarts += 1
        self.start()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> None:
        """Stop it, and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self, port: int) -> bool:
        end_s = time.monotonic() + START_S
        while self._process is not None and self._process.runs and time.monotonic() < end_s:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64).startswith(b"+PONG"):
                        return self._process.runs
            except OSError:
                time.sleep(LOOK_S)
        return False


def free_port() -> int:
    """Return a port that nobody has at this time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
