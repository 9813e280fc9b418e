"""A process that a load run has started: its output goes into a file, and it never outlives the run."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

STOP_S = 10.0
"""How long it may take to end in good order, before it is killed."""
_PR_SET_PDEATHSIG = 1


class OwnProcess:
    """Started by the constructor, in a session of its own, so that Ctrl-C reaches us alone. Raises OSError."""

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
        """True when it has not ended."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; below 0 the number of the signal that ended it."""
        return self._process.poll()

    def kill(self) -> None:
        """End it as a crash does, and all in its session."""
        if self.runs:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, within_s: float = STOP_S) -> None:
        """End it in good order, or kill it."""
        if self.runs:
            self._process.terminate()
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()


def python(*arguments: str) -> list[str]:
    """Return the command line of a module of this Python."""
    return [sys.executable, "-m", *arguments]


def clean_environment() -> dict[str, str]:
    """Return this process's environment without the settings of a scheduler."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VOXPOOL_")}


def dies_with_us() -> Callable[[], None] | None:
    """Return what a child calls to be ended, by SIGTERM, when we have ended; None where the system can't do that."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork, where nothing may be loaded any more

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask
