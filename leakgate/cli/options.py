"""Options of both commands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from voxpool.leakgate.cli.outcome import exit_code, text_of, write_html, write_json
from voxpool.leakgate.errors import WrongInput
from voxpool.leakgate.readings.series import Bound, parse_bounds
from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.terminal import say

LIMIT_MAX = 1e15
FILE = click.Path(path_type=Path, dir_okay=False)


def judging(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --limit, --unit and --bounded; `function` gets `limit` (None = not given), `unit` and `bounds`."""

    @functools.wraps(function)
    def command(*args: Any, bounded: tuple[str, ...], **options: Any) -> Any:
        return function(*args, bounds=_bounds(bounded), **options)

    for option in reversed(
        (
            click.option(
                "--limit",
                type=click.FloatRange(0, LIMIT_MAX, min_open=True),
                metavar="BYTES",
                help="Growth of allocated bytes, in bytes per unit of work, that still counts as none (default 50). "
                "Where allocated bytes can't be read, the RSS may grow by 2 MB more, and at most by 16 times that.",
            ),
            click.option("--unit", default="request", metavar="WORD", help="The word for one unit of work (request)."),
            click.option(
                "--bounded",
                multiple=True,
                metavar="NAME=N",
                help="A count that may grow up to N by design, such as 'table app.cache=1000'. May be repeated.",
            ),
        )
    ):
        command = option(command)
    return command


def writing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json and --html; `function` gets `write`, which ends a command with a report: it prints it, writes both
    files, and returns the exit code.
    """

    @functools.wraps(function)
    def command(*args: Any, json_path: Path | None, html_path: Path | None, **options: Any) -> Any:
        for path in (json_path, html_path):
            must_be_writable(path)
        return function(*args, write=functools.partial(_write, json_path, html_path), **options)

    command = click.option("--html", "html_path", type=FILE, metavar="FILE", help="Write a page with charts.")(command)
    return click.option("--json", "json_path", type=FILE, metavar="FILE", help="Write the report as JSON.")(command)


def must_be_writable(path: Path | None) -> None:
    """Raise OSError now when `path` can't be written, not after minutes of watching."""
    if path is not None:
        path.open("ab").close()


def _write(json_path: Path | None, html_path: Path | None, report: WatchReport) -> int:
    if json_path is not None:
        write_json(report, json_path)
    if html_path is not None:
        write_html(report, html_path)
    say(text_of(report))
    return exit_code(report.finding)


def _bounds(texts: tuple[str, ...]) -> dict[str, Bound]:
    try:
        return parse_bounds(texts)
    except ValueError as error:
        raise WrongInput(f"--bounded {error}") from None
