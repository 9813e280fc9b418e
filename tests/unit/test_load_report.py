"""The report of a load run: it is read as written, and its page needs no other file and escapes all texts."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from tests.unit.load_reports import load_report
from voxpool.loadtest.report._page import html_page
from voxpool.loadtest.report._records import ErrorCount, LoadReport, encoded, read_report
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.report.report import Check

EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def report() -> LoadReport:
    """Return a report with every part."""
    return load_report(1, rate_per_s=20, lasts_s=60, failing=0.05, bytes_a_job=200)


def test_a_written_report_can_be_read(report: LoadReport, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(encoded(report))
    assert read_report(tmp_path / "report.json") == report
    assert read_report(tmp_path) == report


def test_the_report_is_plain_json(report: LoadReport) -> None:
    plain = msgspec.json.decode(encoded(report))
    assert plain["report"] == "load"
    assert {"verdict", "exit_code", "checks", "options", "versions"} <= set(plain)
    assert plain["checks"][0]["limit"] == "<= 0 %"
    assert sum(window["operations"]["WS result"]["requests"] for window in plain["windows"]) == next(
        operation["requests"] for operation in plain["operations"] if operation["name"] == "result"
    )


def test_a_figure_that_is_not_a_number_is_null(report: LoadReport) -> None:
    odd = msgspec.structs.replace(report, checks=[Check("p99", False, float("nan"), "< 1", False)])
    assert msgspec.json.decode(encoded(odd))["checks"][0]["figure"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "no report of a load run"),
        (b'{"experiment": "leak", "verdict": "holds"}', "no report of a load run"),
        (b'{"report": "load", "schema": 2}', "no report of a load run"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_an_invalid_report_is_rejected_by_name(text: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "a.json"))) as refused:
        read_report(tmp_path / "a.json")
    assert words in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"report\.json: No such file"):
        read_report(tmp_path)


def test_the_page_shows_everything_and_loads_nothing(report: LoadReport) -> None:
    page = html_page(report)
    for text in (
        "Load generator", "WS result", "no_result", "load:test", "chi-square", "Jobs a node", "Distribution of latency",
        "Memory of the scheduler", "Allocated bytes by jobs finished", "num_users",
    ):  # fmt: skip
        assert text in page
    assert page.count("data:image/svg+xml;base64,") == 6
    parts = ('class="key"', ">Checks<", ">Pictures<", ">Load generator<", ">Operations<")
    places = [page.index(part) for part in parts]
    assert places == sorted(places), "key figures, verdicts and pictures come first"
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    assert "@import" not in page


def test_the_page_escapes_foreign_texts(report: LoadReport) -> None:
    evil = msgspec.structs.replace(
        report,
        host=EVIL,
        why=EVIL,
        ended_by=EVIL,
        notes=[EVIL],
        options={EVIL: EVIL},
        scheduler={"settings": {EVIL: EVIL}, EVIL: EVIL},
        errors=[ErrorCount("WS", EVIL, EVIL, 1, 0, 1)],
        checks=[Check(EVIL, True, EVIL, EVIL)],
    )
    assert "<script" not in html_page(evil)


def test_a_run_that_never_began_has_a_page_too(report: LoadReport) -> None:
    nothing = msgspec.structs.replace(
        report, windows=[], operations=[], errors=[], memory=None, pools=None, arrivals=None, jobs=None, checks=[]
    )
    page = html_page(nothing)
    assert report.host in page
    assert "data:image" not in page
