"""An environment for each queue, under out/peers/: its pinned packages, so that none decides what another one gets."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import click

from bench.peers.subjects import Subject

INSIDE = Path(__file__).parent / "inside"


def prepare(subject: Subject, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Install what `subject` needs, once; return the command that runs its program and the environment it needs."""
    if not subject.packages:
        return [sys.executable, str(INSIDE / f"{subject.program}.py")], {}
    home = folder / f"env-{subject.program}"
    ready = home / "ready"
    wanted = "\n".join(subject.packages)
    if subject.program == "bullmq_queue":
        node = shutil.which("node")
        if node is None or shutil.which("npm") is None:
            raise click.ClickException("BullMQ needs node and npm: apt-get install nodejs npm")
        if not ready.exists() or ready.read_text() != wanted:
            home.mkdir(parents=True, exist_ok=True)
            _install(
                ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), *subject.packages]
            )
            ready.write_text(wanted)
        return [node, str(INSIDE / f"{subject.program}.mjs")], {"NODE_PACKAGES": str(home.resolve())}
    python = str((home / "bin" / "python").absolute())
    if not ready.exists() or ready.read_text() != wanted:
        venv.create(home, clear=True, with_pip=True)
        _install([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *subject.packages])
        ready.write_text(wanted)
    return [python, str(INSIDE / f"{subject.program}.py")], {}


def _install(command: list[str]) -> None:
    click.echo(f"installing {' '.join(command[-3:])} …", err=True)
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise click.ClickException(f"installing failed: {' '.join(command)}")
