"""The HTML page of a report: a single file with embedded pictures. All text is escaped.

The verdict, the key figures and the pictures come first, the long tables follow. Colours follow the system's scheme.
"""

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
:root { color-scheme:light dark; --ink:light-dark(#1c2430,#e6e9ee); --soft:light-dark(#5b6675,#a3adbb);
  --rule:light-dark(#d9dee5,#303846); --ground:light-dark(#f6f7f9,#0f1319); --card:light-dark(#fff,#181d25);
  --holds:light-dark(#1a7f4b,#5cc98f); --broken:light-dark(#b3261e,#ff8f85); --unclear:light-dark(#8a5a00,#f2b950); }
* { box-sizing: border-box; }
body { margin:0; background:var(--ground); color:var(--ink); font:16px/1.5 system-ui, sans-serif; }
main { max-width:72rem; margin:0 auto; padding:2rem 1.25rem 4rem; }
h1 { margin:0 0 .25rem; font-size:1.7rem; } h2 { margin:2.25rem 0 .75rem; font-size:1.15rem; }
h1, h2, p, li, dt, dd, summary { overflow-wrap:anywhere; }
.question { margin:0; color:var(--soft); font-size:1.05rem; }
.verdict { display:flex; gap:.9rem; align-items:baseline; margin:1.25rem 0 0; padding:.8rem 1rem;
  background:var(--card); border-left:.35rem solid currentColor; }
.verdict b { flex:none; font-size:1.15rem; } .verdict span { color:var(--ink); }
.holds { color:var(--holds); } .broken { color:var(--broken); } .unclear { color:var(--unclear); }
.key { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); gap:.75rem;
  margin:1.25rem 0 0; }
.key div { display:flex; flex-direction:column-reverse; justify-content:flex-end; padding:.7rem .9rem;
  background:var(--card); border:1px solid var(--rule); }
.key dt, .key small { font-size:.85rem; font-weight:400; }
.key small { white-space:nowrap; } .key dd { font-size:1.35rem; font-weight:600; }
.scroll { overflow-x:auto; background:var(--card); border:1px solid var(--rule); }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th, td { padding:.5rem .75rem; text-align:left; border-bottom:1px solid var(--rule); vertical-align:top; }
tr:last-child td { border-bottom:0; } th { font-size:.85rem; color:var(--soft); font-weight:600; }
.number { text-align:right; } .number, .short { white-space:nowrap; }
td.word { font-weight:600; } td.name { min-width:10rem; }
.pictures { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap:1.25rem;
  margin:1.5rem 0 0; }
figure { margin:0; background:var(--card); border:1px solid var(--rule); }
.picture { overflow-x:auto; padding:.75rem; }
.picture img { display:block; width:100%; min-width:28rem; height:auto; }
figcaption { padding:.6rem 1rem; color:var(--soft); }
li { margin:.25rem 0; } details { margin-top:1rem; } summary { cursor:pointer; }
pre { background:var(--card); border:1px solid var(--rule); padding:.75rem; overflow-x:auto; font-size:.85rem; }
dl { display:grid; grid-template-columns:fit-content(50%) minmax(0, 1fr); gap:.15rem 1rem; margin:0; }
dt { color:var(--soft); } dd { margin:0; }
"""
KEY_FIGURES = 6
Cell = str | tuple[str, str]
"""Text, or text with the class of its cell."""


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
{_key_figures(report)}
{figures}
{"".join(_beside(table) for table in report.tables)}
<h2>Figures</h2>{_table(report)}
{f"<h2>Basis of the verdict</h2><ul>{notes}</ul>" if notes else ""}
<h2>Options</h2>{options}
<h2>Versions</h2>{definitions(versions())}
<details><summary>All figures of the runs, as JSON</summary><pre>{data}</pre></details>
</main></body></html>
"""


def _key_figures(report: Report) -> str:
    """Return up to KEY_FIGURES lines as tiles: first broken ones, then the first with a limit of each defect."""
    seen: set[str] = set()
    ranked: list[tuple[int, Line]] = []
    for line in report.lines:
        is_first = bool(line.defect_id and line.limit) and line.defect_id not in seen
        if is_first:
            seen.add(line.defect_id)
        ranked.append((0 if line.word(report.variant)[1] == "red" else 1 if is_first else 2, line))
    ranked.sort(key=lambda one: one[0])
    return f'<dl class="key">{"".join(_tile(line, report) for _, line in ranked[:KEY_FIGURES])}</dl>' if ranked else ""


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """Return figures with their names as tiles, in the look of a report's key figures."""
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}</dd></div>" for name, figure in figures)
    return f'<dl class="key">{shown}</dl>'


def _tile(line: Line, report: Report) -> str:
    *others, (_, side) = report.columns.items()
    beside = "".join(f" <small>{escape(heading)} {escape(line.cell(one))}</small>" for heading, one in others)
    name = f"{line.defect_id} {line.name}".strip()
    word, colour = line.word(report.variant)
    kind = f' class="broken" title="{escape(word)}"' if colour == "red" else ""
    return f"<div><dt>{escape(name)}</dt><dd{kind}>{escape(line.cell(side))}{beside}</dd></div>"


def _beside(table: Table) -> str:
    heads, *rows = [[_sided(i, text) for i, text in enumerate(row)] for row in (table.columns, *table.rows)]
    return f"<h2>{escape(table.title)}</h2>{table_of(table.title, heads, rows)}"


def _sided(column: int, text: str) -> Cell:
    return (text, "number") if column else text


def _table(report: Report) -> str:
    columns = report.columns
    heads: list[Cell] = ["defect", "figure", *((heading, "number") for heading in columns), "limit", "verdict"]
    return table_of("Figures", heads, [_row(line, columns.values(), report.variant) for line in report.lines])


def _row(line: Line, sides: Iterable[str], variant: str) -> list[Cell]:
    word, colour = line.word(variant)
    kind = {"green": "holds", "red": "broken", "yellow": "unclear"}.get(colour, "")
    return [
        line.defect_id,
        (line.name, "name"),
        *((line.cell(side), "number") for side in sides),
        (line.limit, "short"),
        (word, f"word {kind}"),
    ]


def table_of(name: str, heads: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table that scrolls in a narrow window, by keyboard too. Columns without any text are left out."""
    used = [column for column in range(len(heads)) if any(_text(row[column]) for row in rows)]
    head = "".join(_cell("th", heads[column]) for column in used)
    body = "".join(f"<tr>{''.join(_cell('td', row[column]) for column in used)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{table}</div>'


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _cell(tag: str, cell: Cell) -> str:
    kind = "" if isinstance(cell, str) else f' class="{cell[1].strip()}"'
    return f"<{tag}{kind}>{escape(_text(cell))}</{tag}>"


def figures_of(drawn: Iterable[Picture]) -> str:
    """Return the pictures with captions; "" without any."""
    figures = "".join(
        f'<figure><div class="picture" tabindex="0" role="region" aria-label="{escape(picture.title)}">'
        f'<img alt="{escape(picture.title)}" src="data:image/svg+xml;base64,'
        f'{base64.b64encode(picture.svg.encode()).decode("ascii")}"></div><figcaption>{escape(picture.caption)}</figcaption></figure>'
        for picture in drawn
    )
    return f'<div class="pictures">{figures}</div>' if figures else ""


def definitions(items: Mapping[str, object]) -> str:
    """Return names with their values."""
    rows = "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in items.items())
    return f"<dl>{rows}</dl>"
