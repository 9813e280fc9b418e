"""The group `voxpool` with all its commands."""

from __future__ import annotations

import click

from voxpool.scheduler import __version__
from voxpool.scheduler.cli.commands.act import cancel, drain
from voxpool.scheduler.cli.commands.completion import completion
from voxpool.scheduler.cli.commands.doctor import doctor
from voxpool.scheduler.cli.commands.look import jobs, nodes, pools, waiting, why
from voxpool.scheduler.cli.commands.run import node, serve
from voxpool.scheduler.cli.commands.submit import submit
from voxpool.scheduler.cli.commands.token import token
from voxpool.scheduler.cli.grouped import GroupedCommands

HEADINGS = {
    "Run": ("serve", "node"),
    "Jobs": ("submit", "jobs", "waiting", "why", "cancel"),
    "Nodes": ("nodes", "pools", "drain"),
    "Set up": ("doctor", "token", "completion"),
}


@click.group(cls=GroupedCommands, headings=HEADINGS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="voxpool")
def cli() -> None:
    """A scheduler for speech jobs on a pool of worker nodes."""


for _command in (serve, node, submit, jobs, nodes, pools, waiting, why, cancel, drain, token, doctor, completion):
    cli.add_command(_command)
