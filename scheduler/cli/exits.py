"""How the command lines of voxpool end: exit codes, and each error as one line on standard error."""

from __future__ import annotations

from typing import NoReturn

import click

from voxpool.leakgate import command_line
from voxpool.leakgate.command_line import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_WRONG_INPUT
from voxpool.scheduler.errors import ConfigError, VoxpoolError

__all__ = ["EXIT_DONE", "EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_WRONG_INPUT", "run_commands"]


def run_commands(commands: click.Group, name: str, failed: int = EXIT_FAILED) -> NoReturn:
    """Run the command line `name` and exit with what its command returns (None = EXIT_DONE).

    `failed` is the code of an error of ours that isn't about the input.
    """
    command_line.run_commands(commands, name, failed, errors=(VoxpoolError,), wrong_input=(ConfigError,), text=_text)


def _text(error: Exception) -> str:
    """Return an error with its advice for a command line."""
    there = getattr(error, "advice_on_command_line", "")
    return str(error).replace(getattr(error, "advice", ""), there) if there else str(error)
