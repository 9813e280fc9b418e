"""The blocks of docs/reference/commands.md: the help of each command, as the command prints it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import click

from reference.blocks import Generator
from voxpool.leakgate.cli.root import cli as leakgate
from voxpool.loadtest.commands._cli import cli as load
from voxpool.scheduler.cli.root import cli as scheduler
from voxpool.sim.cli.root import cli as sim

COMMANDS: dict[str, click.Group] = {
    "voxpool": scheduler,
    "voxpool-sim": sim,
    "voxpool-load": load,
    "leakgate": leakgate,
}
WIDTH = 100
"""Width of the help in columns."""


def helps(name: str) -> str:
    """Return the help of the group `name` and of each of its commands."""
    return "\n\n".join(_helps(name, COMMANDS[name]))


def _helps(name: str, group: click.Group) -> Iterator[str]:
    context = click.Context(group, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    yield _block(group, context)
    for command_name in group.list_commands(context):
        command = group.get_command(context, command_name)
        assert command is not None
        yield f"### {name} {command_name}"
        yield _block(command, click.Context(command, info_name=command_name, parent=context))


def _block(command: click.Command, context: click.Context) -> str:
    lines = (line.rstrip() for line in command.get_help(context).splitlines())
    return "```text\n" + "\n".join(lines) + "\n```"


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    return {f"commands of {name}": partial(helps, name) for name in COMMANDS}
