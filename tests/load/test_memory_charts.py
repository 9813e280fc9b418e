"""Charts and figures of memory as HTML: they show what was measured, escape what they show, and stand nothing else."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from loadtest.memory._charts import memory_charts, memory_html, memory_rows
from loadtest.memory._records import Growing, MemoryFinding, MemoryReport, MemorySeries, curves
from loadtest.memory._report_append import MARK, append_memory
from loadtest.memory._svg import POINTS_MAX, Curve, bytes_told, draw, number_told, ticks
from loadtest.memory._verdict import judge_memory
from tests.load.memory_series import RETENTION_S, rising, series

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>1</script>'\"&amp;"


class Tags(HTMLParser):
    """Notes tags and attributes, and fails for tags that don't close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def report_of(made: MemorySeries, **changes: object) -> MemoryReport:
    finding = msgspec.structs.replace(judge_memory(made, RETENTION_S, 50.0), **changes)
    return MemoryReport(
        "watch", finding, made.interval_s, RETENTION_S, curves(made.raw), curves(made.swept), made.first, made.last
    )


def test_a_report_has_its_verdict_its_charts_and_its_table() -> None:
    report = report_of(series(live=rising(200), counts={"table a": rising(0.1)}))
    text = memory_html(report)
    assert [chart.name for chart in memory_charts(report)] == [
        "memory_sizes",
        "memory_live",
        "memory_jobs",
        "memory_growing",
    ]
    assert "<strong>leak</strong>" in text and "growth: 200.0 bytes a job" in text
    assert ("live bytes", "40 MB", "42.38 MB", "2.38 MB") in memory_rows(report)
    tags = Tags(text).found
    assert {tag for tag, _ in tags}.isdisjoint({"script", "style", "img", "a"})
    assert all(not name.startswith(("on", "style", "href", "src")) for _, attributes in tags for name in attributes)


def test_hostile_text_stays_text() -> None:
    """Names of types come from the scheduler, reasons from whatever answered."""
    grows = [Growing(HOSTILE, 1.0, [1, 2, 3])]
    made = series(counts={HOSTILE: lambda n: n, "type " + HOSTILE: lambda n: n})
    text = memory_html(report_of(made, reason=HOSTILE, notes=[HOSTILE], growing=grows))
    assert text.count("document.title") >= 4
    assert {tag for tag, _ in Tags(text).found}.isdisjoint({"script", "img"})


def test_without_a_reading_there_is_the_reason_alone() -> None:
    report = MemoryReport("watch", MemoryFinding("unclear", "it needs an admin's token"))
    assert memory_charts(report) == [] and memory_rows(report) == []
    assert "admin&#x27;s token" in memory_html(report) and "<table" not in memory_html(report)


def test_what_is_not_known_is_a_gap() -> None:
    text = draw("t", "x", "bytes", [Curve("a", [0, 1, 2, 3, 4], [1, 2, None, 4, float("nan")])])
    assert text.count("M") - text.count("MB") == 2 and "NaN" not in text.replace("nan", "NaN")


def test_nothing_to_draw_is_nothing() -> None:
    assert draw("t", "x", "bytes", []) == draw("t", "x", "bytes", [Curve("a", [0, 1], [None, None])]) == ""
    assert "<circle" in draw("t", "x", "bytes", [Curve("a", [0], [5])]), "a single point is seen"


def test_very_many_points_are_thinned_and_keep_their_ends() -> None:
    text = draw("t", "x", "", [Curve("a", range(100_000), range(100_000))])
    assert text.count("L") == POINTS_MAX - 1 and "99,999 at the end" in text and len(text) < 20_000


@pytest.mark.parametrize(("low", "high"), [(0, 0), (5, 5), (-3, 7), (0, 1e-6), (41.2e6, 41.9e6), (0, 1e12)])
def test_ticks_are_round_and_reach_both_ends(low: float, high: float) -> None:
    found = ticks(low, high, 5)
    assert 2 <= len(found) <= 8 and found[0] <= low and found[-1] >= high
    assert len({f"{number:.6g}" for number in found}) == len(found)


def test_numbers_as_people_read_them() -> None:
    assert [bytes_told(size) for size in (0, 999, 1500, -2_000_000, 3.2e9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "-2 MB",
        "3.2 GB",
    ]
    assert [number_told(number) for number in (0, 12, 1234567, 0.25)] == ["0", "12", "1,234,567", "0.25"]


def test_the_charts_come_into_locusts_own_report_once(tmp_path: Path) -> None:
    page = tmp_path / "locust.html"
    assert not append_memory(page, report_of(series())), "Locust wrote none"
    page.write_text("<html><body><div id='root'></div><script>'</body>'</script></body></html>")
    assert append_memory(page, report_of(series())) and not append_memory(page, report_of(series()))
    text = page.read_text()
    assert text.count(MARK) == 1 and text.endswith("</section></body></html>") and "prefers-color-scheme" not in text
    assert text.index("<script>'</body>'</script>") < text.index(MARK), "after Locust's own"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["locust.html"]
    page.write_text("no page at all")
    assert not append_memory(page, report_of(series())) and page.read_text() == "no page at all"
