"""A schedule as a line to paste, a run by a schedule, and the shrinking of a failing one."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.explore.toy_threads import Op, Threads, comes_in_order, padded, threads
from voxpool.sim.explore.model.execution import NOTHING, WRITE, Footprint, Step
from voxpool.sim.explore.model.running import NO_END, follow
from voxpool.sim.explore.search.depth_first import every_end, every_order
from voxpool.sim.explore.search.schedule import Departure, WrongSchedule, from_text, to_text
from voxpool.sim.explore.search.shrinking import shrink
from voxpool.sim.explore.search.tally import Budget
from voxpool.sim.explore.search.walks import random_walks

ALL = Budget()
SCHEDULES = st.lists(st.tuples(st.integers(0, 99), st.text(min_size=1)), unique_by=lambda part: part[0]).map(
    lambda parts: tuple(Departure(*part) for part in sorted(parts))
)


@given(SCHEDULES)
def test_a_schedule_of_any_labels_can_be_read_from_its_line(schedule: tuple[Departure, ...]) -> None:
    """It is one word between double quotes in a shell, too."""
    text = to_text(schedule)
    assert from_text(text) == schedule
    assert shlex.split(f'"{text}"') == [text]
    assert not set(text) & set('"`$\\!\n')


@pytest.mark.parametrize("text", ["1", "x:y", "1:", "2:a;1:b", "1:a;1:b", "-1:a"])
def test_invalid_schedules_are_rejected(text: str) -> None:
    with pytest.raises(WrongSchedule, match="schedule"):
        from_text(text)


def test_a_schedule_repeats_its_run() -> None:
    make_execution = threads([[Op(WRITE, "x")] * 2] * 3)
    tally = random_walks(threads([[Op(WRITE, "x")] * 2] * 3, lambda log: True), 1, 7, ALL)
    found = tally.first_broken
    assert found is not None and len(found.schedule) >= 2
    again = follow(make_execution, from_text(to_text(found.schedule)))
    assert [taken.step for taken in again.taken] == [taken.step for taken in found.taken]
    assert again.end == found.end


@pytest.mark.parametrize("text", ["0:Z0 w x", "9:A0 w x"])
def test_a_schedule_of_another_execution_is_refused(text: str) -> None:
    """The message names the step, and the open steps at that point."""
    with pytest.raises(WrongSchedule, match="can't be"):
        follow(threads([[Op(WRITE, "x")]] * 2), from_text(text))


@pytest.mark.parametrize(
    ("names", "departures", "steps"),
    [
        (("A5", "B0"), 0, 18),
        (("B0", "A5"), 1, 18),
        (("A1", "C1", "A2"), 2, 18),
    ],
)
def test_a_failing_schedule_gets_the_fewest_departures(names: tuple[str, ...], departures: int, steps: int) -> None:
    """It starts from a random one with many: all schedules with fewer were tried, and the same check breaks."""
    make_execution = threads(padded(3, 6), comes_in_order(*names))
    found = random_walks(make_execution, 1000, 3, ALL).first_broken
    assert found is not None and len(found.schedule) > departures
    shrunk = shrink(make_execution, found, ALL)
    assert shrunk.is_fewest and shrunk.is_shortest
    assert len(shrunk.run.schedule) == departures
    assert len(shrunk.run.taken) == steps
    assert follow(make_execution, shrunk.run.schedule).broken == shrunk.run.broken != []


def test_of_schedules_with_the_fewest_departures_the_shortest_is_taken() -> None:
    """B ends A early or late, with one departure each; the earlier it does, the shorter is the run."""
    make_execution = threads([[Op(WRITE, "x")] * 4, [Op("kill", "A")]], lambda log: "B0" in log and "A3" not in log)
    late = follow(make_execution, (Departure(3, "B0 kill A"),))
    assert len(late.taken) == 4 and late.broken
    shrunk = shrink(make_execution, late, ALL)
    assert len(shrunk.run.taken) == 1 and len(shrunk.run.schedule) == 1


def test_shrinking_reports_that_its_time_ran_out() -> None:
    make_execution = threads(padded(3, 6), comes_in_order("A1", "C1", "A2"))
    found = random_walks(make_execution, 1000, 3, ALL).first_broken
    assert found is not None
    shrunk = shrink(make_execution, found, Budget(runs=3))
    assert not shrunk.is_fewest
    assert shrunk.run.broken


class Breaks(Threads):
    """Raises when B comes before the end of A."""

    def take(self, step: Step) -> Footprint:
        if step.chain == "B" and self.places[0] < 2:
            raise AssertionError("too early")
        return super().take(step)


def test_a_step_that_raises_is_an_end_and_a_finding() -> None:
    """The search continues, and the schedule reproduces the exception."""

    def make_execution() -> Breaks:
        return Breaks([[Op(WRITE, "x")] * 2, [Op(WRITE, "x")]], lambda log: False)

    for search in (every_order, every_end):
        tally = search(make_execution, ALL)
        assert tally.is_complete and tally.runs == 3
        assert tally.broken == {"a step raised AssertionError": 2}
        assert tally.first_broken is not None
        assert follow(make_execution, tally.first_broken.schedule).broken == ["a step raised AssertionError: too early"]


class Endless(Threads):
    """An execution whose single step stays open for ever."""

    def take(self, step: Step) -> Footprint:
        return NOTHING


def test_an_execution_without_an_end_is_a_finding() -> None:
    tally = every_order(lambda: Endless([[Op(WRITE, "x")]], lambda log: False), ALL)
    assert tally.broken == {NO_END: 1}
