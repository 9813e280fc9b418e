"""The rows that the modules of bench/ return, and the one table that they are printed in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from voxpool.sim.report.limits import Figure, holds, shown


class Row(NamedTuple):
    """One measured figure. `goal` is a limit such as '<= 5' ('' = none), `beside` the figure to compare it with."""

    subject: str
    what: str
    figure: Figure
    unit: str
    goal: str = ""
    beside: str = ""


def print_rows(rows: Iterable[Row], title: str) -> None:
    """Print `rows` as a table; missed goals are highlighted."""
    table = Table(title=title, title_justify="left")
    for name, justify in (
        ("subject", "left"), ("what", "left"), ("figure", "right"), ("goal", "left"), ("", "left"), ("beside", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        word = "" if not row.goal else "[green]met[/]" if holds(row.figure, row.goal) else "[red]missed[/]"
        table.add_row(row.subject, row.what, shown(row.figure, row.unit), row.goal, word, row.beside)
    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(table)
