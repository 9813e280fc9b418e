"""The report of an experiment: its lines (without, with, limit), its verdict, and its output formats.

The JSON is for other programs (docs/guides/simulate.md); page.py makes the HTML, pictures.py the SVGs. The verdict
depends on the lines only: WITH must keep each limit, and WITHOUT must show the defect, or nothing is proven.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxpool.leakgate.terminal import in_markup
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.report.limits import Figure, holds, shown
from voxpool.sim.report.versions import versions
from voxpool.sim.report.written import write_text

if TYPE_CHECKING:
    from rich.console import Console

WITH, WITHOUT = "with", "without"
EXIT_WRONG_INPUT = 3


class Outcome(StrEnum):
    """The verdict on a whole experiment."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNCLEAR = "unclear"

    @property
    def exit_code(self) -> int:
        """0 holds, 1 does not, 2 not enough evidence."""
        return {"holds": 0, "broken": 1, "unclear": 2}[self.value]


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, without and with the fix.

    `limit` ('' = for information only) is the limit of the figure of WITH. `shows` is the condition on the figure of
    WITHOUT under which the experiment proves something: a limit, 'breaks' (it must not keep `limit`) or '' (none).
    """

    defect_id: str
    """The defect of the line, such as M1 (docs/defects.md); "" = none."""
    name: str
    unit: str
    without: Figure
    with_: Figure
    limit: str = ""
    shows: str = ""
    not_checked: str = ""
    """Reason why the check was skipped and the figure is missing: a skipped check has not passed."""

    def kept(self) -> bool | None:
        """Return whether WITH keeps the limit; None = unknown."""
        return holds(self.with_, self.limit) if self.limit else True

    def shown(self) -> bool | None:
        """Return whether WITHOUT meets its condition `shows`; None = unknown."""
        if not self.shows:
            return True
        if self.shows != "breaks":
            return holds(self.without, self.shows)
        kept = holds(self.without, self.limit)
        return None if kept is None else not kept

    def cell(self, side: str) -> str:
        """Return the figure of a side as text."""
        return shown(self.without if side == WITHOUT else self.with_, self.unit)

    def word(self, variant: str) -> tuple[str, str]:
        """Return the text of the last column and its colour ('' = none)."""
        if not self.limit and not self.shows:
            return "", ""
        kept, seen = self.kept(), self.shown()
        if variant == WITHOUT:
            if not self.shows:
                return "", ""
            return {True: ("broken", "red"), False: ("shows nothing", "yellow"), None: ("unclear", "yellow")}[seen]
        if kept is None:
            return f"not checked: {self.not_checked}" if self.not_checked else "unclear", "yellow"
        if not kept:
            return "broken", "red"
        if variant == "both" and seen is not True:
            return "without shows nothing" if seen is False else "without unclear", "yellow"
        return "holds", "green"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of figures for information, without limits."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    """Headings; the first column is text, the others are figures."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG with its file name (without suffix), title and caption."""

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the report: `figure` against `limit`. `ok` is also False when the figure is missing.

    The verdict does not depend on a check whose `decides` is False.
    """

    name: str
    ok: bool
    figure: Figure
    limit: str
    clear: bool = True
    decides: bool = True
    not_checked: str = ""
    unit: str = ""
    """The unit of `figure`."""
    note: str = ""
    """The basis of the figure, or why it is missing."""

    @property
    def word(self) -> str:
        """The verdict on the check: holds, broken or unclear."""
        return "holds" if self.ok else "broken" if self.clear else "unclear"


@dataclass(slots=True)
class Report:
    """The result of an experiment or a run. `variant` is both, with or without; a plain run is `with`.

    `left_out` is the defect whose fix was left out of a plain run, such as M1: its figures are those of `with_` in
    each line, and are shown as `without M1`.
    """

    experiment: str
    question: str
    seed: int
    options: Mapping[str, Any]
    lines: Sequence[Line]
    variants: Mapping[str, Mapping[str, Any]]
    variant: str = "both"
    left_out: str = ""
    unproven: Sequence[str] = ()
    """Reasons why the run proves nothing, such as that no job completed: then the verdict is not `holds`."""
    notes: Sequence[str] = ()
    """Notes for the reader: what was planted, the basis of the verdict, what was not measured."""
    tables: Sequence[Table] = ()
    """Tables that are shown before the lines."""
    pictures: Sequence[Callable[[], Picture]] = ()
    """Pictures, which are drawn when the report is written."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Additional keys of the JSON."""
    written: list[Path] = field(default_factory=list)
    """The files of this run: those that the run wrote, then those of `write`."""

    def __post_init__(self) -> None:
        """Remove passwords from the options, since a report is shown to others."""
        self.options = {
            name: without_password(value) if isinstance(value, str) else value for name, value in self.options.items()
        }

    @property
    def checks(self) -> list[Check]:
        """All checks, in the order of the lines."""
        found: list[Check] = []
        for line in self.lines:
            name = f"{line.defect_id} {line.name}".strip()
            if self.variant == WITHOUT:
                if line.shows:
                    limit = line.limit or f"not {line.shows}"
                    kept = line.shown()
                    found.append(Check(name, kept is False, line.without, limit, kept is not None))
                continue
            if line.limit:
                kept = line.kept()
                check = Check(
                    name, kept is True, line.with_, line.limit, kept is not None, not_checked=line.not_checked
                )
                found.append(check)
            if line.shows and self.variant == "both":
                shown_ = line.shown()
                limit = f"not {line.limit}" if line.shows == "breaks" else line.shows
                found.append(Check(f"{name}, without", shown_ is True, line.without, limit, shown_ is not None))
        return found

    @property
    def outcome(self) -> Outcome:
        """The verdict. It is unclear when WITHOUT shows nothing, a figure is missing, a check was skipped, nothing is
        checked at all, or the run is `unproven`.
        """
        checks = self.checks
        if not checks:
            return Outcome.UNCLEAR
        if self.variant == WITHOUT:
            shows_all = all(check.clear and not check.ok for check in checks)
            return Outcome.BROKEN if shows_all else Outcome.UNCLEAR
        if any(line.limit and line.kept() is False for line in self.lines):
            return Outcome.BROKEN
        return Outcome.HOLDS if all(check.ok for check in checks) and not self.unproven else Outcome.UNCLEAR

    @property
    def exit_code(self) -> int:
        """0, 1 or 2."""
        return self.outcome.exit_code

    @property
    def columns(self) -> dict[str, str]:
        """Heading of each column of figures -> the side of a line that it shows."""
        if self.left_out:
            return {f"{WITHOUT} {self.left_out}": WITH}
        sides = [WITHOUT, WITH] if self.variant == "both" else [self.variant]
        return {side: side for side in sides}

    @property
    def meaning(self) -> str:
        """The verdict in a sentence."""
        outcome = self.outcome
        if outcome is Outcome.HOLDS:
            both = self.variant == "both"
            return "without the fix the defect shows, with it every limit is kept" if both else "every limit is kept"
        if outcome is Outcome.BROKEN:
            return "a limit is not kept"
        skipped = [f"{check.name} was not checked: {check.not_checked}" for check in self.checks if check.not_checked]
        return "the evidence is too thin: " + (
            "; ".join([*self.unproven, *skipped])
            or "a figure is missing, or the side without the fix does not show the defect"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON data; figures that aren't finite become null."""
        content: dict[str, Any] = {
            "experiment": self.experiment,
            "question": self.question,
            "seed": self.seed,
            "options": dict(self.options),
            "verdict": self.outcome.value,
            "exit_code": self.exit_code,
            "versions": versions(),
            "unproven": list(self.unproven),
            "checks": [
                {"name": c.name, "ok": c.ok, "figure": c.figure, "limit": c.limit}
                | ({"not_checked": c.not_checked} if c.not_checked else {})
                for c in self.checks
            ],
            "variants": {name: dict(run) for name, run in self.variants.items()},
            "lines": [
                {
                    "row": line.defect_id,
                    "name": line.name,
                    "unit": line.unit,
                    WITHOUT: line.with_ if self.left_out else line.without,
                    WITH: None if self.left_out else line.with_,
                    "limit": line.limit,
                    "shows": line.shows,
                    "not_checked": line.not_checked,
                }
                for line in self.lines
            ],
            "tables": [{"title": table.title, "columns": table.columns, "rows": table.rows} for table in self.tables],
            "notes": list(self.notes),
            **self.extra,
        }
        plain: dict[str, Any] = _plain(content)
        return plain

    def write(self, json_path: Path | None = None, out: Path | None = None) -> list[Path]:
        """Write the JSON to `json_path`, the page, pictures and JSON to the folder `out`; return what was written."""
        text = json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n"
        written = self.written
        if out is not None:
            from voxpool.sim.report.page import html_page

            out.mkdir(parents=True, exist_ok=True)
            drawn = [draw() for draw in self.pictures]
            for picture in drawn:
                written.append(write_text(out / f"{picture.name}.svg", picture.svg))
            written.append(write_text(out / "report.html", html_page(self, drawn)))
            written.append(write_text(out / "report.json", text))
        if json_path is not None:
            json_path.parent.mkdir(parents=True, exist_ok=True)
            json_path.write_text(text, encoding="utf-8")
            written.append(json_path)
        return written

    def print(self, console: Console) -> None:
        """Print the lines as a table, the notes and the verdict."""
        from rich import table as rich_table

        for beside in self.tables:
            shown_table = rich_table.Table(title=in_markup(beside.title), title_justify="left", expand=False)
            for i, column in enumerate(beside.columns):
                shown_table.add_column(in_markup(column), justify="right" if i else "left")
            for cells_of_row in beside.rows:
                shown_table.add_row(*map(in_markup, cells_of_row))
            console.print(shown_table)
        table = rich_table.Table(
            title=in_markup(f"{self.experiment}: {self.question}"), title_justify="left", expand=False
        )
        table.add_column("row", no_wrap=True)
        table.add_column("figure")
        columns = self.columns
        for heading in columns:
            table.add_column(heading, justify="right")
        table.add_column("limit")
        table.add_column("verdict")
        for line in self.lines:
            word, style = line.word(self.variant)
            row = [line.defect_id, line.name, *(line.cell(side) for side in columns.values()), line.limit]
            table.add_row(*map(in_markup, row), f"[{style}]{in_markup(word)}[/]" if style else in_markup(word))
        console.print(table)
        for note in self.notes:
            console.print(f"  {in_markup(note)}", highlight=False)
        outcome = self.outcome
        colour = {"holds": "green", "broken": "red", "unclear": "yellow"}[outcome.value]
        console.print(f"[bold {colour}]{outcome.value}[/] (exit {self.exit_code}): {in_markup(self.meaning)}")
        for path in self.written:
            console.print(f"  written: {in_markup(str(path))}", highlight=False, soft_wrap=True)


def _plain(value: Any) -> Any:
    """Return `value` as JSON data: no nan, no infinity, no tuples, string keys."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value.value if isinstance(value, StrEnum) else value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        return _plain(value.item())
    return str(value)
