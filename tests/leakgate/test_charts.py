"""Charts and figures of memory as HTML: they show the measured values, escape texts, and contain nothing else."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from tests.leakgate.readings import SOURCE, Numbers, noise, rising, series
from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.judging.judge import judge_memory
from voxpool.leakgate.readings.series import Bound, Series
from voxpool.leakgate.report.charts import charts_of, fastest_rows, notes_of, report_html, rows_of
from voxpool.leakgate.report.report import WatchReport, report_of
from voxpool.leakgate.report.svg import POINTS_MAX, Curve, bytes_text, draw, number_text, ticks

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>1</script>'\"&amp;"


class Tags(HTMLParser):
    """Records tags and attributes, and fails for tags that don't close in order."""

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


def report_on(made: Series, with_power: bool = False, **changes: Any) -> WatchReport:
    finding = msgspec.structs.replace(judge_memory(made, SOURCE, 50.0, with_power=with_power), **changes)
    return report_of(finding, SOURCE, made)


def test_a_report_has_its_verdict_its_charts_and_its_table() -> None:
    report = report_on(series(allocated=rising(200), counts={"table a": rising(0.1)}))
    text = report_html(report)
    names = [chart.name for chart in charts_of(report)]
    assert names == ["memory_judged", "memory_growing", "memory_sizes", "memory_work"]
    assert "<strong>leak</strong>" in text and "growth: 200 B a job" in text
    assert ("allocated bytes", "40 MB", "42.38 MB", "2.38 MB") in rows_of(report)
    tags = Tags(text).found
    assert {tag for tag, _ in tags}.isdisjoint({"script", "style", "img", "a"})
    assert all(not name.startswith(("on", "style", "href", "src")) for _, attributes in tags for name in attributes)


def test_the_fastest_growth_is_before_the_charts_and_other_figures_are_folded() -> None:
    """V9: the culprit is visible without scrolling."""
    counts: dict[str, Numbers] = {"table results": rising(0.1), "type Quiet": lambda n: 7}
    report = report_on(series(counts=counts))
    assert [row.what for row in fastest_rows(report.finding)] == ["table results (leak)"]
    text = report_html(report)
    assert text.index("table results") < text.index("<figure>") < text.index("<details>") < text.index("type Quiet")


def test_the_limit_is_the_same_everywhere() -> None:
    """V8: the reason, the legend of the chart, its caption and the table have the same number."""
    young = msgspec.structs.replace(SOURCE, bounds={"table history": Bound(310, 7_000.0)})
    made = series(allocated=rising(20), counts={"table history": lambda n: n})
    finding = judge_memory(made, young, 50.0)
    text = report_html(report_of(finding, young, made))
    assert finding.allocated is not None and round(finding.allocated.limit) == 120
    assert "limit 120 B)" in finding.reason
    assert "limit: 120 B a job" in text and "up to 120 B counts as none" in text
    assert finding.notes[0].startswith("the limit is 120 B a job")
    assert not re.search(r"(limit|up to|allowed)[^.<]{0,12}\b50 B", text)


def test_a_healthy_run_states_its_sensitivity_and_what_it_did_not_exercise() -> None:
    report = report_on(series(allocated=noise(30_000)), with_power=True, not_exercised=["reconnects", "cancels"])
    power = report.finding.power_bytes
    assert power is not None and 50 < power < 200
    notes = notes_of(report.finding)
    assert notes[0] == f"this run would have found growth of allocated bytes by {power:,.0f} B a job with 95 % power"
    assert "this load had no reconnects, no cancels: a leak of these could not show" in notes
    assert any(note.startswith("a job: allocated bytes") and "RSS" in note for note in notes)
    assert all(html.escape(note) in report_html(report) for note in notes)


def test_hostile_text_stays_text() -> None:
    """Names of types come from the process, reasons from any server."""
    made = series(counts={HOSTILE: lambda n: 10 * n, "type " + HOSTILE: lambda n: 10 * n})
    text = report_html(report_on(made, reason=HOSTILE, notes=[HOSTILE], not_exercised=[HOSTILE]))
    assert text.count("document.title") >= 6
    assert {tag for tag, _ in Tags(text).found}.isdisjoint({"script", "img"})


def test_without_a_reading_only_the_reason_is_shown() -> None:
    report = WatchReport(finding=MemoryFinding(verdict="unclear", reason="it needs an admin's token"))
    assert charts_of(report) == [] and rows_of(report) == []
    assert "admin&#x27;s token" in report_html(report) and "<table" not in report_html(report)


def test_an_unknown_value_is_a_gap() -> None:
    text = draw("t", "x", "bytes", [Curve("a", [0, 1, 2, 3, 4], [1, 2, None, 4, float("nan")])])
    assert text.count("M") - text.count("MB") == 2 and "NaN" not in text.replace("nan", "NaN")


def test_without_points_nothing_is_drawn() -> None:
    assert draw("t", "x", "bytes", []) == draw("t", "x", "bytes", [Curve("a", [0, 1], [None, None])]) == ""
    assert "<circle" in draw("t", "x", "bytes", [Curve("a", [0], [5])]), "a single point is seen"


def test_many_points_are_thinned_and_keep_their_ends() -> None:
    text = draw("t", "x", "", [Curve("a", range(100_000), range(100_000))])
    assert text.count("L") == POINTS_MAX - 1 and "99,999 at the end" in text and len(text) < 20_000


@pytest.mark.parametrize(("low", "high"), [(0, 0), (5, 5), (-3, 7), (0, 1e-6), (41.2e6, 41.9e6), (0, 1e12)])
def test_ticks_are_round_and_reach_both_ends(low: float, high: float) -> None:
    found = ticks(low, high, 5)
    assert 2 <= len(found) <= 8 and found[0] <= low and found[-1] >= high
    assert len({f"{number:.6g}" for number in found}) == len(found)


def test_numbers_are_formatted_for_people() -> None:
    assert [bytes_text(size) for size in (0, 999, 1500, -2_000_000, 3.2e9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "-2 MB",
        "3.2 GB",
    ]
    assert [number_text(number) for number in (0, 12, 1234567, 0.25)] == ["0", "12", "1,234,567", "0.25"]
