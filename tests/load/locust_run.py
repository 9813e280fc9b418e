"""Runs `locust -f loadtest/` as a user does, in processes of their own; the tests never import Locust."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from tests.e2e.processes import descendants_of, runs, wait_until
from voxpool.loadtest.report._records import LoadReport, read_report

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


class LocustRun:
    """One process of Locust, in a session of its own. It runs within `with`; afterwards all its processes have ended.

    `files` is the limit of its open files. Its report has pictures with `pictures` only.
    """

    def __init__(
        self, folder: Path, *arguments: str, name: str = "locust", files: int | None = None, pictures: bool = False
    ) -> None:
        self.folder = folder / f"{name}-report"
        self.log = folder / f"{name}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("VOXPOOL_", "LOCUST_"))}
        program = "locust" if pictures else "tests.load.plain_locust"
        command = [sys.executable, "-m", program, "-f", "loadtest/", *arguments]
        if "--worker" not in arguments:
            command += ["--out", str(self.folder)]
        if "--processes" in arguments:  # its processes use a port of their own: another run may use Locust's
            port = free_port()
            command += ["--master-bind-port", port, "--master-port", port]
        if files is not None:
            command = limited(files, command)
        with self.log.open("ab") as file:
            self.popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=ROOT, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self.seen: set[int] = {self.popen.pid}

    def __enter__(self) -> LocustRun:
        """Do nothing: it runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the processes that are left."""
        for pid in [*self.left(), *descendants_of(self.popen.pid)]:
            os.kill(pid, signal.SIGKILL)
        self.popen.kill()
        self.popen.wait()

    @property
    def text(self) -> str:
        """Return its output so far."""
        return self.log.read_text(errors="replace")

    def waits_for(self, *words: str) -> None:
        """Wait until its output has one of `words`; the processes that it started until then are recorded."""
        wait_until(lambda: self._said(words) or self.popen.poll() is not None, PATIENCE_S)
        assert self._said(words), self.text
        self.seen |= set(descendants_of(self.popen.pid))

    def _said(self, words: Sequence[str]) -> bool:
        text = self.text
        return any(one in text for one in words)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, as `kill` does."""
        self.popen.send_signal(number)

    def end(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end and return its exit code."""
        return self.popen.wait(within_s)

    def left(self) -> list[int]:
        """Return the processes started by it that still run."""
        return [pid for pid in self.seen if pid != self.popen.pid and runs(pid)]

    def report(self) -> LoadReport:
        """Return its report, which must exist in both forms."""
        assert (self.folder / "report.html").stat().st_size > 1000
        return read_report(self.folder)

    def facts(self) -> dict[str, Any]:
        """Return the report as JSON."""
        facts: dict[str, Any] = msgspec.json.decode((self.folder / "report.json").read_bytes())
        return facts


def limited(files: int, command: list[str]) -> list[str]:
    """Return the command that runs `command` with a limit of open files that it may not raise."""
    tied = ["setpriv", "--bounding-set", "-sys_resource"] if os.geteuid() == 0 else []
    return [*tied, "bash", "-c", f'ulimit -n {files}; exec "$@"', "bash", *command]


def free_port() -> str:
    """Return a port that is not in use."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])
