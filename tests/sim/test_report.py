"""Reports: the verdict of their lines, their JSON, their page and their table."""

from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from voxpool.sim.report.page import STYLE, html_page
from voxpool.sim.report.pictures import Bar, Curve, bars, curves
from voxpool.sim.report.report import Line, Outcome, Picture, Report
from voxpool.sim.report.svg import CLEAR, DARK_GROUND, contrast, dark_of

SVG = "<svg/>"
JOBS_LEFT = Line("M1", "jobs left", "jobs", without=480, with_=0, limit="== 0", shows="== 480")
PAUSE = Line("M9", "longest pause", "ms", without=90.0, with_=2.5, limit="<= 5", shows="breaks")
BESIDE = Line("", "mean wait", "s", without=0.2, with_=0.2)


def report(*lines: Line, **more: Any) -> Report:
    return Report("leak", "Do finished jobs pile up?", 7, {"quick": True}, lines, {"without": {}, "with": {}}, **more)


def test_a_fix_passes_when_only_its_side_keeps_the_limits() -> None:
    found = report(JOBS_LEFT, PAUSE, BESIDE)

    assert (found.outcome, found.exit_code) == (Outcome.HOLDS, 0)
    assert [check.name for check in found.checks] == [
        "M1 jobs left",
        "M1 jobs left, without",
        "M9 longest pause",
        "M9 longest pause, without",
    ]


def test_a_broken_limit_breaks_the_report() -> None:
    found = report(Line("M1", "jobs left", "", without=480, with_=3, limit="== 0", shows="breaks"))

    assert (found.outcome, found.exit_code) == (Outcome.BROKEN, 1)


@pytest.mark.parametrize("figure", [0, None, math.nan])
def test_a_without_side_without_the_defect_proves_nothing(figure: float | None) -> None:
    found = report(Line("M1", "jobs left", "", without=figure, with_=0, limit="== 0", shows="breaks"))

    assert (found.outcome, found.exit_code) == (Outcome.UNCLEAR, 2)


def test_a_missing_figure_fails_closed() -> None:
    found = report(
        Line("M1", "allocated bytes", "", without="leak", with_="unclear", limit="== no leak", shows="== leak")
    )

    assert (found.outcome, found.exit_code) == (Outcome.UNCLEAR, 2)
    assert [check.ok for check in found.checks] == [False, True]


def test_a_broken_limit_takes_precedence_over_little_evidence() -> None:
    unclear = Line("M1", "allocated bytes", "", without="leak", with_="unclear", limit="== no leak")

    assert report(unclear, Line("M1", "jobs left", "", 480, 3, "== 0")).exit_code == 1


def test_a_report_without_checks_proves_nothing() -> None:
    assert report(BESIDE).exit_code == 2
    assert report().exit_code == 2


def test_a_run_without_evidence_is_unclear_unless_a_limit_is_broken() -> None:
    held = Line("M1", "jobs left", "", 480, 0, "== 0")
    thin = report(held, unproven=["no job completed"])
    assert thin.exit_code == 2 and thin.meaning.endswith("no job completed")
    assert report(Line("M1", "jobs left", "", 480, 3, "== 0"), unproven=["no job completed"]).exit_code == 1


def test_without_alone_is_broken_with_the_defect_and_unclear_otherwise() -> None:
    assert report(JOBS_LEFT, PAUSE, variant="without").exit_code == 1
    assert report(Line("M1", "jobs left", "", 0, None, "== 0", "breaks"), variant="without").exit_code == 2
    assert report(Line("M1", "jobs left", "", None, None, "== 0", "breaks"), variant="without").exit_code == 2


def test_with_alone_needs_no_other_side() -> None:
    assert report(Line("M1", "jobs left", "", None, 0, "== 0", "breaks"), variant="with").exit_code == 0


def test_the_json_has_its_documented_form() -> None:
    found = report(JOBS_LEFT, Line("M1", "slope", "", math.nan, math.inf), notes=["planted 64 bytes"])

    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))

    assert {"experiment", "seed", "options", "verdict", "exit_code", "versions", "checks", "variants"} <= set(content)
    assert content["checks"][0] == {"name": "M1 jobs left", "ok": True, "figure": 0, "limit": "== 0"}
    assert content["verdict"] == "holds"
    assert set(content["variants"]) == {"without", "with"}
    assert (content["lines"][1]["without"], content["lines"][1]["with"]) == (None, None)
    assert content["versions"]["python"].startswith("3.")


def test_the_page_begins_with_the_key_figures_and_pictures_and_has_no_empty_column() -> None:
    plain = Line("", "utilisation", "", None, 0.145)
    wrong = Line("", "lost jobs", "", None, 2, "== 0")

    page = html_page(report(plain, wrong, variant="with"), [Picture("jobs", "Jobs", "", SVG)])

    places = [page.index(text) for text in ('class="key"', "lost jobs", "utilisation", "<img", "<table")]
    assert places == sorted(places), "what is broken comes first"
    assert "<th>verdict</th>" in page and "<th>defect</th>" not in page


def test_the_key_figure_of_a_defect_is_one_with_a_limit() -> None:
    page = html_page(report(Line("M1", "jobs submitted", "", 9, 9), Line("M1", "jobs left", "", 9, 0, "== 0")), [])
    key = page[page.index('class="key"') :]
    assert key.index("M1 jobs left") < key.index("M1 jobs submitted")


def test_the_page_needs_no_other_file_and_escapes_text(tmp_path: Path) -> None:
    picture = Picture("jobs", "Jobs <script>", "what & why", SVG)
    found = report(JOBS_LEFT, notes=["<b>bold</b> & more"], pictures=[lambda: picture])

    written = found.write(json_path=tmp_path / "deep" / "leak.json", out=tmp_path / "out")

    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "<b>bold" not in page
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in page
    assert 'src="data:image/svg+xml;base64,PHN2Zy8+"' in page
    assert "http://" not in page and "https://" not in page and "<link" not in page
    assert [path.name for path in written] == ["jobs.svg", "report.html", "report.json", "leak.json"]
    assert (tmp_path / "out" / "report.json").read_text() == (tmp_path / "deep" / "leak.json").read_text()


def test_the_table_has_two_columns_a_limit_and_a_verdict() -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=140, no_color=True)
    report(JOBS_LEFT, PAUSE, BESIDE, notes=["planted [64] bytes"]).print(console)

    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for word in ("without", "with", "limit", "verdict", "480 jobs", "0 jobs", "== 0", "planted [64] bytes", "exit 0"):
        assert word in text
    assert text.count("holds") == 3  # two lines and the whole


def test_one_variant_has_one_column() -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=140, no_color=True)
    report(JOBS_LEFT, variant="without").print(console)

    assert isinstance(console.file, io.StringIO)
    assert "broken" in console.file.getvalue() and "0 jobs" not in console.file.getvalue().replace("480 jobs", "")


def test_pictures_are_small_texts_with_colours_for_light_and_dark() -> None:
    drawn = [
        curves(
            "a",
            "Jobs <b>",
            "hours",
            "jobs",
            [Curve("with", [0, 1], [2, 3], "with"), Curve("bound", [0, 1], [4, 4])],
            "",
        ),
        bars("b", "Keys", "keys", [Bar("M4", 300, 0), Bar("M5", None, 0)], "", y_scale="symlog"),
    ]

    for picture in drawn:
        assert picture.svg.startswith("<svg ") and len(picture.svg) < 10_000
        assert not re.search(r"(?<!,)#[0-9a-f]{6}[;\"]", picture.svg.partition("</style>")[2]), (
            "a colour for light only"
        )
    assert "Jobs &lt;b&gt;" in drawn[0].svg


@pytest.mark.parametrize("colour", ["#1c2430", "#1f6fb2", "#c0392b", "#4a235a", "#e9a23b"])
def test_a_colour_is_as_clear_in_dark_mode(colour: str) -> None:
    assert contrast(dark_of(colour), DARK_GROUND) >= max(CLEAR, 0.98 * contrast(colour, "#ffffff"))


def test_the_dark_ground_of_pictures_is_that_of_the_page() -> None:
    assert f"--card:light-dark(#fff,{DARK_GROUND})" in STYLE
