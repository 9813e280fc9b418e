"""The waits of a pair: how long a new job of it would wait, and when its refused submits should come again. Pure.

A flow is measured in constant time and memory, without timers. It counts the slots, the waiting and the running jobs of
one pair. While the pair is full (the store found no slot, and jobs wait) it measures how many jobs start in each slot
and millisecond: pools that share nodes are measured as they are, and a pool that grows counts at its new size at once.
Before enough jobs have started, it estimates from the service times seen so far, or from the age of the running jobs.

Refused submits stand in a line for each pair, in which each refusal has a time of its own. Submits that are refused at
one moment would otherwise return at one moment, when there is room for a few. Here the times are spaced by what the
pair needs to start a job. A submit that returns at its time (known by its request id) is preferred to new ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

PRIOR_STARTS = 4.0
"""The weight of the service times beside the measured starts, as a number of starts."""
STARTS_KEPT = 8.0
"""A full pair forgets no start below this number, however slow it is: the window is at least this long."""
SERVICES_KEPT = 64
"""The number of services over which the mean and the spread of the service time are taken."""
VARIATION_MIN = 0.1
"""Least squared coefficient of variation of a service: even equal jobs take equal times only nearly."""
VARIATION_UNKNOWN = 1.0
"""The same while fewer than two services have ended: that of the exponential distribution."""
PLACES_MAX = 20_000
"""Refusals whose times are remembered, in 4 MB; past it a submit gets the time of the end of the line, and no place."""
WANTED_WITHIN_MS = 30_000
"""The time in which the waiting jobs of a pair should have started on the wanted nodes; about the time that a new node
takes to start."""
LATE_MS_MIN = 2000
"""How late a submit may come and keep its place, or half of its time if that is more: the SDK lengthens its pauses by a
random part of up to a half."""
AFTER_MS_MAX = 60_000
"""The longest time that is given: no later one can be predicted."""
SHARE_STEP = 1 / 16
"""By how much one refusal that came again, or did not, changes the share that is expected to."""
SHARE_MIN = 0.02


class Flow:
    """The jobs and slots of one pair. Times are ms; `window_ms` is the time over which starts are measured."""

    __slots__ = (
        "_at_ms",
        "_dispatched_ms_sum",
        "_service_ms",
        "_service_ms_square",
        "_services",
        "_slot_ms",
        "_slots_a_node",
        "_slots_before",
        "_starts",
        "_window_ms",
        "is_full",
        "nodes",
        "running",
        "slots",
        "waiting",
    )

    def __init__(self, window_ms: int, now_ms: int) -> None:
        self.nodes = 0
        """Connected nodes that serve the pair and aren't draining."""
        self.slots = 0
        """The slots of these nodes; other pairs may use them, too."""
        self.waiting = 0
        self.running = 0
        self.is_full = False
        """Whether the store found no slot for a job that still waits, and no slots have come since."""
        self._slots_before = 0
        """The slots that there were before the last node left: it may come back."""
        self._slots_a_node = 1.0
        """The mean slots of a node, while there was one."""
        self._window_ms = window_ms
        self._at_ms = now_ms
        """Until when `_slot_ms` is counted."""
        self._starts = 0.0
        """Starts while the pair was full; older ones count less (exponential window)."""
        self._slot_ms = 0.0
        """The slots that there were in that time, times the time."""
        self._dispatched_ms_sum = 0
        """The sum of the dispatch times of the running jobs, for their mean age."""
        self._services = 0
        self._service_ms = 0.0
        self._service_ms_square = 0.0

    # ---- what happens to jobs and nodes

    def came(self) -> None:
        """A job was accepted; it waits."""
        self.waiting += 1

    def full(self, now_ms: int) -> None:
        """The store found no slot for a waiting job."""
        self._advance(now_ms)
        self.is_full = self.waiting > 0

    def started(self, now_ms: int) -> None:
        """A waiting job was sent to a node."""
        self._advance(now_ms)
        if self.is_full:
            self._starts += 1
        self.running += 1
        self._dispatched_ms_sum += now_ms
        self._waits_no_more()

    def came_back(self, dispatched_ms: int) -> None:
        """A running job waits again."""
        self._runs_no_more(dispatched_ms)
        self.waiting += 1

    def gave_up(self, now_ms: int) -> None:
        """A waiting job has ended without having been started."""
        self._advance(now_ms)
        self._waits_no_more()

    def ended(self, now_ms: int, dispatched_ms: int, is_served: bool) -> None:
        """A running job has ended; `is_served`: its node worked on it to the end."""
        self._runs_no_more(dispatched_ms)
        if is_served:
            service_ms = max(1, now_ms - dispatched_ms)
            self._services = min(self._services + 1, SERVICES_KEPT)
            self._service_ms += (service_ms - self._service_ms) / self._services
            self._service_ms_square += (service_ms**2 - self._service_ms_square) / self._services

    def serve(self, now_ms: int, nodes: int, slots: int) -> None:
        """Nodes with `slots` slots came, or left (negative numbers)."""
        self._advance(now_ms)
        if self.slots:
            self._slots_before = self.slots
        self.nodes += nodes
        self.slots += slots
        if self.nodes > 0:
            self._slots_a_node = max(1.0, self.slots / self.nodes)
        if slots > 0:
            self.is_full = False  # starts that only fill the new slots do not count

    def interrupted(self, now_ms: int) -> None:
        """The store was away until now."""
        self.is_full = False
        self._advance(now_ms)

    # ---- what is known of it

    @property
    def is_idle(self) -> bool:
        """Whether the pair has no node and no job."""
        return not (self.nodes or self.running or self.waiting)

    def ahead(self, before: float | None = None) -> float:
        """Return the slots that have to get free before a new job starts, its own included; 0 = one may be free now.

        `before` is the number of jobs that start before it, by default all that wait.
        """
        free = 0 if self.is_full else self.slots - self.running
        return max(0.0, (self.waiting if before is None else before) + 1 - max(0, free))

    @property
    def service_ms(self) -> float:
        """The mean service time; 0 = none has ended yet."""
        return self._service_ms

    def nodes_wanted(self) -> float:
        """Return the nodes that the running jobs fill, and on which the waiting ones start within WANTED_WITHIN_MS.

        It is not rounded, so that the sum over pairs and schedulers is right. A waiting job takes a slot for the part
        of that time that it needs; for all of it while no job has ended.
        """
        part = min(1.0, self._service_ms / WANTED_WITHIN_MS) if self._services else 1.0
        return (self.running + self.waiting * part) / self._slots_a_node

    def starts_per_ms(self, now_ms: int) -> float:
        """Return the starts of a millisecond while the pair is full; 0 when nothing is known yet."""
        self._advance(now_ms)
        slots = self.slots or self._slots_before
        service_ms = self._service_ms or self._age_ms(now_ms)
        if service_ms and not self._services:
            return slots / service_ms  # no job has ended yet: it takes at least this long
        starts, slot_ms = self._starts, self._slot_ms
        if service_ms:
            starts += PRIOR_STARTS
            slot_ms += PRIOR_STARTS * service_ms
        return slots * starts / slot_ms if slot_ms else 0.0

    def wait(self, now_ms: int, expected: float = 0.0, before: float | None = None) -> tuple[float, float]:
        """Return the expected wait of a new job and its standard deviation in ms; both 0 when nothing is known yet.

        `before` jobs start before it, by default all that wait.

        With more than the square root of the jobs before it `expected` to come again, room for that
        root is kept free, or for all that are `expected` if they are fewer.
        The time in which n slots get free has a variance of about n c^2 / rate^2 (c: the coefficient of variation of a
        service; renewal theory, W. Feller, "An Introduction to Probability Theory" II, XI.5); the rate itself is
        estimated from a limited number of starts, which adds n^2 c^2 / (starts rate^2).
        """
        ahead = self.ahead(before)
        rate = self.starts_per_ms(now_ms) if ahead else 0.0
        if not rate:
            return 0.0, 0.0
        ahead += min(expected, math.sqrt(ahead))
        starts = self._starts + max(PRIOR_STARTS, self._services)
        return ahead / rate, math.sqrt(self._variation() * (ahead + ahead**2 / starts)) / rate

    def _variation(self) -> float:
        """The squared coefficient of variation of a service."""
        if self._services < 2:
            return VARIATION_UNKNOWN
        return max(VARIATION_MIN, self._service_ms_square / self._service_ms**2 - 1)

    def _age_ms(self, now_ms: int) -> float:
        """The mean age of the running jobs; 0 when none runs."""
        return max(1.0, now_ms - self._dispatched_ms_sum / self.running) if self.running else 0.0

    def _waits_no_more(self) -> None:
        self.waiting -= 1
        if self.waiting <= 0:
            self.is_full = False

    def _runs_no_more(self, dispatched_ms: int) -> None:
        self.running -= 1
        self._dispatched_ms_sum -= dispatched_ms

    def _advance(self, now_ms: int) -> None:
        """Count the time since the last event, and let older starts count less."""
        passed_ms = max(0, now_ms - self._at_ms)
        self._at_ms = now_ms
        if self.is_full:
            self._slot_ms += self.slots * min(passed_ms, self._window_ms)  # the process may have been stopped
        if self._starts > STARTS_KEPT or not self.is_full:
            kept = math.exp(-passed_ms / self._window_ms)
            self._starts *= kept
            self._slot_ms *= kept


def chance_above(limit_ms: float, mean_ms: float, deviation_ms: float) -> float:
    """Return the probability of a wait above `limit_ms`: a sum of services is about gamma distributed.

    By the cube root of E. B. Wilson and M. M. Hilferty, "The distribution of chi-square" (1931).
    """
    if not mean_ms:
        return 0.0
    variance = (deviation_ms / (3 * mean_ms)) ** 2
    root = (max(0.0, limit_ms) / mean_ms) ** (1 / 3)
    return 0.5 * math.erfc((root - 1 + variance) / math.sqrt(2 * variance))


class Line:
    """The line of one pair."""

    __slots__ = ("next_ms", "places", "share")

    def __init__(self) -> None:
        self.next_ms = 0.0
        """The earliest time that is not given to a refusal."""
        self.share = 1.0
        """The share of the refusals that come again: each counts as this part of a start."""
        self.places = 0

    @property
    def expected(self) -> float:
        """How many of those that have a place in it are expected to come again."""
        return self.share * self.places

    def saw(self, came: bool) -> None:
        """Learn from a refusal that came again, or did not; it has no place any more."""
        self.places -= 1
        self.share = max(SHARE_MIN, self.share + SHARE_STEP * (came - self.share))


class Place(NamedTuple):
    """The time from which on a submit may come again, and until when it has its place."""

    line: Line
    due_ms: int
    until_ms: int


class ReturnTimes:
    """The places of all lines, by request key."""

    def __init__(self, places_max: int = PLACES_MAX) -> None:
        self._places_max = places_max
        self._places: dict[str, Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def is_due(self, key: str, now_ms: int) -> bool:
        """Return whether this submit comes again at its time."""
        place = self._places.get(key)
        return place is not None and place.due_ms <= now_ms <= place.until_ms

    def give(self, key: str, line: Line, now_ms: int, least_ms: int, start_ms: float) -> int:
        """Return after how many ms a refused submit should come again, `least_ms` at the earliest.

        One start of the pair takes `start_ms`. A submit that comes before its time keeps its place.
        """
        self._forget_late(now_ms)
        known = self._places.get(key)
        if known is not None and now_ms < known.due_ms:
            return known.due_ms - now_ms
        line.next_ms = min(max(line.next_ms, now_ms) + line.share * start_ms, now_ms + AFTER_MS_MAX)
        after_ms = max(least_ms, round(line.next_ms - now_ms))
        if known is not None or len(self._places) < self._places_max:
            line.places += known is None
            self._places.pop(key, None)
            due_ms = now_ms + after_ms
            self._places[key] = Place(line, due_ms, due_ms + max(LATE_MS_MIN, after_ms // 2))
        return after_ms

    def accepted(self, key: str) -> None:
        """Note that this submit was accepted; nothing happens when it had never been refused."""
        place = self._places.pop(key, None)
        if place is not None:
            place.line.saw(came=True)

    def _forget_late(self, now_ms: int) -> None:
        """Forget the oldest places whose time is over; they end nearly in the order in which they were given."""
        while self._places:
            key = next(iter(self._places))
            place = self._places[key]
            if now_ms <= place.until_ms:
                return
            del self._places[key]
            place.line.saw(came=False)
