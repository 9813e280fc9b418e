"""How a command line ends: exit codes, and each error as one line on standard error. `voxpool-sim` ends so, too."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from leakgate.errors import LeakgateError
from scheduler.errors import ConfigError, VoxpoolError

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_WRONG_INPUT = 3
"""Usage errors, too."""
EXIT_INTERRUPTED = 130
"""By Ctrl-C, as shells say it: 128 + SIGINT."""


def run_commands(commands: click.Group, name: str, failed: int = EXIT_FAILED) -> NoReturn:
    """Run the command line `name` and exit with what its command returns (None = EXIT_DONE).

    `failed` is the code of an error of ours that isn't about the input.
    """
    try:
        code = commands.main(prog_name=name, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(EXIT_WRONG_INPUT)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        command = context.command_path if context else name
        _say(f"{command}: {error.format_message()} (see {command} --help)")
        sys.exit(EXIT_WRONG_INPUT)
    except (VoxpoolError, LeakgateError) as error:
        _say(f"{name}: {error}")
        sys.exit(EXIT_WRONG_INPUT if isinstance(error, ConfigError) else failed)
    except BrokenPipeError:  # who read our output has enough, such as head(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except OSError as error:
        if error.filename is None:
            raise
        _say(f"{name}: {error.filename}: {error.strerror}")
        sys.exit(EXIT_WRONG_INPUT)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else EXIT_DONE)


def _say(line: str) -> None:
    click.echo(" ".join(line.split()), err=True)
