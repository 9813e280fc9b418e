"""The command `voxpool-load`. A single load test is run by `locust -f loadtest/`.

Exit codes: 0 holds, 1 does not, 2 not enough evidence, 3 wrong input (usage errors, too: one line, no stack trace).
"""

from __future__ import annotations

from importlib.util import find_spec

import click

from voxpool.scheduler import __version__
from voxpool.scheduler.cli.exits import EXIT_WRONG_INPUT, run_commands
from voxpool.scheduler.cli.lazy_group import LazyGroup

COMMANDS = {
    "chaos": ("voxpool.loadtest.commands._chaos_command", "chaos"),
    "compare": ("voxpool.loadtest.commands._compare_command", "compare"),
    "leak-measured": ("voxpool.loadtest.commands._leak_measured", "leak_measured"),
    "options": ("voxpool.loadtest.commands._options_command", "options"),
    "pools": ("voxpool.loadtest.commands._pools", "pools"),
}
"""Name -> module and function; the module is imported when its command is used."""


def main() -> None:
    """Run the command line and exit."""
    run_commands(cli, "voxpool-load", failed=EXIT_WRONG_INPUT)


@click.group(cls=LazyGroup, lazy=COMMANDS, headings={}, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="voxpool-load")
def cli() -> None:
    """Load tests of voxpool: comparisons and measurements beyond one run of `locust -f loadtest/`."""
    if find_spec("locust") is None:  # the commands run it as a separate process
        raise ModuleNotFoundError("No module named 'locust'", name="locust")
