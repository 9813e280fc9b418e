"""Shared by all commands of voxpool-sim: common options and the progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from voxpool.leakgate.terminal import say

if TYPE_CHECKING:
    from voxpool.sim.report.report import Report

Function = TypeVar("Function", bound=Callable[..., Any])


def common_with(store: str) -> Callable[[Function], Function]:
    """Return the options of every command that runs something; `store` is the default of --store."""
    options = (
        click.option(
            "--seed", type=click.IntRange(0), help="Seed of all random numbers; the same seed gives the same run."
        ),
        click.option(
            "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there."
        ),
        click.option(
            "--out", type=click.Path(path_type=Path, file_okay=False), help="A folder for page, charts and trace."
        ),
        click.option("--quick", is_flag=True, help="A small size: faster, and weaker evidence."),
        click.option("--store", default=store, show_default=True, help="memory, fakeredis, embedded or redis://…"),
    )

    def add(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def common(function: Function) -> Function:
    """Add the options of a command that runs in virtual time; the default of --store is memory."""
    return common_with(store="memory")(function)


def show(report: Report, written: Iterable[Path] = (), soft_wrap: bool = False) -> int:
    """Print `report` and the files written; return the exit code."""
    from rich.console import Console

    report.print(Console(width=None if sys.stdout.isatty() else 110, soft_wrap=soft_wrap))
    for path in written:
        say(f"written: {path}")
    return report.exit_code


def stage_line(title: str) -> Callable[[str], None]:
    """Return a function that writes a line for each stage to standard error, where no progress bar is shown."""

    def write(stage: str) -> None:
        if not sys.stderr.isatty():
            say(f"{title}: {stage}", err=True)

    return write


def progress_bar(title: str) -> Any:
    """Return a context manager of a progress bar, shown on a terminal only; it yields a function of the done share."""
    from voxpool.sim.report import progress

    return progress.progress_bar(title, is_shown=sys.stderr.isatty())
