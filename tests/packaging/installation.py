"""Environments that contain only the wheel of this tree with some extras; commands run in them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tidy.dependencies import pinned

ROOT = Path(__file__).resolve().parents[2]


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this tree under `folder`."""
    built = folder / "built"
    _run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(ROOT)])
    (wheel,) = built.glob("*.whl")
    return wheel


class Installation:
    """An environment under `folder` with the wheel and the packages of `extras`, such as "[server]"; without pip.

    The versions are those of requirements.lock, so that the sizes are reproducible. The hashes are left out: with
    hashes pip requires one for the wheel, too, and every package in the list. `compiled` says whether pip writes
    bytecode, which takes most of the time of a large install. With `borrowed` the packages of `extras` are not
    installed: those of the environment of the tests are used.
    """

    def __init__(
        self, folder: Path, wheel: Path, extras: str, *, compiled: bool = True, borrowed: bool = False
    ) -> None:
        self.folder = folder
        self.bin = folder / "environment" / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        versions = pinned((ROOT / "requirements.lock").read_text())
        constraints = folder / "constraints.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder / "environment")])
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "--disable-pip-version-check"]
        _run(
            [
                *pip,
                "install",
                "-q",
                *([] if compiled else ["--no-compile"]),
                *(["--no-deps"] if borrowed else []),
                "-c",
                str(constraints),
                f"voxpool{extras} @ {wheel.as_uri()}",
            ]
        )
        if borrowed:
            (self.packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
        self._env = {"PATH": f"{self.bin}:{os.defpath}", "HOME": str(folder), "LANG": "C.UTF-8"}

    @property
    def packages(self) -> Path:
        """Return the folder site-packages."""
        (folder,) = self.folder.glob("environment/lib/python*/site-packages")
        return folder

    def size_mb(self, bytecode: bool) -> float:
        """Return the size of site-packages on disk as `du` counts; an MB is 1024 x 1024 bytes."""
        files = [file for file in self.packages.rglob("*") if bytecode or "__pycache__" not in file.parts]
        return 512 * sum({file.lstat().st_ino: file.lstat().st_blocks for file in files}.values()) / 1024**2

    def run(self, *command: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run an installed command outside the tree to its end; the caller checks the result."""
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
        """Run an installed command as a process that ends with the block; `output_of` has its output."""
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
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def output_of(self, command: str) -> str:
        """Return the output of a `running` command."""
        return (self.folder / f"{command}.log").read_text(errors="replace")

    def _absolute(self, command: tuple[str, ...]) -> list[str]:
        return [str(self.bin / command[0]), *command[1:]]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=570)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
