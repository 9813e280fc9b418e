"""The checks of a run as text: a table for the terminal, and a sentence for each broken one. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from voxpool.sim.report.limits import in_words, shown
from voxpool.sim.report.report import Check

ROWS_MAX = 12
MARKS = {"holds": "\N{CHECK MARK}", "broken": "\N{BALLOT X}", "unclear": "?"}
_URGENCY = ("broken", "unclear", "holds")


def sentence_of(check: Check) -> str:
    """Return a sentence about a broken check: "failures 0.93 %, at most 0 % allowed"."""
    end = "allowed" if check.limit.startswith("<=") else "expected"
    return f"{check.name} {figure_of(check)}, {in_words(check.limit)} {end}"


def figure_of(check: Check) -> str:
    """Return the figure with its unit."""
    return shown(check.figure, check.unit)


def table_lines(checks: Sequence[Check]) -> list[str]:
    """Return at most ROWS_MAX lines: mark, name, figure, limit, note; if there are more, passed checks are left out."""
    kept = list(checks)
    if len(kept) > ROWS_MAX:
        ranked = sorted(range(len(kept)), key=lambda place: _URGENCY.index(kept[place].word))
        kept = [kept[place] for place in sorted(ranked[: ROWS_MAX - 1])]
    rows = [(MARKS[one.word], one.name, figure_of(one), in_words(one.limit), _note(one)) for one in kept]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{mark} {name:<{widths[1]}}  {figure:>{widths[2]}}  {limit:<{widths[3]}}  {note}".rstrip()
        for mark, name, figure, limit, note in rows
    ]
    if len(kept) < len(checks):
        lines.append(f"and {len(checks) - len(kept):,} more in the report")
    return lines


def _note(check: Check) -> str:
    return "; ".join(part for part in (check.note, "" if check.decides else "does not decide") if part)
