"""The reports of `voxpool-sim explore` on toy executions."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.sim.explore.toy_threads import Op, comes_in_order, threads
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.explore import printing
from voxpool.sim.explore.command import Explored, Wanted, explore, find_flow, replayed
from voxpool.sim.explore.model.execution import WRITE, MakeExecution
from voxpool.sim.explore.model.flow import Flow
from voxpool.sim.explore.report import report_of
from voxpool.sim.world.variant import Variant


def good(variant: Variant) -> MakeExecution:
    return threads([[Op(WRITE, "x")] * 2, [Op(WRITE, "y")] * 2, [Op(WRITE, "x")]])


def racy(variant: Variant) -> MakeExecution:
    return threads([[Op(WRITE, "x")] * 3] * 3, comes_in_order("C1", "A2"))


FLOWS = {
    "good": Flow("good", "is all well?", good),
    "racy": Flow("racy", "does C come before A is through?", racy),
    "large": Flow("large", "is that seen in a sample?", racy, is_complete=False),
}


def no_bar(title: str) -> AbstractContextManager[None]:
    return nullcontext()


def explored(**wanted: object) -> Explored:
    asked = Wanted(**wanted)  # type: ignore[arg-type]
    return explore(FLOWS[asked.flow], asked, no_bar)


def test_a_small_flow_is_searched_completely() -> None:
    """It uses sleep sets; --plain runs both searches, which have to agree."""
    report = report_of(explored(flow="good"))
    assert report.exit_code == 0
    both = explored(flow="good", plain=True)
    assert both.searches_agree is True
    pruned, plain = both.tallies
    assert (plain.runs, plain.cut_short) == (30, 0) and pruned.runs < 30
    assert report_of(both).exit_code == 0


def test_a_large_flow_is_sampled_in_three_ways() -> None:
    """The samples are at random, by PCT, and near the default order."""
    found = explored(flow="large", runs=200, departures=None)
    assert [tally.way.split()[0] for tally in found.tallies] == ["random", "PCT", "all"]
    run = report_of(found).as_dict()["variants"]["with"]
    assert run["pct"] == {"depth": 3, "chains": 3, "steps": 9, "bound": pytest.approx(1 / 243)}


def test_an_incomplete_search_does_not_pass() -> None:
    """The exit code is 2: nothing broke, but not all orders were run."""
    for cut in ({"runs": 3}, {"seconds": 0.0}):
        report = report_of(explored(flow="good", **cut))
        assert report.exit_code == 2
        assert not all(check.ok for check in report.checks)


def test_the_first_failing_schedule_is_shrunk_and_replays() -> None:
    """It ends with one line to paste, which reproduces the end."""
    found = explored(flow="racy")
    assert report_of(found).exit_code == 1
    assert found.shrunk is not None and found.shrunk.is_fewest
    assert found.line == 'voxpool-sim explore racy --schedule "2:C0 w x;3:C1 w x"'
    schedule = found.line.split('"')[1]
    run = replayed(FLOWS["racy"], found.wanted, schedule)
    assert run.broken == found.shrunk.run.broken
    lines = list(printing.after_the_table(found, is_full=True))
    assert lines[-1] == f"again: {found.line}"
    assert any("BROKEN" in line for line in lines)
    with pytest.raises(ConfigError, match="can't be"):
        replayed(FLOWS["good"], found.wanted, schedule)


def test_the_side_without_a_fix_has_to_break() -> None:
    """The exit code is 1 when its defect shows, and 2 when it does not, which proves nothing."""
    assert report_of(explored(flow="racy", without="R9")).exit_code == 1
    assert report_of(explored(flow="good", without="R9")).exit_code == 2


def test_the_report_is_written_with_its_outcome_table(tmp_path: Path) -> None:
    report = report_of(explored(flow="racy", plain=True, departures=2))
    report.write(tmp_path / "report.json", tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["verdict"] == "broken" and content["first_failing"]["departures"] == 2
    assert len(content["steps"]) == 9
    plain = content["variants"]["with"]["searches"][1]
    assert plain["runs"] == 1_680 and sum(end["runs"] for end in plain["ends"]) == plain["runs"]
    assert any(end["is_broken"] for end in plain["ends"])
    assert (tmp_path / "outcomes.svg").read_text().startswith("<svg ")


def test_an_unknown_flow_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="racy"):
        find_flow(FLOWS, "rasy")
    assert sum(line.startswith("  ") for line in printing.list_of(FLOWS)) == 3
