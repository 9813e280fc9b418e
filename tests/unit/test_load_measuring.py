"""The measuring part, without Locust: requests arrive by an event, workers' counts by their reports."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from voxpool.loadtest.measuring._part import Measuring
from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.running._part import Context, Role
from voxpool.loadtest.users._counts import Counts
from voxpool.loadtest.users._state import STATE


class Hook:
    """An event as Locust has them."""

    def __init__(self) -> None:
        self._listeners: list[Any] = []

    def add_listener(self, listener: Any) -> None:
        self._listeners.append(listener)

    def fire(self, **arguments: Any) -> None:
        for listener in self._listeners:
            listener(**arguments)


class Process:
    """A process of a run: its events, its part, and a manual clock."""

    def __init__(self, role: Role) -> None:
        self.events = SimpleNamespace(request=Hook(), report_to_master=Hook(), worker_report=Hook())
        environment = SimpleNamespace(events=self.events)
        self.context = Context(environment, SimpleNamespace(user_count=30), None, role, LoadOptions())
        self.counts = Counts()
        self.now_s = 1000.0
        self.measuring = Measuring(self.context, self.counts, lambda: self.now_s)

    def request(self, at_s: float, name: str = "result", exception: Any = None) -> None:
        self.now_s = 1000.0 + at_s
        self.events.request.fire(
            request_type="WS", name=name, response_time=50.0, response_length=10, exception=exception, context={}
        )

    def report(self) -> dict[str, Any]:
        """Return the report of this worker to its master."""
        data: dict[str, Any] = {"user_count": 3}
        self.events.report_to_master.fire(client_id="w", data=data)
        return data


@pytest.fixture
def started() -> Iterator[Any]:
    """Makes processes of a started run."""
    made: list[Process] = []
    STATE.start()

    def start(role: Role) -> Process:
        process = Process(role)
        process.measuring.start()
        made.append(process)
        return process

    yield start
    for process in made:
        process.measuring.stop()
    STATE.start()


def test_a_single_process_counts_its_requests(started: Any) -> None:
    local = started("local")
    local.request(1)
    local.request(7, exception="no_result")
    local.request(8, exception=ValueError("first line\nsecond line"))
    local.request(9, exception=KeyError())
    figures = local.measuring.figures()
    assert figures.duration_s == 9
    assert {error.reason for error in figures.errors} == {"no_result", "first line", "KeyError"}
    assert [window.operations["WS result"].requests for window in figures.windows] == [1, 3]
    assert figures.generator.processes[0].name == "local"


def test_nothing_counts_before_the_start_and_a_new_test_begins_at_zero(started: Any) -> None:
    process = Process("local")
    process.request(1)
    assert process.measuring.figures().operations == []
    local = started("local")
    local.request(1)
    local.measuring.stop()
    local.measuring.start()
    assert local.measuring.figures().operations == []


def test_reports_of_workers_count_once_in_the_masters_figures(started: Any) -> None:
    master, first, second = started("master"), started("worker"), started("worker")
    first.request(1)
    first.counts.arrived(0.01, False)
    first.counts.stands("a:b", "n1")
    second.request(2, exception="twice")
    second.counts.answered("a:b", "n2")
    for _ in range(3):
        master.events.worker_report.fire(client_id="first", data=first.report())
    master.events.worker_report.fire(client_id="second", data=second.report())
    figures = master.measuring.figures()
    (operation,) = figures.operations
    assert (operation.requests, operation.failures) == (2, 1)
    assert figures.arrivals is not None
    assert figures.arrivals.intended == 1
    assert figures.served == {("a:b", "n1"): 0, ("a:b", "n2"): 1}
    assert [process.name for process in figures.generator.processes] == ["master", "first", "second"]


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"process": {}, "tally": {"cells": [], "errors": []}},
        {"process": {"process": {"pid": 1}}, "tally": {}},
        {"process": {"process": {"pid": "x"}}, "tally": {"cells": [], "errors": []}},
        {"process": {"process": {"pid": 1}}, "tally": {"cells": [[0, "WS", "result", 1, 0, [7]]], "errors": []}},
        [],
    ],
)
def test_a_worker_of_another_version_leaves_a_run_without_a_pass(started: Any, figures: Any) -> None:
    master = started("master")
    for _ in range(3):
        master.events.worker_report.fire(client_id="odd", data={"voxpool_figures": figures})
    (missing,) = master.context.missing
    assert missing.startswith("worker odd sends its figures in another format")
    assert [process.name for process in master.measuring.figures().generator.processes] == ["master"]


def test_the_time_of_the_run_ends_with_the_last_submit(started: Any) -> None:
    local = started("local")
    local.request(4)
    STATE.closed_s = 1005.0
    local.request(9)
    assert local.measuring.figures().duration_s == 5
    local.measuring.stop()
    local.now_s = 2000.0
    assert local.measuring.figures().duration_s == 5
    assert local.measuring.figures().operations[0].requests == 2
