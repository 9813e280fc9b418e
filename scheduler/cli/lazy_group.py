"""A group of commands that imports a command's module when the command is asked for, so that others start quickly."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from voxpool.scheduler.cli.grouped import GroupedCommands


class LazyGroup(GroupedCommands):
    """`lazy` names the module and the attribute of each command that is not added otherwise."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute = self._lazy[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command
