"""Lines of output with a bar below them that shows how many are done; the bar is for terminals only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NamedTuple

from voxpool.leakgate.terminal import say, visible

Say = Callable[[str], None]


class Progress(NamedTuple):
    """`say` writes a line of output, `complain` an error, `advance` counts one more as done."""

    say: Say
    complain: Say
    advance: Callable[[], None]


@contextmanager
def progress(title: str, total: int) -> Iterator[Progress]:
    """Yield how to write while `total` things are done; with a bar when there are several and a terminal.

    Without rich, which the install of a client does not have, there is no bar.
    """
    if total < 2 or not sys.stderr.isatty() or find_spec("rich") is None:
        yield Progress(say, _to_stderr, lambda: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # rich must not use stdout: it would redirect it to the terminal, also when it is a file or a pipe.
    with Bar(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(title, total=total)

        def above(line: str) -> None:
            console.print(visible(line), markup=False, highlight=False, soft_wrap=True)

        yield Progress(above if sys.stdout.isatty() else say, above, lambda: bar.advance(task))


def _to_stderr(line: str) -> None:
    say(line, err=True)
