"""The table of all findings as Markdown, and its place in docs/findings.md between two markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BEGIN, END = "<!-- findings -->", "<!-- /findings -->"
HEAD = "| defect | what went wrong | command | figure | without | with | verdict |"


def render(findings: Sequence[Mapping[str, Any]], questions: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the table with a line for each finding; the id is a link when a page of `questions` has it."""
    there = {(question["experiment"], section["row"]) for question in questions for section in question["sections"]}
    lines = [_line(finding, (finding["experiment"].split()[0], finding["row"]) in there) for finding in findings]
    return "\n".join([HEAD, "|---|---|---|---|---|---|---|", *lines])


def put_into(text: str, table: str) -> str:
    """Return `text` with `table` between the markers. Raises ValueError unless there is one of each, in order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the place of the table must be marked by one {BEGIN} and, after it, one {END}")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def taken_from(text: str) -> str:
    """Return the table between the markers."""
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def _line(finding: Mapping[str, Any], has_page: bool) -> str:
    figures = finding["figures"]
    size = f" {finding['size']}" if finding["size"] else ""
    row, page = finding["row"], finding["experiment"].split()[0]
    cells = [
        f"[{row}](findings/{page}.md#{row.lower()})" if has_page else row,
        finding["what"],
        f"`voxpool-sim {finding['experiment']}{size} --without {row}`",
        *("<br>".join(figure[key] for figure in figures) for key in ("name", "without", "with")),
        finding["verdict"],
    ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
