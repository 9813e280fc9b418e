"""The table of findings: the figures of a row, and that docs/findings.md is up to date with the JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from findings import __main__ as command
from findings.__main__ import FINDINGS, PAGE, PAGES
from findings.explored import finding_of
from findings.pages import Found, merged_questions, question_of, render_page, write_pictures
from findings.rows import CATALOGUE, merged, rows_of
from findings.table import BEGIN, END, put_into, render, taken_from
from voxpool.sim.experiments.catalogue import BY_NAME
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.without import VARIANTS
from voxpool.sim.report.report import Line, Picture, Report


def report(with_: int = 0, **options: Any) -> dict[str, Any]:
    lines = [
        Line("M1", "jobs submitted", "", 1000, 1000),
        Line("M1", "jobs left", "", 1000, with_, "== 0", "> 900"),
        Line("M1", "bytes left | at the end", "kB", 1.25, 0.0, "== 0"),
        Line("size", "not of the catalogue", "", 1, 1, "== 1"),
    ]
    shown = Options(**options).shown()
    return Report("leak", "Do jobs stay?", 3, shown, lines, variants={"without": {}, "with": {}}).as_dict()


ABOUT = {"M1": "jobs stay", "size": "more of them"}


def test_a_row_shows_the_figures_that_show_the_defect_and_have_a_limit() -> None:
    (finding,) = rows_of(report(), ABOUT)

    assert finding == {
        "row": "M1",
        "what": "jobs stay",
        "experiment": "leak",
        "size": "",
        "seed": 3,
        "figures": [{"name": "jobs left", "without": "1,000", "with": "0"}],
        "verdict": "holds",
    }


def test_a_row_with_a_broken_limit_fails() -> None:
    assert rows_of(report(with_=1), ABOUT)[0]["verdict"] == "does not hold"


def test_a_new_finding_replaces_the_old_one_in_the_order_of_the_ids() -> None:
    old = [{"row": row, "experiment": "x", "verdict": "old"} for row in ("R2", "M1")]
    new = [{"row": row, "experiment": "x", "verdict": "new"} for row in ("R10", "C9", "R2")]

    assert [(finding["row"], finding["verdict"]) for finding in merged(old, new)] == [
        ("M1", "old"), ("C9", "new"), ("R2", "new"), ("R10", "new"),
    ]  # fmt: skip


def test_a_line_of_the_table() -> None:
    table = render(rows_of(report(quick=True), ABOUT), [question_of(report(), ABOUT, [])])

    assert table.split("\n")[2] == (
        "| [M1](findings/leak.md#m1) | jobs stay | `voxpool-sim leak --quick --without M1` "
        "| jobs left | 1,000 | 0 | holds |"
    )


def test_the_table_is_only_inserted_between_its_markers() -> None:
    text = put_into(f"before\n{BEGIN}\nold\n{END}\nafter\n", "| new |")

    assert text == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    assert taken_from(text) == "| new |"
    with pytest.raises(ValueError, match="marked by one"):
        put_into("no markers", "| new |")


def test_the_table_in_the_page_is_up_to_date() -> None:
    assert taken_from(PAGE.read_text(encoding="utf-8")) == render(committed(), questions())


PICTURE = Picture("jobs", "Jobs over time", "They grow.", "<svg/>")


def test_a_page_has_the_question_the_pictures_and_the_figures_of_each_defect(tmp_path: Path) -> None:
    question = question_of(report(), ABOUT, [PICTURE])
    write_pictures([Picture("old", "", "", "<svg/>")], "leak", tmp_path)
    write_pictures([PICTURE], "leak", tmp_path)

    page = render_page(question)

    assert [path.name for path in tmp_path.iterdir()] == ["leak-jobs.svg"]
    parts = ("# leak", "Do jobs stay?", "`voxpool-sim leak --seed 3`: **holds**", "![Jobs over time](leak-jobs.svg)",
             "They grow.", "## M1: jobs stay { #m1 }", "| jobs left | 1,000 | 0 | == 0 | holds |",
             "| bytes left / at the end |", "## more of them")  # fmt: skip
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert merged_questions([question], question | {"seed": 4}) == [question | {"seed": 4}]


def test_an_experiment_without_a_defect_of_the_table_has_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line("size", "wait of the others", "s", 60.0, 0.5, "<= 1")
    content = Report("leak", "Who waits?", 3, Options().shown(), [line], variants={"without": {}, "with": {}}).as_dict()
    found = Found(rows_of(content, ABOUT), question_of(content, ABOUT, [PICTURE]), [PICTURE])
    assert found.rows == []
    page = tmp_path / "findings.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    monkeypatch.setattr(command, "_found", lambda name, options: found)
    for name, place in (("FINDINGS", tmp_path / "findings.json"), ("PAGE", page), ("PAGES", tmp_path / "pages")):
        monkeypatch.setattr(command, name, place)

    done = CliRunner().invoke(command.main, ["--only", "share"])

    assert done.exit_code == 0, done.output
    assert "| wait of the others | 60 s | 0.5 s | <= 1 | holds |" in (tmp_path / "pages" / "leak.md").read_text()
    assert (tmp_path / "pages" / "leak-jobs.svg").exists()


def test_a_figure_that_never_ends_shows_the_defect() -> None:
    line = Line("M1", "nodes are chosen again after", "s", float("inf"), 1.0, "<= 2", "breaks")
    found = Report("leak", "?", 3, Options().shown(), [line], variants={}).as_dict()
    (section,) = question_of(found, ABOUT, [])["sections"]
    assert section["lines"] == [["nodes are chosen again after", "-", "1 s", "<= 2", "holds"]]


def test_the_pages_are_up_to_date_and_have_their_pictures() -> None:
    pages = {f"{question['experiment']}.md": render_page(question) for question in questions()}
    assert {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")} == pages
    shown = [name for page in pages.values() for name in re.findall(r"\]\((\S+\.svg)\)", page)]
    pictures = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.svg")}
    assert sorted(shown) == sorted(pictures)
    assert all("prefers-color-scheme:dark" in picture for picture in pictures.values())
    assert sum(map(len, pictures.values())) < 1_000_000
    for page, anchor in re.findall(r"\]\(findings/(\S+\.md)#(\S+)\)", PAGE.read_text(encoding="utf-8")):
        assert f"{{ #{anchor} }}" in pages[page]


def test_every_defect_is_found_in_its_order() -> None:
    assert [finding["row"] for finding in committed()] == list(CATALOGUE)


def test_every_finding_passes() -> None:
    assert [finding["row"] for finding in committed() if finding["verdict"] != "holds"] == []


def questions() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(FINDINGS.read_text(encoding="utf-8"))["questions"]
    return found


def committed(file: Path = FINDINGS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["findings"]
    return found


def test_the_race_of_a_timeout_and_an_offline_is_shown_by_two_explorations() -> None:
    def exploration(side: str, verdict: str, broken: int) -> dict[str, Any]:
        ends = [{"end": "j1 completed", "share": 0.75}, {"end": "j1 failed (node_gone)", "share": 0.25}]
        search = {"interleavings": 1000, "runs": 8, "broken_runs": broken, "ends": ends[: 1 + (broken > 0)]}
        options = {"quick": False}
        return {"verdict": verdict, "seed": 1, "options": options, "variants": {side: {"searches": [search]}}}

    finding = finding_of(exploration("without", "broken", 2), exploration("with", "holds", 0))

    assert (finding["row"], finding["verdict"]) == ("R1", "holds")
    assert [(figure["without"], figure["with"]) for figure in finding["figures"]] == [
        ("1,000", "1,000"), ("2 of 8", "0 of 8"), ("25.0% of the runs", "0.0% of the runs"),
    ]  # fmt: skip
    assert finding_of(exploration("without", "unclear", 0), exploration("with", "holds", 0))["verdict"] != "holds"


def test_the_page_of_defects_explains_each_id_of_the_commands() -> None:
    page = PAGE.with_name("defects.md").read_text()
    shown = {row for experiment in BY_NAME.values() for row in experiment.rows if row[1:].isdigit()}
    listed = re.findall(r"^\| ([MCR]\d+) \| \S.*\. \|", page, re.MULTILINE)
    assert len(listed) == len(set(listed)) and shown | set(CATALOGUE) <= set(listed)
    assert not [name for name in VARIANTS if name not in listed and f"`{name}`" not in page]
