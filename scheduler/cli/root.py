"""The group `voxpool` with all its commands."""

from __future__ import annotations

import click

from scheduler import __version__
from scheduler.cli.act import cancel, drain
from scheduler.cli.completion import completion
from scheduler.cli.doctor import doctor
from scheduler.cli.look import jobs, nodes, pools, why
from scheduler.cli.run import node, serve
from scheduler.cli.submit import submit
from scheduler.cli.token import token


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="voxpool")
def cli() -> None:
    """A scheduler for speech jobs on a pool of worker nodes."""


for _command in (serve, node, submit, jobs, nodes, pools, why, cancel, drain, token, doctor, completion):
    cli.add_command(_command)
