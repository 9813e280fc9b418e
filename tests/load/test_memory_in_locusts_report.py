"""The memory charts in Locust's own report."""

from __future__ import annotations

from pathlib import Path

from tests.unit.load_reports import memory_report
from voxpool.loadtest.memory._report_append import MARK, append_memory

REPORT = memory_report(10.0)


def test_the_charts_are_in_locusts_own_report_once(tmp_path: Path) -> None:
    page = tmp_path / "locust.html"
    assert not append_memory(page, REPORT), "Locust wrote none"
    page.write_text("<html><body><div id='root'></div><script>'</body>'</script></body></html>")
    assert append_memory(page, REPORT) and not append_memory(page, REPORT)
    text = page.read_text()
    assert text.count(MARK) == 1 and text.endswith("</section></body></html>") and "prefers-color-scheme" not in text
    assert text.index("<script>'</body>'</script>") < text.index(MARK), "after Locust's own"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["locust.html"]
    page.write_text("no page at all")
    assert not append_memory(page, REPORT) and page.read_text() == "no page at all"
