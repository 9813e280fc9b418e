"""Which jobs of its clients a scheduler sends to the nodes of others, so that all nodes are loaded about alike. Pure.

Each scheduler reports with its beat the load that its nodes would have if nobody sent a job: what they run, without the
jobs that others have sent to them, and with those that it has sent away. To send a job changes no such load. So what is
to be sent follows from the loads at once, and nothing swings, however late they are and however long the jobs take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from voxpool.scheduler.core.clock import Clock

MARGIN = 0.05
"""How much of its slots a scheduler may have in use above the mean of all before it sends jobs."""
SMOOTHING = 3
"""Beats over which a load is smoothed, a lease: chance alone moves few jobs."""


class Spread:
    """What the scheduler `name` sends. `count` returns the jobs at nodes here that nobody has sent, and their slots."""

    def __init__(self, name: str, clock: Clock, lease_ms: int, count: Callable[[], tuple[int, int]]) -> None:
        self._name = name
        self._clock = clock
        self._lease_ms = lease_ms
        self._count = count
        self._load = 0.0
        self._away: Counter[str] = Counter()
        """Unfinished jobs by the scheduler that they were sent to."""
        self._parts: dict[str, float] = {}
        """Which part of the load here may be at each of them: so chance moves the same part of all."""
        self._until_ms = 0
        """When that is too old."""

    def report(self) -> str:
        """Return the load and the slots here, for a beat."""
        stayed, slots = self._count()
        self._load += (stayed + self._away.total() - self._load) / SMOOTHING
        return f"{self._load:.2f}|{slots}"

    def note(self, answer: str) -> None:
        """Note the loads of all members, as a beat has answered them."""
        rows = [row.split("|") for row in answer.split()]
        loads = {name: (float(load), int(slots)) for name, load, slots in rows}
        mean = sum(load for load, _ in loads.values()) / max(1, sum(slots for _, slots in loads.values()))
        missing = {name: mean * slots - load for name, (load, slots) in loads.items() if load < mean * slots}
        load, slots = loads.get(self._name, (0.0, 0))
        surplus = load - (mean + MARGIN) * slots
        share = surplus / load / sum(missing.values()) if surplus > 0 and missing else 0.0
        self._parts = {name: share * its for name, its in missing.items()}
        self._until_ms = self._clock.now_ms() + self._lease_ms

    def target(self, here: int) -> str:
        """Return the scheduler that a new job is to be sent to when nodes here have `here` jobs; "" = it stays."""
        parts, away = self._parts, self._away.total() + 1
        if away > sum(parts.values()) * (here + away) or self._clock.now_ms() >= self._until_ms:
            return ""
        return max(parts, key=lambda name: parts[name] * (here + away) - self._away[name])

    def sent(self, target: str) -> str:
        """A job prefers `target`; return that, or "" when it stays."""
        if target in ("", self._name):
            return ""
        self._away[target] += 1
        return target

    def ended(self, target: str) -> None:
        """A job has ended that was sent to `target`, or it runs here after all; "" = it was not sent."""
        if target:
            self._away[target] -= 1
            self._away += Counter()
