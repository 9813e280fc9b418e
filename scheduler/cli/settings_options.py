"""The options of the commands that know all settings: a file, and one option for each setting."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from voxpool.scheduler.cli.grouped import GroupedCommand, GroupedOption

if TYPE_CHECKING:
    from voxpool.scheduler.config import Settings

Function = TypeVar("Function", bound=Callable[..., Any])

_PREFIX = "set_"


class WithSettings(GroupedCommand):
    """A command that has an option for each setting; they are looked up only when it is used."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the command and those of the settings."""
        from voxpool.scheduler.config_groups import group_of
        from voxpool.scheduler.config_sources import flag_types

        options: list[click.Parameter] = [
            GroupedOption([flag, f"{_PREFIX}{name}"], type=kind, help=help_text, group=group_of(name))
            for flag, name, kind, help_text in flag_types()
        ]
        return [*super().get_params(ctx), *options]


def settings_files(function: Function) -> Function:
    """Give a command --config and --state-dir."""
    for option in (
        click.option(
            "--state-dir",
            type=click.Path(path_type=Path, file_okay=False),
            envvar="VOXPOOL_STATE_DIR",
            help="Where the embedded store keeps its files; a temporary folder unless given.",
        ),
        click.option(
            "--config", type=click.Path(path_type=Path), envvar="VOXPOOL_CONFIG", help="A TOML file of settings."
        ),
    ):
        function = option(function)
    return function


def load_settings(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Return the settings of a command whose options for them are `flags`. Raises ConfigError."""
    from voxpool.scheduler.config_sources import load

    return load(config, os.environ, {name.removeprefix(_PREFIX): value for name, value in flags.items()})
