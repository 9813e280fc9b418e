"""Judges the entries of a run: what was lost, delivered twice, run twice, and how long a dead scheduler's jobs stood.

Pure: entries and faults in, figures out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from voxpool.loadtest.chaos._entries import Accepted, Again, AnyEntry, Asked, Ended, Finished, Refused, Started
from voxpool.loadtest.chaos._sizes import RETENTION_S

COMPLETED = "completed"
STORE = "store"
"""The target of faults that hit all."""
RECOVERS_S = 10.0
"""The time after a fault in which a node or scheduler may still be judged dead for it."""
NAMED_MAX = 10
"""Number of requests that are named for each finding."""


@dataclass(frozen=True)
class Done:
    """A fault that happened: what was hit, from when until when."""

    kind: str
    target: str
    began_s: float
    healed_s: float


@dataclass(frozen=True)
class Connected:
    """A node or a client was connected to a scheduler."""

    peer: str
    scheduler: str
    at_s: float


@dataclass(frozen=True)
class Rerun:
    """An attempt that began after another one of the same request."""

    number: int
    first: Started
    second: Started
    cause: str
    """The last fault that hit the first attempt's node, the client, or the scheduler of either; "" = none."""
    waited_s: float
    """From that fault, or from the first start."""
    was_running: bool
    """Whether the first attempt was not done yet when the fault began."""


@dataclass
class Found:
    """The figures of a run."""

    asked: int = 0
    accepted: int = 0
    completed: int = 0
    attempts: int = 0
    lost: list[int] = field(default_factory=list)
    """Accepted, and without an end."""
    unanswered: list[int] = field(default_factory=list)
    """Neither accepted nor refused nor ended."""
    wrong: list[int] = field(default_factory=list)
    """Completed with an output that is not that of its audio."""
    twice: list[int] = field(default_factory=list)
    """Delivered more than once."""
    not_completed: Counter[str] = field(default_factory=Counter)
    """Ended or refused otherwise: reason -> number."""
    same_attempt: list[int] = field(default_factory=list)
    """One attempt number of one job was started more than once."""
    never_run: list[int] = field(default_factory=list)
    """Completed, and no node has an attempt of it."""
    reruns: list[Rerun] = field(default_factory=list)
    latencies_s: list[tuple[float, float]] = field(default_factory=list)
    """Time of the end, and the time since the client asked, of each completed job."""

    @property
    def ran_twice(self) -> int:
        """Jobs with more than one attempt."""
        return len({rerun.number for rerun in self.reruns})

    def waits_after(self, *causes: str) -> list[float]:
        """Return the times from a fault of these kinds to the next attempt of what ran then, in order."""
        return sorted(rerun.waited_s for rerun in self.reruns if rerun.cause in causes and rerun.was_running)


def judge(entries: Iterable[AnyEntry], faults: Sequence[Done], connected: Sequence[Connected]) -> Found:
    """Return the figures of a whole run, after its last answer."""
    found = Found()
    asked: dict[int, Asked] = {}
    accepted: set[int] = set()
    over: Counter[int] = Counter()
    completed: set[int] = set()
    starts: defaultdict[int, list[Started]] = defaultdict(list)
    finished_s: dict[tuple[str, int, str], float] = {}
    for entry in entries:
        match entry:
            case Asked():
                asked[entry.number] = entry
            case Accepted():
                accepted.add(entry.number)
            case Started():
                starts[entry.number].append(entry)
            case Finished():
                finished_s.setdefault((entry.job_id, entry.attempt, entry.node), entry.at_s)
            case Refused():
                over[entry.number] += 1
                found.not_completed[f"refused: {entry.reason}"] += 1
            case Again():
                found.twice.append(entry.number)
            case Ended():
                over[entry.number] += 1
                if entry.state != COMPLETED:
                    found.not_completed[f"{entry.state}: {entry.error}"] += 1
                    continue
                completed.add(entry.number)
                if not entry.is_right:
                    found.wrong.append(entry.number)
                if entry.number in asked:
                    found.latencies_s.append((entry.at_s, entry.at_s - asked[entry.number].at_s))
    found.asked, found.accepted, found.completed = len(asked), len(accepted), len(completed)
    found.attempts = sum(map(len, starts.values()))
    found.lost = [number for number in asked if number in accepted and not over[number]]
    found.unanswered = [number for number in asked if number not in accepted and not over[number]]
    found.twice += [number for number, times in over.items() if times > 1 or number not in asked]
    found.never_run = [number for number in completed if number not in starts]
    places = _Places(connected)
    for number, attempts in starts.items():
        attempts.sort(key=lambda start: start.at_s)
        if _is_sent_twice(attempts, finished_s):
            found.same_attempt.append(number)
        for first, second in pairwise(attempts):
            done_s = finished_s.get((first.job_id, first.attempt, first.node), math.inf)
            found.reruns.append(_rerun(asked.get(number), first, done_s, second, faults, places))
    return found


def _is_sent_twice(attempts: Sequence[Started], finished_s: Mapping[tuple[str, int, str], float]) -> bool:
    """Return whether an attempt has begun twice. What is asked for again after the retention is a new job."""
    began: dict[tuple[str, int], Started] = {}
    for start in attempts:
        before = began.get((start.job_id, start.attempt))
        if before is not None:
            done_s = finished_s.get((before.job_id, before.attempt, before.node), math.inf)
            if start.at_s < done_s + RETENTION_S:
                return True
        began[start.job_id, start.attempt] = start
    return False


class _Places:
    """To which scheduler a node or a client was connected at a time."""

    def __init__(self, connected: Sequence[Connected]) -> None:
        self._of: defaultdict[str, list[Connected]] = defaultdict(list)
        for one in connected:
            self._of[one.peer].append(one)

    def at(self, peer: str, at_s: float) -> str:
        """Return the scheduler, or ""."""
        before = [one.scheduler for one in self._of[peer] if one.at_s <= at_s]
        return before[-1] if before else ""


def _rerun(
    asked: Asked | None, first: Started, done_s: float, second: Started, faults: Sequence[Done], places: _Places
) -> Rerun:
    """Find the last fault before the second start that hit the first one or its client.

    The client's counts because an answer that could not reach it is forgotten after the retention.
    """
    holders = {first.node, places.at(first.node, first.at_s), STORE}
    if asked is not None:
        holders |= {asked.client, places.at(asked.client, first.at_s)}
    hits = [
        fault
        for fault in faults
        if fault.began_s <= second.at_s
        and fault.healed_s + RECOVERS_S >= first.at_s
        and holders & {*fault.target.split()}
    ]
    if not hits:
        return Rerun(first.number, first, second, "", second.at_s - first.at_s, done_s > second.at_s)
    hit = max(hits, key=lambda fault: fault.began_s)
    return Rerun(
        first.number, first, second, hit.kind, second.at_s - max(hit.began_s, first.at_s), done_s >= hit.began_s
    )
