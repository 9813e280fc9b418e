"""A process that a load run starts: its output goes into a file, and it ends with the run."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

STOP_S = 10.0
"""Time to end after SIGTERM, before it is killed."""
_PR_SET_PDEATHSIG = 1


class OwnProcess:
    """A process, started by the constructor in a new session, so that it doesn't receive Ctrl-C. Raises OSError."""

    def __init__(self, arguments: Sequence[str], output: Path, environment: dict[str, str] | None = None) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        self.output = output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=clean_environment() if environment is None else environment,
                start_new_session=True,
                preexec_fn=dies_with_us(),
            )
        self.pid = self._process.pid

    @property
    def runs(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code; None while it runs, negative for the signal that ended it."""
        return self._process.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process and all others of its session."""
        if self.runs:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, within_s: float = STOP_S) -> None:
        """Terminate the process, and kill it after `within_s`."""
        if self.runs:
            self._process.terminate()
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()


def python(*arguments: str) -> list[str]:
    """Return the command line that runs a module with this Python."""
    return [sys.executable, "-m", *arguments]


def clean_environment() -> dict[str, str]:
    """Return this process's environment without the settings of a scheduler."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VOXPOOL_")}


def dies_with_us() -> Callable[[], None] | None:
    """Return a function for a child that makes its parent's end send it SIGTERM; None where that is not supported."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, after which nothing may be loaded

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask
