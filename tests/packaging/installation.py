"""The wheel of this tree, installed alone in an empty environment, and its commands run from there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Installation:
    """An environment under `folder` that holds the wheel and what it depends on, and nothing else.

    The versions are those of requirements.lock, so that the test says the same tomorrow.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheel = self._build()
        self._bin = folder / "environment" / "bin"
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder / "environment")])
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(self._bin / "python"),
            "--disable-pip-version-check",
        ]
        _run([*pip, "install", "-q", "-c", str(ROOT / "requirements.lock"), str(self.wheel)])
        self._env = {
            "PATH": f"{self._bin}:{os.defpath}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
        }

    def run(self, *command: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs an installed command outside the tree to its end; what came out is the caller's to judge."""
        return subprocess.run(
            self._absolute(command),
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
        )

    @contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """An installed command as a process, ended at the end; `output_of` has what it wrote."""
        with (self.folder / f"{command[1]}.log").open("wb") as log:
            process = subprocess.Popen(
                self._absolute(command),
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def output_of(self, command: str) -> str:
        return (self.folder / f"{command}.log").read_text(errors="replace")

    def _absolute(self, command: tuple[str, ...]) -> list[str]:
        return [str(self._bin / command[0]), *command[1:]]

    def _build(self) -> Path:
        built = self.folder / "built"
        _run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(ROOT)])
        (wheel,) = built.glob("*.whl")
        return wheel


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether `condition` came true within that time."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
