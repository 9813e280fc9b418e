"""Appends the charts of memory to the HTML report that Locust writes with --html."""

from __future__ import annotations

from pathlib import Path

from voxpool.leakgate.report.charts import report_html
from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.report.svg import CSS_FILE

MARK = '<section id="voxpool-memory">'
_STYLE = """
#voxpool-memory { max-width: 60rem; margin: 2rem auto; padding: 1.5rem; background: var(--chart-card);
  color: var(--chart-ink); font: 15px/1.5 system-ui, sans-serif; }
#voxpool-memory table { border-collapse: collapse; } #voxpool-memory .scroll { overflow-x: auto; }
#voxpool-memory th, #voxpool-memory td { padding: .3rem .75rem; text-align: right; }
#voxpool-memory th:first-child { min-width: 8rem; text-align: left; font-weight: 400; }
#voxpool-memory { overflow-wrap: anywhere; } #voxpool-memory td { white-space: nowrap; }
#voxpool-memory figure { margin: 1.5rem 0; }
"""


def append_memory(path: Path, report: WatchReport) -> bool:
    """Append the charts to the page at `path`, once; return whether they were appended.

    A missing page is not created. The file is replaced atomically.
    """
    try:
        page = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    head, end, tail = page.rpartition("</body>")
    if not end or MARK in page:
        return False
    style = f"<style>{CSS_FILE.read_text(encoding='utf-8')}{_STYLE}</style>"
    section = f"{MARK}<h2>Memory of the scheduler</h2>{style}{report_html(report)}</section>"
    written = path.with_name(path.name + ".part")
    written.write_text(head + section + end + tail, encoding="utf-8")
    written.replace(path)
    return True
