"""What all commands of voxpool-sim share: their options, and the bar that shows how far they are."""

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
    """The options of every command that runs something; `store` is the default of --store."""
    options = (
        click.option("--seed", type=click.IntRange(0), help="All chance comes from it; same seed, same run."),
        click.option(
            "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there."
        ),
        click.option(
            "--out", type=click.Path(path_type=Path, file_okay=False), help="A folder for page, pictures, trace."
        ),
        click.option("--quick", is_flag=True, help="A small size: quick to see, weaker as evidence."),
        click.option("--store", default=store, show_default=True, help="memory, fakeredis, embedded or redis://…"),
    )

    def add(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def common(function: Function) -> Function:
    """The options of a command that runs on virtual time, where the store in memory is the usual one."""
    return common_with(store="memory")(function)


def show(report: Report, written: Iterable[Path] = (), soft_wrap: bool = False) -> int:
    """Print `report` and which files were written; return its exit code."""
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
    """Return a context manager that gives a function for the part that is done; it shows on a terminal only."""
    from voxpool.sim.report import progress

    return progress.progress_bar(title, is_shown=sys.stderr.isatty())
