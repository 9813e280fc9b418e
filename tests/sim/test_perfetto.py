"""The trace for Perfetto: valid, every attempt a slice on a row of its node, every redispatch an arrow."""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import parse_scenario
from voxpool.sim.world.run import play
from voxpool.sim.world.world import World

STORMY = {
    "name": "stormy",
    "duration_s": 120.0,
    "settings": {"waiting_timeout_s": 60.0},
    "nodes": [{"count": 4, "pairs": ["zh:en"], "slots": 3}],
    "traffic": [{"pair": "zh:en", "rate_per_s": 3.0, "work_s": {"dist": "exponential", "mean": 2.0}}],
    "faults": [{"kind": "node_crash", "per_target_per_h": 60.0, "lasts_s": [1.0, 5.0]}],
}


class Counts(Watcher):
    """Counts the events that must be in the trace."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def job_dispatched(self, job: Job, node: object) -> None:
        self.of["attempts"] += 1
        self.of["arrows"] += job.redispatches > 0

    def fault_began(self, kind: str, target: str) -> None:
        self.of["faults"] += 1


@pytest.fixture(scope="module")
def traced() -> tuple[list[dict[str, Any]], Counter[str]]:
    file, counts = io.StringIO(), Counts()
    scenario = parse_scenario(STORMY, "stormy")
    played = play(scenario, seed=5, trace_file=file, watchers=[lambda world: counts])
    assert played.broken == []
    assert counts.of["arrows"] > 5
    return json.loads(file.getvalue()), counts.of


Traced = tuple[list[dict[str, Any]], Counter[str]]


def of_kind(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == kind]


def test_each_attempt_is_one_slice(traced: Traced) -> None:
    events, counts = traced
    slices = of_kind(events, "X")
    assert len(slices) == counts["attempts"]
    assert len({event["name"] for event in slices}) == len(slices)
    assert all(event["dur"] >= 0 for event in slices)


def test_slices_of_a_row_do_not_overlap_and_rows_are_no_more_than_slots(traced: Traced) -> None:
    events, _ = traced
    rows = defaultdict(list)
    for event in of_kind(events, "X"):
        rows[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in rows.values():
        spans.sort()
        assert all(end <= begin + 0.5 for (_, end), (begin, _) in itertools.pairwise(spans))
    assert max(row for _, row in rows) <= 3


def test_every_row_has_a_name(traced: Traced) -> None:
    events, _ = traced
    names = {(event["pid"], event["tid"], event["name"]): event["args"]["name"] for event in of_kind(events, "M")}
    for event in of_kind(events, "X"):
        assert names[event["pid"], 0, "process_name"].startswith("gpu-")
        assert names[event["pid"], event["tid"], "thread_name"] == f"slot {event['tid']}"


def test_every_arrow_begins_in_a_slice_and_ends_at_a_slice(traced: Traced) -> None:
    events, counts = traced
    begins, ends = of_kind(events, "s"), of_kind(events, "f")
    assert len(begins) == len(ends) == counts["arrows"]
    assert [event["id"] for event in begins] == [event["id"] for event in ends]
    slices = of_kind(events, "X")
    for begin, end in zip(begins, ends, strict=True):
        assert begin["ts"] <= end["ts"]
        assert any(_within(begin, piece) for piece in slices)
        assert any(_within(end, piece) and piece["ts"] == end["ts"] for piece in slices)


def _within(event: dict[str, Any], piece: dict[str, Any]) -> bool:
    same_row = (event["pid"], event["tid"]) == (piece["pid"], piece["tid"])
    return same_row and piece["ts"] <= event["ts"] <= piece["ts"] + piece["dur"]


def test_faults_are_shown_when_they_begin_and_when_they_heal(traced: Traced) -> None:
    events, counts = traced
    names = [event["name"] for event in of_kind(events, "i")]
    assert sum(name.startswith("node_crash ") for name in names) == counts["faults"] > 0
    assert sum(name.startswith("healed node_crash ") for name in names) == counts["faults"]


def test_unfinished_slices_are_written_at_the_end() -> None:
    file = io.StringIO()
    world = World(trace_file=file)
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    world.submit("zh:en", work_s=50)
    world.run(for_s=2)
    world.close()
    (piece,) = of_kind(json.loads(file.getvalue()), "X")
    assert piece["args"] == {"job": "s1-1", "attempt": 1, "ended": "still running"}
