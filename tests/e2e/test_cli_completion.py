"""Shell completion: the script of each shell, and the words that a real bash offers with it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command_line import WITHIN_S, clean_environment, one_line, voxpool_here
from tests.e2e.processes import TONE, Scheduler
from voxpool.scheduler.cli.root import cli
from voxpool.scheduler.sdk.http import HttpClient

ASK = """
eval "$(voxpool completion bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_voxpool_completion voxpool
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""The commands that bash runs when the tab key is pressed."""


@pytest.fixture
def voxpool_on_path(folder: Path) -> str:
    """A PATH with the `voxpool` of this tree."""
    command = folder / "voxpool"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m voxpool.scheduler "$@"\n')
    command.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def offered(path: str, *words: str, **environment: str) -> list[str]:
    """Return what bash offers for the last of `words`."""
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", "voxpool", *words],
        capture_output=True,
        text=True,
        env=clean_environment(PATH=path, **environment),
        timeout=WITHIN_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def test_bash_completes_commands_options_and_words(voxpool_on_path: str) -> None:
    assert set(offered(voxpool_on_path, "")) == set(cli.commands)
    assert offered(voxpool_on_path, "do") == ["doctor"]
    assert "--retention-s" in offered(voxpool_on_path, "serve", "--re")
    assert offered(voxpool_on_path, "jobs", "--state", "c") == ["completed", "cancelled"]


def test_bash_completes_ids_of_the_scheduler(scheduler: Scheduler, pair: str, voxpool_on_path: str) -> None:
    """It offers the newest jobs; without a scheduler it offers nothing and prints no error."""
    with HttpClient(scheduler.url) as client:
        job_id = client.submit(TONE, pair).job_id
        assert job_id in offered(voxpool_on_path, "why", job_id[:2], VOXPOOL_URL=scheduler.url)
        client.cancel(job_id)
    assert offered(voxpool_on_path, "drain", "--url", "http://127.0.0.1:1", "") == []


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -o nosort"), ("zsh", "#compdef voxpool"), ("fish", "complete --no-files")]
)
def test_each_shell_has_its_script(shell: str, sign: str) -> None:
    done = voxpool_here("completion", shell)
    assert done.returncode == 0 and sign in done.stdout and "_VOXPOOL_COMPLETE" in done.stdout


def test_for_an_unknown_shell_the_supported_ones_are_listed() -> None:
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in one_line(voxpool_here("completion", "csh"), 3)
