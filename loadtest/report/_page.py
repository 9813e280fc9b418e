"""The HTML page of a load report: a single file, in the style of the simulation's. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from voxpool.leakgate.report.charts import report_html
from voxpool.leakgate.report.svg import CSS_FILE
from voxpool.loadtest.report._checks import figure_of
from voxpool.loadtest.report._pictures import pictures_of
from voxpool.loadtest.report._records import LoadReport, Operation
from voxpool.loadtest.verdict._knee import knee_note
from voxpool.sim.report.limits import in_words, shown
from voxpool.sim.report.page import STYLE, Cell, definitions, figures_of, table_of, tiles

_MORE_STYLE = """
.memory .no-leak strong { color:var(--holds); } .memory .leak strong { color:var(--broken); }
.scroll + .scroll, .memory .scroll { margin:1rem 0; }
.memory h3 { margin:.25rem 0 .5rem; font-size:1rem; font-weight:500; }
.memory { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap:1.25rem; }
.memory > * { margin:0; } .memory figure { padding:.75rem; } .memory > :not(figure) { grid-column:1 / -1; min-width:0; }
.memory, .verdict span { overflow-wrap:anywhere; } .memory td { text-align:right; white-space:nowrap; }
.memory table { overflow-wrap:normal; }
.memory tbody th { min-width:8rem; color:inherit; font-weight:400; white-space:normal; overflow-wrap:anywhere; }
p.note { margin:.5rem 0; color:var(--soft); }
@media print { body { background:#fff; } figure { break-inside:avoid; } }
"""
ROWS_MAX = 100


def html_page(report: LoadReport) -> str:
    """Return the page as text; its pictures are drawn here."""
    title = f"voxpool load: {report.verdict}"
    parts = [
        ("Checks", _checks(report)),
        ("Pictures", figures_of(pictures_of(report))),
        ("Notes", _list(report.notes)),
        ("Load generator", _generator(report)),
        ("Steps", _steps(report)),
        ("Operations", _operations(report.operations)),
        ("Failures by reason", _errors(report)),
        ("Pools", _pools(report)),
        ("Memory of the scheduler", _memory(report)),
        ("Options", definitions({name: "" if value is None else value for name, value in report.options.items()})),
        ("The scheduler", _scheduler(report.scheduler)),
        ("Versions of the generator", definitions(report.versions)),
    ]
    body = "\n".join(f"<h2>{escape(head)}</h2>{content}" for head, content in parts if content)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{CSS_FILE.read_text(encoding="utf-8")}{STYLE}{_MORE_STYLE}</style></head><body><main>
<h1>Load test of {escape(report.host)}</h1>
<p class="question">{escape(report.started)}, {shown(report.duration_s, "s")}, up to {report.users_max:,} users;
ended by: {escape(report.ended_by)}</p>
<p class="verdict {report.verdict}"><b>{report.verdict}</b><span>{escape(report.why)}
(exit code {report.exit_code})</span></p>
{_jobs(report)}
{body}
</main></body></html>
"""


def _checks(report: LoadReport) -> str:
    rows: list[list[Cell]] = []
    for check in report.checks:
        verdict: Cell = (check.word, f"word {check.word}") if check.decides else f"{check.word}, does not decide"
        rows.append([check.name, _right(figure_of(check)), in_words(check.limit), verdict, check.note])
    return _table("checks", ["check", _right("figure"), "limit", "verdict", "note"], rows)


def _generator(report: LoadReport) -> str:
    generator = report.generator
    word, sentence = (
        ("unclear", "The generator, not the scheduler, may have set these figures:")
        if generator.was_limit
        else ("holds", "The generator kept up with the load.")
    )
    rows: list[list[Cell]] = [
        [
            process.name,
            _right(str(process.pid)),
            _right(_share(process.cpu_mean)),
            _right(_share(process.cpu_max)),
            _right(shown(process.rss_bytes_max / 1e6, "MB")),
        ]
        for process in generator.processes
    ]
    heads: list[Cell] = ["process", _right("pid"), _right("CPU of a core, mean"), _right("max"), _right("RSS, max")]
    found = (
        f'<p class="{word}">{sentence}</p>{_list(generator.reasons)}{_table("processes of the generator", heads, rows)}'
    )
    arrivals = report.arrivals
    if arrivals is not None:
        lag = arrivals.lag_s
        found += (
            f'<p class="note">Arrivals: {arrivals.intended:,} intended, {arrivals.sent:,} sent, {arrivals.late:,} late '
            f"(more than {arrivals.late_ms:g} ms), {arrivals.dropped:,} dropped"
            + (f"; lag p50 {_ms(lag.p50)}, p99 {_ms(lag.p99)}, max {_ms(lag.max)}" if lag else "")
            + ".</p>"
        )
    return found


def _jobs(report: LoadReport) -> str:
    """Return what became of the jobs, as tiles."""
    if report.jobs is None:
        return ""
    return tiles((name, f"{getattr(report.jobs, name):,}") for name in report.jobs.__struct_fields__)


def _steps(report: LoadReport) -> str:
    if report.knee is None:
        return ""
    rows: list[list[Cell]] = [
        [_right(f"{step.users:,}"), _right(shown(step.rate_per_s)), _right(f"{step.failures:,}"),
         _right(_ms(getattr(step.latency_s, "p50", None))), _right(_ms(getattr(step.latency_s, "p99", None))),
         ("good", "word holds") if step.is_good else ("too much", "word unclear")]
        for step in report.knee.steps
    ]  # fmt: skip
    heads = [_right(head) for head in ("client users", "results a second", "failures", "p50", "p99")]
    limit = f"p99 up to {report.knee.limit_ms:g} ms"
    return f'<p class="note">{escape(knee_note(report.knee))}</p>{_table("steps", [*heads, limit], rows)}'


def _operations(operations: Sequence[Operation]) -> str:
    rows: list[list[Cell]] = []
    for one in operations:
        latency = one.latency_s
        names = ("mean", "p50", "p90", "p99", "p999", "max")
        rows.append(
            [
                f"{one.type} {one.name}",
                _right(f"{one.requests:,}"),
                _right(f"{one.failures:,}"),
                _right(shown(one.rate_per_s)),
                *(_right(_ms(getattr(latency, name, None))) for name in names),
            ]
        )
    heads = ["requests", "failures", "a second", "mean", "p50", "p90", "p99", "p99.9", "max"]
    return _table("operations", ["operation", *map(_right, heads)], rows)


def _errors(report: LoadReport) -> str:
    rows: list[list[Cell]] = [
        [f"{one.type} {one.name}", one.reason, _right(f"{one.count:,}"), _right(shown(one.first_s, "s")),
         _right(shown(one.last_s, "s"))]
        for one in report.errors[:ROWS_MAX]
    ]  # fmt: skip
    return _table(
        "failures by reason", ["operation", "reason", _right("count"), _right("first at"), _right("last at")], rows
    )


def _pools(report: LoadReport) -> str:
    pools = report.pools
    if pools is None:
        return ""
    many = "pool" if pools.count == 1 else "pools"
    found = f'<p class="note">{pools.count:,} {many}; the largest has {pools.nodes_max:,} nodes.'
    if pools.p_value is not None:
        found += (
            f" Jobs a node against even shares, over all groups of equal nodes: chi-square {shown(pools.chi_square)} "
            f"with {pools.degrees:,} degrees, p = {shown(pools.p_value)}. Jobs of a session go to the node of its "
            "last job, if that has room: with few sessions, shares are uneven by design."
        )
    found += f" {escape(pools.unreadable)}</p>"
    groups: list[list[Cell]] = [
        [
            group.pair,
            _right(f"{group.nodes:,}"),
            _right(f"{group.jobs:,}"),
            _right(shown(100 * group.share_max, "%")),
            _right(shown(100 * group.share_min, "%")),
            _right(shown(group.chi_square)),
            _right(f"{group.degrees:,}"),
            _right(shown(group.p_value)),
        ]
        for group in pools.groups[:ROWS_MAX]
    ]
    heads = ["nodes", "jobs", "greatest share", "smallest share", "chi-square", "degrees", "p"]
    found += _table("shares of nodes", ["nodes of", *map(_right, heads)], groups)
    rows: list[list[Cell]] = [
        [pool.pair, *(_right(f"{number:,}") for number in (pool.nodes, pool.slots, pool.running_max, pool.waiting_max))]
        for pool in pools.pools[:ROWS_MAX]
    ]
    return found + _table("pools", ["pool", *map(_right, ["nodes", "slots", "running, max", "waiting, max"])], rows)


def _memory(report: LoadReport) -> str:
    return "" if report.memory is None else f'<div class="memory">{report_html(report.memory)}</div>'


def _scheduler(about: Mapping[str, Any]) -> str:
    """Return the scheduler's report about itself; nested values, such as its settings, are folded."""
    plain = {name: value for name, value in about.items() if not isinstance(value, Mapping)}
    folded = "".join(
        f"<details><summary>{escape(name)}</summary>{definitions(value)}</details>"
        for name, value in about.items()
        if isinstance(value, Mapping)
    )
    return f"{definitions(plain) if plain else ''}{folded}"


def _right(text: str) -> tuple[str, str]:
    return text, "number"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else shown(seconds * 1000, "ms")


def _table(name: str, heads: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table; nothing when it has no rows."""
    if not rows:
        return ""
    return table_of(name, heads, rows)


def _list(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""
