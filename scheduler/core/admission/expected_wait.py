"""How long a new job of a pair would wait: its flow, measured in constant time and memory. Pure, without timers.

A flow counts the slots, the waiting and the running jobs of one pair. While the pair is full (the store found no slot,
and jobs wait) it measures how many jobs start in each slot and millisecond: so pools that share nodes are measured as
they are, and a pool that grows counts at its new size at once. Before enough jobs have started, it estimates from the
service times seen so far, or from the age of the running jobs.
"""

from __future__ import annotations

import math

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


class Flow:
    """The jobs and slots of one pair. Times are ms; `window_ms` is the time over which starts are measured."""

    __slots__ = (
        "_at_ms",
        "_dispatched_ms_sum",
        "_service_ms",
        "_service_ms_square",
        "_services",
        "_slot_ms",
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
        return not (self.nodes or self.waiting or self.running)

    @property
    def ahead(self) -> int:
        """Slots that have to get free before a new job starts, its own included; 0 = one may be free now."""
        free = 0 if self.is_full else self.slots - self.running
        return max(0, self.waiting + 1 - max(0, free))

    @property
    def service_ms(self) -> float:
        """The mean service time; 0 = none has ended yet."""
        return self._service_ms

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

    def wait(self, now_ms: int, expected: float = 0.0) -> tuple[float, float]:
        """Return the expected wait of a new job and its standard deviation in ms; both 0 when nothing is known yet.

        With more than the square root of the jobs before it `expected` to come again, room for that
        root is kept free, or for all that are `expected` if they are fewer.
        The time in which n slots get free has a variance of about n c^2 / rate^2 (c: the coefficient of variation of a
        service; renewal theory, W. Feller, "An Introduction to Probability Theory" II, XI.5); the rate itself is
        estimated from a limited number of starts, which adds n^2 c^2 / (starts rate^2).
        """
        ahead = float(self.ahead)
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
