"""The outputs of a verdict: text, exit code and files."""

from __future__ import annotations

from html import escape
from pathlib import Path

import msgspec

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.report.charts import COLUMNS, Row, fastest_rows, notes_of, report_html
from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.report.svg import CSS_FILE

EXIT_NO_LEAK, EXIT_LEAK, EXIT_UNCLEAR = 0, 1, 2
_EXITS = {"no leak": EXIT_NO_LEAK, "leak": EXIT_LEAK}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
{css}
</style>
<main>
<h1>{title}</h1>
{body}
</main>
</html>
"""


def exit_code(finding: MemoryFinding) -> int:
    """Return 0 for no leak, 1 for a leak, 2 for everything else."""
    return _EXITS.get(finding.verdict, EXIT_UNCLEAR)


def text_of(report: WatchReport) -> str:
    """Return the verdict, its notes and the counts that grew fastest as lines of text."""
    finding = report.finding
    lines = [f"{finding.verdict}: {finding.reason}"]
    if finding.work:
        done = f"{finding.seconds:,.0f} s and {finding.work:,} {finding.unit}s"
        lines.append(f"  {finding.readings} readings over {done}")
    lines += [f"  {note}" for note in notes_of(finding)]
    if rows := fastest_rows(finding):
        lines += ["", "Counts that grew fastest:", *_aligned([COLUMNS, *rows])]
    return "\n".join(lines)


def write_json(report: WatchReport, path: Path) -> None:
    """Write `report`; `leakgate judge` reads it."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


def write_html(report: WatchReport, path: Path) -> None:
    """Write a self-contained HTML page."""
    title = f"Memory of {report.source.name or 'a process'}"
    page = _PAGE.format(title=escape(title), css=CSS_FILE.read_text(encoding="utf-8"), body=report_html(report))
    path.write_text(page, encoding="utf-8")


def _aligned(rows: list[Row]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = []
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join(["", first.ljust(widths[0]), *cells]))
    return lines
