"""The charts and tables of a watch, for the live page, reports and self-contained files."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from voxpool.leakgate.judging.finding import Growth, MemoryFinding
from voxpool.leakgate.readings.series import Source
from voxpool.leakgate.report.report import Curves, WatchReport
from voxpool.leakgate.report.svg import Chart, Curve, Role, bytes_text, draw, number_text

GROWING_DRAWN = 4
TYPES_SHOWN = 15
_SIZES = {
    "RSS": "rss_bytes",
    "PSS": "pss_bytes",
    "held by the allocators": "held_bytes",
    "allocated bytes": "allocated_bytes",
    "allocated by Python's allocator": "python_bytes",
    "arenas of Python's allocator": "arenas_bytes",
    "allocated by malloc": "malloc_bytes",
    "kept by malloc, not in use": "malloc_free_bytes",
}
_COUNTS = {
    "finished work that is kept": "kept",
    "work in flight": "in_flight",
    "blocks of Python's allocator": "blocks",
    "objects that the collector follows": "objects",
}
_ROLES: tuple[Role, ...] = ("first", "second", "third", "fourth")
VERDICTS = ("leak", "no leak", "unclear")


class Row(NamedTuple):
    """A row of the table, as text."""

    what: str
    first: str
    last: str
    growth: str


COLUMNS = Row("what", "first", "now", "growth")


def charts_of(report: WatchReport) -> list[Chart]:
    """Return the charts that have data."""
    if report.curves is None:
        return []
    curves, finding, unit = report.curves, report.finding, report.source.unit
    charts = [_judged(curves, finding, unit), _growing(finding), _sizes(curves)]
    charts += [_work(curves, report.source), _store(curves)]
    return [chart for chart in charts if chart.svg]


def finding_html(finding: MemoryFinding) -> str:
    """Return the verdict with its reason, what grows, and the notes, as HTML."""
    word = finding.verdict if finding.verdict in VERDICTS else "unclear"
    items = "".join(f"<li>{escape(note)}</li>" for note in notes_of(finding))
    notes = f'<ul class="notes">{items}</ul>' if items else ""
    return (
        f'<p class="finding {word.replace(" ", "-")}"><strong>{escape(word)}</strong> {escape(finding.reason)}</p>'
        f"{notes}"
    )


def report_html(report: WatchReport) -> str:
    """Return finding, charts and figures as HTML without style or script (`assets/charts.css` sets it)."""
    figures = "".join(
        f"<figure><h3>{escape(chart.title)}</h3>{chart.svg}<figcaption>{escape(chart.caption)}</figcaption></figure>"
        for chart in charts_of(report)
    )
    unit = report.finding.unit
    columns = ("line", f"stays a {unit}", f"allocations a {unit}")
    lines = _table("Lines that allocate what stays", columns, line_rows(report.finding))
    fastest = _table("Counts that grew fastest", COLUMNS, fastest_rows(report.finding))
    rest = _table("", COLUMNS, rows_of(report))
    folded = f"<details><summary>All figures</summary>{rest}</details>" if rest else ""
    return f"{finding_html(report.finding)}{lines}{fastest}{figures}{folded}"


def notes_of(finding: MemoryFinding) -> list[str]:
    """Return the sentences below a verdict: the detectable growth, and the limits of the evidence."""
    unit = finding.unit
    notes = []
    if finding.power_bytes is not None and finding.verdict != "leak":
        what = "allocated bytes" if finding.allocated is not None else "the RSS"
        notes.append(
            f"this run would have found growth of {what} by {finding.power_bytes:,.0f} B a {unit} with 95 % power"
        )
    if finding.allocated is not None and finding.rss is not None:
        notes.append(f"a {unit}: allocated bytes {finding.allocated.text}, RSS {finding.rss.text}")
    elif finding.rss is not None:
        notes.append(
            f"only the RSS was read: a {unit} {finding.rss.text}, up to {finding.rss.limit:,.0f} B count as none; "
            "mount voxpool.leakgate.inside in the server to see smaller leaks, and what they are made of"
        )
    if finding.not_exercised:
        notes.append(f"this load had no {', no '.join(finding.not_exercised)}: a leak of these could not show")
    return notes + finding.notes


def fastest_rows(finding: MemoryFinding) -> list[Row]:
    """Return the counts with the largest growth, leaks first."""
    return [_growth_row(one, finding.unit) for one in finding.fastest if one.lows]


def line_rows(finding: MemoryFinding) -> list[tuple[str, ...]]:
    """Return the lines whose allocations are not freed, the fastest first."""
    return [(line.where, line.text, f"{line.blocks_a_unit:,.2f}") for line in finding.lines]


def rows_of(report: WatchReport) -> list[Row]:
    """Return all figures: sizes, then counts; of the types only the fastest growing."""
    first, last = report.first, report.last
    if first is None or last is None:
        return []
    rows = [_row(name, getattr(first, field), getattr(last, field), True) for name, field in _SIZES.items()]
    rows += [_row(name, getattr(first, field), getattr(last, field), False) for name, field in _COUNTS.items()]
    grown = {name: last.counts.get(name, 0) - first.counts.get(name, 0) for name in {**first.counts, **last.counts}}
    types = sorted((name for name in grown if name.startswith("type ")), key=lambda name: (-grown[name], name))
    names = sorted(name for name in grown if not name.startswith("type ")) + types[:TYPES_SHOWN]
    for name in names:
        before, now = first.counts.get(name), last.counts.get(name)
        if before or now:
            rows.append(_row(name, before or 0, now or 0, " bytes " in name))
    return [row for row in rows if row is not None]


def _growth_row(one: Growth, unit: str) -> Row:
    text_of = bytes_text if one.unit else number_text
    word = f" ({one.verdict})" if one.verdict == "leak" else ""
    return Row(f"{one.name}{word}", text_of(one.lows[0]), text_of(one.lows[-1]), f"{one.text} a {unit}")


def _row(name: str, first: int | None, last: int | None, is_bytes: bool) -> Row | None:
    if first is None or last is None:
        return None
    text_of = bytes_text if is_bytes else number_text
    return Row(name, text_of(first), text_of(last), text_of(last - first))


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with its title (unless it is in a fold with a title); "" without rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    label = escape(title or "All figures")
    return f'{heading}<div class="scroll" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def _judged(curves: Curves, finding: MemoryFinding, unit: str) -> Chart:
    """Return the chart of allocated bytes (or the RSS) over the work: readings, lows, growth and limit."""
    growth = finding.allocated or finding.rss
    name, values = (
        ("allocated bytes", curves.allocated_bytes) if growth is finding.allocated else ("RSS", curves.rss_bytes)
    )
    if growth is None:
        known = any(value is not None for value in curves.allocated_bytes)
        name, values = ("allocated bytes", curves.allocated_bytes) if known else ("RSS", curves.rss_bytes)
    begin = curves.work[0]
    lines = [Curve(name, [work - begin for work in curves.work], values, "fourth")]
    title = f"{name[0].upper()}{name[1:]} by {unit}s finished"
    caption = f"Too little is known for a growth a {unit}."
    if growth is not None and growth.lows and growth.a_unit is not None:
        at = [work - begin for work in growth.at]
        lines.append(Curve("the lowest reading of each stretch", at, growth.lows, "first", dots=True))
        middle, level = sum(at) / len(at), sum(growth.lows) / len(growth.lows)
        slopes: list[tuple[str, float, Role]] = [
            (f"growth: {growth.a_unit:,.0f} B a {unit}", growth.a_unit, "second"),
            (f"limit: {growth.limit:,.0f} B a {unit}", growth.limit, "limit"),
        ]
        for label, slope, role in slopes:
            lines.append(Curve(label, [at[0], at[-1]], [level + slope * (x - middle) for x in (at[0], at[-1])], role))
        caption = (
            f"{growth.text} a {unit}; up to {growth.limit:,.0f} B counts as none. The first third counts as warm-up."
        )
    return Chart("memory_judged", title, caption, draw(title, f"{unit}s finished", "bytes", lines, y_from_zero=False))


def _sizes(curves: Curves) -> Chart:
    lines = [
        Curve("RSS", curves.t_s, curves.rss_bytes, "second"),
        Curve("held by the allocators", curves.t_s, curves.held_bytes, "third"),
        Curve("allocated bytes", curves.t_s, curves.allocated_bytes, "first"),
    ]
    title = "Memory of the process"
    return Chart(
        "memory_sizes",
        title,
        "Allocated = requested and not yet freed. Allocated up: a leak of objects. "
        "Allocated flat and held up: fragmentation. Both flat "
        "and RSS up: native memory that bypasses both allocators.",
        draw(title, "seconds", "bytes", [line for line in lines if any(y is not None for y in line.y)]),
    )


def _work(curves: Curves, source: Source) -> Chart:
    lines = [
        Curve("finished and kept", curves.t_s, curves.kept, "first"),
        Curve("in flight", curves.t_s, curves.in_flight, "second"),
    ]
    lines = [line for line in lines if any(y is not None for y in line.y)]
    title = f"{source.unit[:1].upper()}{source.unit[1:]}s inside the process"
    swept = f"a clean-up runs every {source.interval_s:g} s" if source.interval_s else "no clean-up runs"
    kept = f"Finished ones are kept for {source.retention_s:g} s; {swept}." if source.retention_s else ""
    return Chart("memory_work", title, kept, draw(title, "seconds", f"{source.unit}s", lines))


def _store(curves: Curves) -> Chart:
    title = "Keys in the store"
    known = [(t, size) for t, size in zip(curves.t_s, curves.store_bytes, strict=True) if size is not None]
    if not known:
        return Chart("memory_store", "", "", "")
    lines = [Curve("bytes", [t for t, _ in known], [size for _, size in known], "first")]
    caption = "All keys of the store, as reported by the store."
    return Chart("memory_store", title, caption, draw(title, "seconds", "bytes", lines))


def _growing(finding: MemoryFinding) -> Chart:
    title = "Counts that grow"
    grown = finding.growing[:GROWING_DRAWN]
    lines = [Curve(one.name, one.at, one.lows, role) for one, role in zip(grown, _ROLES, strict=False) if one.lows]
    caption = f"The lowest reading of each stretch, by {finding.unit}s finished."
    return Chart("memory_growing", title, caption, draw(title, f"{finding.unit}s finished", "", lines))
