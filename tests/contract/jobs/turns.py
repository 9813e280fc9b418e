"""Start-time fair queueing in a few lines: which waiting job must be next when the order is fair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.contract.jobs.job import WAITS, Job

BEGIN = 1
AHEAD_MAX = 100


@dataclass
class Lane:
    """The keys that wait for one pair with one priority; every key that was seen since somebody began to wait."""

    now: int = BEGIN
    starts: dict[str, int] = field(default_factory=dict)
    ties: dict[str, int] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)


@dataclass
class Turns:
    """The lanes in which somebody waits."""

    lanes: dict[tuple[str, str], Lane] = field(default_factory=dict)

    def begins(self, job: Job, others: Iterable[Job]) -> None:
        """`job` begins to wait beside `others`."""
        priority, cost, key = job.turn.split(".", 2)
        lane = self.lanes.setdefault((job.pair, priority), Lane())
        if job.came_back:
            return
        lane.costs[key] = int(cost)
        if not any(other.flow == job.flow for other in others):
            lane.starts[key] = max(lane.starts.get(key, 0), lane.now)
            lane.ties[key] = job.place

    def charge(self, job: Job) -> None:
        """The key of `job` pays for one more."""
        priority, cost, key = job.turn.split(".", 2)
        lane = self.lanes.setdefault((job.pair, priority), Lane())
        lane.costs[key] = int(cost)
        lane.starts[key] = max(lane.starts.get(key, 0), lane.now) + int(cost)

    def next(self, waiting: list[Job]) -> Job:
        """Return the next of the waiting jobs of a pair; its key is charged for it."""
        job = min(waiting, key=self._rank)
        if not job.came_back:
            pair, priority, key = job.flow
            lane = self.lanes[pair, priority]
            lane.now = max(lane.now, lane.starts[key])
            lane.starts[key] += lane.costs[key]
            behind = [other.place for other in waiting if other.flow == job.flow and other is not job]
            if behind:
                lane.ties[key] = min(behind)
        return job

    def before(self, job: Job, waiting: list[Job]) -> tuple[int, int]:
        """Return how many of the waiting jobs of a pair have a higher priority, and how many keys come first."""
        priority = job.flow[1]
        flows = {other.flow: self._rank(other)[:4] for other in waiting if other.flow[1] == priority}
        higher = sum(other.flow[1] < priority for other in waiting)
        return higher, sum(rank < flows[job.flow] for rank in flows.values())

    def settle(self, waiting: Iterable[Job]) -> None:
        """A call has ended: lanes in which nobody waits are forgotten."""
        used = {job.flow[:2] for job in waiting}
        self.lanes = {name: lane for name, lane in self.lanes.items() if name in used}

    def _rank(self, job: Job) -> tuple[str, int, int, str, int]:
        pair, priority, key = job.flow
        lane = self.lanes[pair, priority]
        if job.came_back:
            return priority, 0, 0, "", job.place
        return priority, lane.starts[key], lane.ties[key], key, job.place


def flow_errors(flows: dict[str, str], turns: dict[str, str], jobs: Iterable[Job]) -> list[str]:
    """Return what is wrong with the flows that a store has: each is there for a reason, and nothing else is."""
    lines = {job.line for job in jobs if job.state == WAITS and job.turn}
    lanes = {line.rpartition("|")[0] for line in lines}
    found: dict[str, str] = {}
    for member in flows:
        pair, priority, start, tie, cost, key = member.lstrip("~").split("|")
        state = "i" if member.startswith("~") else "w"
        found[f"{pair}|{priority}|{key}"] = f"{state}{start}|{tie}|{cost}"
    kept = {name: text for name, text in turns.items() if name.count("|") == 2}
    waiting = {name for name, text in found.items() if text.startswith("w")}
    errors = [] if kept == found else [f"flows {found}, but turns {kept}"]
    errors += [] if waiting == lines else [f"jobs wait in {sorted(lines)}, but flows in {sorted(waiting)}"]
    errors += [f"nobody waits in {name}" for name in found if name.rpartition("|")[0] not in lanes]
    errors += [
        f"nobody waits in {name}, which has a time" for name in turns if name.count("|") == 1 and name not in lanes
    ]
    ahead = Counter(name.rpartition("|")[0] for name, text in found.items() if text.startswith("i"))
    errors += [f"{lane} remembers {count} keys" for lane, count in ahead.items() if count > AHEAD_MAX]
    return errors
