"""The command `leakgate`. Heavy imports are inside the commands, so that --help starts quickly.

Exit codes: 0 no leak, 1 leak, 2 unclear, 3 wrong input. Only a verdict ends with 0 or 1: a bug of leakgate, an
interrupt before a verdict and a closed standard output end with 2.
"""

from __future__ import annotations

import sys
import traceback

import click

from voxpool._extras import MissingPackage, needs
from voxpool.leakgate.cli.judge import judge
from voxpool.leakgate.cli.outcome import EXIT_UNCLEAR
from voxpool.leakgate.cli.watch import watch
from voxpool.leakgate.command_line import EXIT_WRONG_INPUT, run_commands


def main() -> None:
    """Run the command line and exit."""
    try:
        with needs("leakgate"):
            run_commands(
                cli, "leakgate", failed=EXIT_WRONG_INPUT, unread=EXIT_UNCLEAR, interrupted=EXIT_UNCLEAR
            )  # fmt: skip
    except MissingPackage:
        raise
    except Exception:
        traceback.print_exc()
        sys.exit(EXIT_UNCLEAR)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Does a process leak? Exit codes: 0 no leak, 1 leak, 2 unclear, 3 wrong input."""


cli.add_command(watch)
cli.add_command(judge)
