"""Checks that `voxpool` accepts the command lines in files of ops/."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxpool.scheduler.cli.root import cli
from voxpool.scheduler.config import Settings
from voxpool.scheduler.config_sources import load


def settings_of(command: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings that `serve …` would run with. Raises AssertionError when it is invalid."""
    assert command[0] == "serve"
    words = [sys.executable, "-m", "voxpool.scheduler", *command, "--print-config"]
    printed = subprocess.run(words, capture_output=True, text=True, env=dict(environment), check=False)
    assert printed.returncode == 0, printed.stderr
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(printed.stdout)
        file.flush()
        return load(Path(file.name), {}, {})


def flags_of(command: Sequence[str]) -> dict[str, Any]:
    """Return the options of any other command, defaults included. Raises click's errors when it is invalid."""
    found = cli.commands[command[0]].make_context(command[0], list(command[1:]))
    return found.params
