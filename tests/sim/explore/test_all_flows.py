"""`voxpool-sim explore --all`: one report for all flows that are searched completely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from voxpool.sim.explore.all_flows import explore_all
from voxpool.sim.explore.model.flows import COMPLETE, FLOWS
from voxpool.sim.explore.search.tally import Tally


@contextmanager
def silent(what: str) -> Iterator[None]:
    yield None


def test_all_flows_are_in_one_report_with_both_counts() -> None:
    few = {name: FLOWS[name] for name in ("1-busy", "1-leftover-offline", "all-together")}
    report = explore_all(few, 60.0, True, silent)
    figures = {line.name: line.with_ for line in report.lines}
    assert report.exit_code == 0
    assert figures["1-leftover-offline: interleavings"] == 473
    assert figures["1-leftover-offline: interleavings by the plain search"] == 473
    assert figures["1-leftover-offline: the plain search agrees"] == 1
    assert not any(name.startswith("all-together") for name in figures)


def test_a_search_ended_by_its_time_is_no_evidence() -> None:
    report = explore_all({"2-2timeouts": FLOWS["2-2timeouts"]}, 0.1, True, silent)
    assert report.exit_code == 2


def test_the_selected_flows_exist() -> None:
    assert list(COMPLETE)[:7] == [
        "1-timeout-offline",
        "1-timeout-offline-hop",
        "1-2timeouts-offline",
        "1-timeout-offline-resubmit-cancel",
        "2-offline-cancel",
        "2-timeout-offline",
        "2-2timeouts",
    ]


def test_searches_with_different_numbers_of_orders_do_not_agree() -> None:
    plain = Tally("every interleaving", runs=1_531, ends={"an end": 1_531})
    assert plain.agrees(Tally("by sleep sets", runs=60, interleavings=1_531, ends={"an end": 60}))
    assert not plain.agrees(Tally("by sleep sets", runs=60, interleavings=1_684, ends={"an end": 60}))
    assert not plain.agrees(Tally("by sleep sets", runs=60, interleavings=1_531, ends={"another": 60}))
