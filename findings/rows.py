"""The findings of a report: for each defect its verdict, and the figures that have to show it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from voxpool.sim.report.limits import shown

FIGURES_MAX = 2
"""Most figures of a row in the table; the report has all of them."""
CATALOGUE = (
    *(f"M{number}" for number in range(1, 10)),
    *(f"C{number}" for number in range(1, 10)),
    *(f"R{number}" for number in range(1, 25)),
)
"""The defects of the earlier scheduler."""
SIZES = ("quick", "full")
"""Options that make an experiment smaller or larger than its default."""
_ID = re.compile(r"([MCR])(\d+)")


def rows_of(report: Mapping[str, Any], about: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a finding for each row of `report` (the JSON of an experiment); `about` has a text for each row."""
    found = []
    for row in about:
        lines = [line for line in report["lines"] if line["row"] == row]
        if row in CATALOGUE and lines:
            found.append(
                {
                    "row": row,
                    "what": about[row],
                    "experiment": report["experiment"],
                    "size": size_of(report["options"]),
                    "seed": report["seed"],
                    "figures": [_figure(line) for line in _telling(lines)],
                    "verdict": _verdict(row, report["checks"]),
                }
            )
    return found


def size_of(options: Mapping[str, Any]) -> str:
    """Return the option of the size that a report was made with; '' is the default size."""
    return next((f"--{size}" for size in SIZES if options.get(size)), "")


def merged(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return all findings ordered by id; a new finding replaces the old one of the same row and experiment."""
    by_key = {(finding["row"], finding["experiment"]): finding for finding in (*old, *new)}
    return sorted(by_key.values(), key=lambda finding: (_place(finding["row"]), finding["experiment"]))


def _telling(lines: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The lines that show the defect and have a limit; else those that have one of the two; else the first line."""
    for wanted in (all, any):
        chosen = [line for line in lines if wanted((line["limit"], line["shows"]))]
        if chosen:
            return chosen[:FIGURES_MAX]
    return lines[:1]


def _figure(line: Mapping[str, Any]) -> dict[str, str]:
    unit = line["unit"]
    return {"name": line["name"], "without": shown(line["without"], unit), "with": shown(line["with"], unit)}


def _verdict(row: str, checks: Sequence[Mapping[str, Any]]) -> str:
    of_row = [check for check in checks if check["name"].startswith(f"{row} ")]
    if not of_row:
        return "unclear"
    return "holds" if all(check["ok"] for check in of_row) else "does not hold"


def _place(row: str) -> tuple[int, int]:
    match = _ID.fullmatch(row)
    assert match is not None, row
    return "MCR".index(match[1]), int(match[2])
