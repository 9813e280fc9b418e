"""The pictures of a memory report: the same ones live at /memory, in the report and in Locust's own HTML report."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from loadtest.memory._records import MemoryCurves, MemoryFinding, MemoryReport
from loadtest.memory._svg import Chart, Curve, Role, bytes_told, draw, number_told

GROWING_DRAWN = 4
TYPES_SHOWN = 15
_SIZES = {
    "RSS": "rss_bytes",
    "held by the allocators": "held_bytes",
    "live bytes": "live_bytes",
    "live, of Python's allocator": "python_bytes",
    "arenas of Python's allocator": "arenas_bytes",
    "live, of malloc": "malloc_bytes",
    "kept by malloc, not in use": "malloc_free_bytes",
    "keys in the store": "store_bytes",
}
_COUNTS = {
    "finished jobs in the table": "jobs_finished",
    "unfinished jobs": "jobs_unfinished",
    "blocks of Python's allocator": "blocks",
    "objects that the collector follows": "objects",
}
_ROLES: tuple[Role, ...] = ("first", "second", "third", "fourth")
_WORDS = {"leak": "leak", "no leak": "no leak", "unclear": "unclear"}


class Row(NamedTuple):
    """A row of the table, as text."""

    what: str
    first: str
    last: str
    growth: str


COLUMNS = Row("what", "first", "now", "growth")


def memory_charts(report: MemoryReport) -> list[Chart]:
    """Return the charts that have something to show."""
    if report.raw is None:
        return []
    charts = [_sizes(report.raw), _swept(report), _jobs(report.raw, report), _store(report.raw, report.swept)]
    charts.append(_growing(report.finding))
    return [chart for chart in charts if chart.svg]


def memory_html(report: MemoryReport) -> str:
    """Return the finding, its figures and the charts as HTML without style or script (`assets/charts.css` sets it)."""
    finding = report.finding
    notes = "".join(f"<li>{escape(note)}</li>" for note in finding.notes)
    notes = f'<ul class="notes">{notes}</ul>' if notes else ""
    figures = "".join(
        f"<figure><h3>{escape(chart.title)}</h3>{chart.svg}<figcaption>{escape(chart.caption)}</figcaption></figure>"
        for chart in memory_charts(report)
    )
    word = _WORDS.get(finding.verdict, "unclear")
    return (
        f'<p class="finding {word.replace(" ", "-")}"><strong>{escape(word)}</strong> {escape(finding.reason)}</p>'
        f"{notes}{figures}{_rows(report)}"
    )


def memory_rows(report: MemoryReport) -> list[Row]:
    """Return the rows of the table: sizes, then counts, of which the fastest growing types are named."""
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
            rows.append(_row(name, before or 0, now or 0, name.startswith("store bytes")))
    return [row for row in rows if row is not None]


def _row(name: str, first: int | None, last: int | None, is_bytes: bool) -> Row | None:
    if first is None or last is None:
        return None
    told = bytes_told if is_bytes else number_told
    return Row(name, told(first), told(last), told(last - first))


def _rows(report: MemoryReport) -> str:
    rows = memory_rows(report)
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Figures">{table}</div>'


def _sizes(raw: MemoryCurves) -> Chart:
    lines = [
        Curve("RSS", raw.t_s, raw.rss_bytes, "second"),
        Curve("held by the allocators", raw.t_s, raw.held_bytes, "third"),
        Curve("live bytes", raw.t_s, raw.live_bytes, "first"),
    ]
    title = "Memory of the scheduler"
    return Chart(
        "memory_sizes",
        title,
        "Live = asked for and not given back. Live up: a leak of objects. Live flat and held up: fragmentation. Both "
        "flat and RSS up: native memory that goes round both allocators.",
        draw(title, "seconds", "bytes", lines),
    )


def _swept(report: MemoryReport) -> Chart:
    curves, finding = report.swept, report.finding
    if curves is None:
        return Chart("memory_live", "", "", "")
    jobs = [ended - curves.jobs_ended[0] for ended in curves.jobs_ended]
    lines = [Curve("live bytes", jobs, curves.live_bytes, "first", dots=True)]
    title = "Live bytes just after each sweep, by jobs ended" if report.interval_s else "Live bytes by jobs ended"
    said = "Too little is known for a growth a job."
    if finding.bytes_a_job is not None:
        known = [(x, y) for x, y in zip(jobs, curves.live_bytes, strict=True) if y is not None][-finding.samples :]
        level = sorted(y for _, y in known)[len(known) // 2]
        middle = (known[0][0] + known[-1][0]) / 2
        ends = [known[0][0], known[-1][0]]
        slopes: list[tuple[str, float, Role]] = [
            (f"growth: {finding.bytes_a_job:,.1f} bytes a job", finding.bytes_a_job, "second"),
            (f"limit: {finding.leak_floor:g} bytes a job", finding.leak_floor, "limit"),
        ]
        for label, slope, role in slopes:
            lines.append(Curve(label, ends, [level + slope * (x - middle) for x in ends], role))
        said = (
            f"{finding.bytes_a_job:,.1f} bytes a job, at least {finding.bytes_a_job_low or 0:,.1f}, at most "
            f"{finding.bytes_a_job_high or 0:,.1f}; up to {finding.leak_floor:g} counts as none."
        )
    return Chart("memory_live", title, said, draw(title, "jobs ended", "bytes", lines, y_from_zero=False))


def _jobs(raw: MemoryCurves, report: MemoryReport) -> Chart:
    lines = [
        Curve("finished, not yet swept", raw.t_s, raw.jobs_finished, "first"),
        Curve("unfinished", raw.t_s, raw.jobs_unfinished, "second"),
    ]
    title = "Jobs in the table"
    swept = f"swept every {report.interval_s:g} s" if report.interval_s else "never swept: the clean-up is off"
    caption = f"A finished job stays for {report.retention_s:g} s; {swept}."
    return Chart("memory_jobs", title, caption, draw(title, "seconds", "jobs", lines))


def _store(raw: MemoryCurves, swept: MemoryCurves | None) -> Chart:
    title = "Keys in the store"
    lines = [] if swept is None else [Curve("bytes, by MEMORY USAGE", swept.t_s, swept.store_bytes, "first")]
    caption = "Nodes, slots and holds: it follows the nodes and the jobs in flight, not the jobs that have ended."
    return Chart("memory_store", title, caption, draw(title, "seconds", "bytes", lines))


def _growing(finding: MemoryFinding) -> Chart:
    title = "What grows"
    lines = [
        Curve(one.name, range(len(one.values)), one.values, role)
        for one, role in zip(finding.growing[:GROWING_DRAWN], _ROLES, strict=False)
    ]
    return Chart("memory_growing", title, "Counts at each sample that was judged.", draw(title, "sample", "", lines))
