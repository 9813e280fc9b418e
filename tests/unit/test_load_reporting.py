"""The report is made of the parts' measurements; it contains no secret, and states the limits of the load."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.unit.load_reports import load_report
from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.report._records import Arrivals, Generator, LoadReport, encoded, read_report
from voxpool.loadtest.report._reporting import Reporting, make_folder, write_report
from voxpool.loadtest.running._part import Context
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.report.report import Check, Outcome

SECRET = "hunter2"


def composed(**changed: Any) -> LoadReport:
    """Return the report of a run with invented figures."""
    made = load_report(1, lasts_s=30)
    figures = SimpleNamespace(
        **{
            **{name: getattr(made, name) for name in made.__struct_fields__},
            "served": {("load:test", "n1"): 7, ("load:test", "n2"): 0},
            **changed,
        }
    )
    options = LoadOptions(
        client_token=SECRET, node_token=SECRET, admin_token=SECRET, redis_url=f"redis://me:{SECRET}@store:6379/0",
        store=f"unix:///run/redis.sock?db=0&password={SECRET}",
    )  # fmt: skip
    parsed = Namespace(num_users=50, spawn_rate=5.0, run_time=30, client_token=SECRET)
    context = Context(SimpleNamespace(parsed_options=parsed), None, None, "local", options)
    context.host = f"http://me:{SECRET}@scheduler:5010"
    measuring: Any = SimpleNamespace(figures=lambda: figures)
    pools: Any = SimpleNamespace(seen={}, unreadable="GET /v1/pools answers 403")
    reporting = Reporting(context, measuring, pools)
    return reporting.compose(
        reporting.figures(), outcome=Outcome.HOLDS, exit_code=0, why="all checks hold",
        checks=[Check("requests", True, 7, "> 0")], notes=["first"],
    )  # fmt: skip


def test_the_report_has_measurements_and_verdict(tmp_path: Path) -> None:
    report = composed()
    written = write_report(report, tmp_path / "run" / "1")
    assert [path.name for path in written] == ["report.json", "report.html"]
    assert read_report(tmp_path / "run" / "1") == report
    assert (report.verdict, report.why, report.checks[0].figure) == ("holds", "all checks hold", 7)
    assert report.pools is not None
    assert [group.counts for group in report.pools.groups] == [[7, 0]]
    assert report.pools.unreadable == "GET /v1/pools answers 403"
    assert (report.options["num_users"], report.options["slots"]) == (50, 2)


def test_the_report_has_no_secret(tmp_path: Path) -> None:
    report = composed()
    write_report(report, tmp_path)
    for name in ("report.json", "report.html"):
        assert SECRET not in (tmp_path / name).read_text()
    assert report.options["redis_url"] == "redis://store:6379/0"
    assert report.host == "http://scheduler:5010"
    assert SECRET.encode() not in encoded(report)


def test_a_load_that_differs_from_the_request_is_noted() -> None:
    assert all("not sent" not in note for note in composed(arrivals=None).notes)
    arrivals = Arrivals(intended=1000, sent=900, late=0, dropped=100, late_ms=100)
    generator = Generator(was_limit=True, reasons=["its core was full"], notes=["all cores were busy"])
    notes = composed(arrivals=arrivals, generator=generator).notes
    assert notes[:3] == [
        "first",
        "The generator, not the scheduler, may have set these figures: its core was full.",
        "All cores were busy.",
    ]
    assert notes[3].startswith("100 of 1,000 arrivals were not sent")


def test_missing_fields_of_an_older_report_have_defaults() -> None:
    """A later version reads today's reports, as fields are only added; the fields without a default are these."""
    needed = {field.name for field in msgspec.structs.fields(LoadReport) if field.required}
    assert needed == {
        "verdict", "exit_code", "why", "host", "started", "duration_s", "ended_by", "options", "versions", "generator",
    }  # fmt: skip


def test_an_unwritable_folder_is_refused_before_the_load(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    for folder, words in (
        (tmp_path / "file", "File exists"),
        (tmp_path / "file" / "below", "Not a directory"),
        (tmp_path / "taken", r"report\.html is a folder"),
    ):
        with pytest.raises(ConfigError, match=rf"--out .*{words}: no report can be written there"):
            make_folder(folder)
    make_folder(tmp_path / "new" / "folder")
    make_folder(tmp_path / "new" / "folder")
