"""Memory in Locust's web interface: a tab with a table (Locust's tabs can only be tables), and charts at /memory.

The page loads nothing from other hosts; its Content-Security-Policy allows no inline style or script.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from flask import Response, make_response, request

from voxpool.leakgate.report.charts import COLUMNS, Row, fastest_rows, notes_of, report_html
from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.report.svg import CSS_FILE, bytes_text

KEY = "memory"
_TAB = ("what", "growth", "first", "last")
"""Columns of the tab; sentences are in the second, which is visible in a narrow window."""
_ASSETS = Path(__file__).parent / "assets"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": POLICY, "x-content-type-options": "nosniff", "cache-control": "no-store"}
_FILES = {
    "charts.css": (CSS_FILE, "text/css"),
    "memory.css": (_ASSETS / "memory.css", "text/css"),
    "memory.js": (_ASSETS / "memory.js", "text/javascript"),
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>voxpool: memory</title><link rel="icon" href="{base}/assets/favicon-light.png">
<link rel="stylesheet" href="{base}/memory/charts.css"><link rel="stylesheet" href="{base}/memory/memory.css">
<script type="module" src="{base}/memory/memory.js"></script></head>
<body><main><p><a href="{base}/">Locust</a></p><h1>Memory of the scheduler</h1>
<p class="state" id="state" role="status">Read when the page was opened.</p>
<h2>Verdict and figures</h2>
<div id="content" data-source="{base}/memory/content">{content}</div></main></body></html>
"""


def add_memory_page(web_ui: Any, base: str, report: Callable[[], WatchReport]) -> None:
    """Add the tab and the page to `web_ui`, which has not started yet; `base` is its --web-base-path, "" = none.

    `report` is called in another thread, because a verdict takes tens of ms, which would delay the load.
    """
    app = web_ui.app
    base = base.rstrip("/")

    def latest() -> WatchReport:
        found: WatchReport = gevent.get_hub().threadpool.apply(report)
        return found

    def memory() -> Response:
        return _answer(_PAGE.format(base=base, content=report_html(latest())), "text/html")

    def content() -> Response:
        return _answer(report_html(latest()), "text/html")

    def file(name: str) -> Response:
        if name not in _FILES:
            return make_response("there is no such file", 404)
        path, media_type = _FILES[name]
        return _answer(path.read_text(), media_type)

    for path, view in (("/memory", memory), ("/memory/content", content), ("/memory/<name>", file)):
        app.add_url_rule(base + path, f"memory_{view.__name__}", web_ui.auth_required_if_enabled(view))

    def add_rows(response: Response) -> Response:
        if request.path == f"{base}/stats/requests" and response.status_code == 200:
            statistics = json.loads(response.get_data())
            tables = [*statistics.get("extended_stats", []), {"key": KEY, "data": tab_rows(latest(), base)}]
            response.set_data(json.dumps({**statistics, "extended_stats": tables}))
        return response

    app.after_request(add_rows)
    arguments = web_ui.template_args
    arguments["extended_tabs"] = [*arguments.get("extended_tabs", []), {"title": "Memory", "key": KEY}]
    structure = [{"key": key, "title": getattr(COLUMNS, key)} for key in _TAB]
    arguments["extended_tables"] = [*arguments.get("extended_tables", []), {"key": KEY, "structure": structure}]


def tab_rows(report: WatchReport, base: str = "") -> list[dict[str, str]]:
    """Return the rows of the tab: verdict, charts, fastest growth, sizes, notes. `base` is the prefix of the page.

    Each part of the reason has a separate row, and figures do not wrap, because a tab can only show a table.
    """
    finding = report.finding
    rows = [{"what": "verdict", "growth": finding.verdict}]
    parts = finding.reason.split("; ")
    rows += [{"what": "" if number else "reason", "growth": part} for number, part in enumerate(parts)]
    rows.append({"what": "charts", "growth": f"{base}/memory"})
    rows += [
        {"what": f"line {line.where}", "growth": _unbroken(f"{line.text} a {finding.unit}")} for line in finding.lines
    ]
    rows += [_sized(row) for row in fastest_rows(finding)]
    if report.first is not None and report.last is not None:
        for name, first, last in (
            ("allocated bytes", report.first.allocated_bytes, report.last.allocated_bytes),
            ("RSS", report.first.rss_bytes, report.last.rss_bytes),
        ):
            if first is not None and last is not None:
                rows.append(_sized(Row(name, bytes_text(first), bytes_text(last), bytes_text(last - first))))
    rows += [{"what": "" if number else "notes", "growth": note} for number, note in enumerate(notes_of(finding))]
    return [dict.fromkeys(_TAB, "") | row for row in rows]


def _sized(row: Row) -> dict[str, str]:
    return {name: text if name == "what" else _unbroken(text) for name, text in row._asdict().items()}


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _answer(text: str, media_type: str) -> Response:
    response = make_response(text)
    response.headers.update(_HEADERS)
    response.headers["content-type"] = f"{media_type}; charset=utf-8"
    return response
