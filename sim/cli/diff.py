"""`voxpool-sim diff A B`: the first event at which two runs part, with what happened before it in both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.errors import ConfigError

BEFORE = 5
"""Common events that are shown before the first difference."""
AFTER = 5
"""Events of each run that are shown from there on."""
SAME, PART = 0, 1


@click.command("diff")
@click.argument("a", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("b", type=click.Path(path_type=Path, dir_okay=False))
def diff_command(a: Path, b: Path) -> int:
    """Compare two files that `run --events` has written: of two versions, Pythons, stores or settings.

    Prints the first event at which the runs part. Exit code 0 when they are the same, 1 when they part.
    """
    lines, code = compare(a, b)
    for line in lines:
        say(line)
    return code


def compare(a: Path, b: Path) -> tuple[list[str], int]:
    """Return the lines to print, and the exit code. Raises ConfigError for a file that can't be read."""
    before: deque[str] = deque(maxlen=BEFORE)
    both = zip_longest(_events(a), _events(b))
    for number, (one, other) in enumerate(both, 1):
        if one != other:
            rest = [pair for _, pair in zip(range(AFTER - 1), both, strict=False)]
            return [
                f"the runs part at event {number}",
                *(f"    {event}" for event in before),
                *_side(a, [one, *(pair[0] for pair in rest)]),
                *_side(b, [other, *(pair[1] for pair in rest)]),
            ], PART
        before.append(str(one))
    if not before:
        raise ConfigError(f"{a} and {b}: have no events")
    return ["the runs are the same"], SAME


def _side(path: Path, events: list[str | None]) -> list[str]:
    shown = [event for event in events if event is not None]
    return [f"{path}:", *(f"    {event}" for event in shown or ["(has ended)"])]


def _events(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield line.rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {error}") from None
