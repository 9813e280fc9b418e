"""The HTML page of a report: one file that needs no other, with its pictures inside. All text is escaped."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from voxpool.sim.report.versions import versions

if TYPE_CHECKING:
    from voxpool.sim.report.report import Line, Picture, Report, Table

STYLE = """
:root { color-scheme: light; --ink:#1c2430; --soft:#5b6675; --rule:#d9dee5; --ground:#f6f7f9;
  --holds:#1a7f4b; --broken:#b3261e; --unclear:#8a5a00; }
* { box-sizing: border-box; }
body { margin:0; background:var(--ground); color:var(--ink); font:16px/1.5 system-ui, sans-serif; }
main { max-width:72rem; margin:0 auto; padding:2rem 1.25rem 4rem; }
h1 { margin:0 0 .25rem; font-size:1.7rem; } h2 { margin:2.25rem 0 .75rem; font-size:1.15rem; }
.question { margin:0; color:var(--soft); font-size:1.05rem; }
.verdict { display:flex; gap:.9rem; align-items:baseline; margin:1.25rem 0 0; padding:.8rem 1rem; background:#fff;
  border-left:.35rem solid currentColor; }
.verdict b { font-size:1.15rem; } .verdict span { color:var(--ink); }
.holds { color:var(--holds); } .broken { color:var(--broken); } .unclear { color:var(--unclear); }
.scroll { overflow-x:auto; background:#fff; border:1px solid var(--rule); }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th, td { padding:.5rem .75rem; text-align:left; border-bottom:1px solid var(--rule); vertical-align:top; }
tr:last-child td { border-bottom:0; } th { font-size:.85rem; color:var(--soft); font-weight:600; }
.number { text-align:right; white-space:nowrap; } td.word { font-weight:600; }
figure { margin:0 0 1.75rem; background:#fff; border:1px solid var(--rule); padding:.75rem; }
figure img { display:block; width:100%; height:auto; } figcaption { padding:.5rem .25rem 0; color:var(--soft); }
li { margin:.25rem 0; } details { margin-top:1rem; } summary { cursor:pointer; }
pre { background:#fff; border:1px solid var(--rule); padding:.75rem; overflow-x:auto; font-size:.85rem; }
dl { display:grid; grid-template-columns:max-content 1fr; gap:.15rem 1rem; margin:0; }
dt { color:var(--soft); } dd { margin:0; }
"""


def html_page(report: Report, drawn: Sequence[Picture]) -> str:
    """Return the whole page as text."""
    outcome = report.outcome
    figures = figures_of(drawn)
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    options = definitions({"seed": report.seed, **report.options})
    data = escape(json.dumps(report.as_dict()["variants"], indent=1))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>voxpool: {escape(report.experiment)}: {outcome.value}</title><style>{STYLE}</style></head><body><main>
<h1>{escape(report.experiment)}</h1>
<p class="question">{escape(report.question)}</p>
<p class="verdict {outcome.value}"><b>{outcome.value}</b><span>{escape(report.meaning)}
(exit code {report.exit_code})</span></p>
{"".join(_beside(table) for table in report.tables)}
<h2>Figures</h2>{_table(report)}
{f"<h2>What it rests on</h2><ul>{notes}</ul>" if notes else ""}
{f"<h2>Pictures</h2>{figures}" if figures else ""}
<h2>Options</h2>{options}
<h2>Versions</h2>{definitions(versions())}
<details><summary>All figures of the runs, as JSON</summary><pre>{data}</pre></details>
</main></body></html>
"""


def _beside(table: Table) -> str:
    head = "".join(f"<th{_number(i)}>{escape(column)}</th>" for i, column in enumerate(table.columns))
    rows = "".join(
        "<tr>" + "".join(f"<td{_number(i)}>{escape(cell)}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    return f"<h2>{escape(table.title)}</h2>{table_of(table.title, head, rows)}"


def _number(column: int) -> str:
    return ' class="number"' if column else ""


def _table(report: Report) -> str:
    columns = report.columns
    head = "".join(f'<th class="number">{escape(heading)}</th>' for heading in columns)
    rows = "".join(_row(line, columns.values(), report.variant) for line in report.lines)
    return table_of("Figures", f"<th>defect</th><th>figure</th>{head}<th>limit</th><th>verdict</th>", rows)


def _row(line: Line, sides: Iterable[str], variant: str) -> str:
    word, colour = line.word(variant)
    kind = {"green": "holds", "red": "broken", "yellow": "unclear"}.get(colour, "")
    cells = "".join(f'<td class="number">{escape(line.cell(side))}</td>' for side in sides)
    return (
        f"<tr><td>{escape(line.row)}</td><td>{escape(line.name)}</td>{cells}<td>{escape(line.limit)}</td>"
        f'<td class="word {kind}">{escape(word)}</td></tr>'
    )


def table_of(name: str, head: str, rows: str) -> str:
    """Return a table, which a narrow window scrolls, by keys, too; `head` are its th, `rows` its tr."""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{table}</div>'


def figures_of(drawn: Iterable[Picture]) -> str:
    """Return the pictures with their captions."""
    return "".join(
        f'<figure><img alt="{escape(picture.title)}" src="data:image/png;base64,'
        f'{base64.b64encode(picture.png).decode("ascii")}"><figcaption>{escape(picture.caption)}</figcaption></figure>'
        for picture in drawn
    )


def definitions(items: Mapping[str, object]) -> str:
    """Return names with their values."""
    rows = "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in items.items())
    return f"<dl>{rows}</dl>"
