"""Whose waiting job is next: strict priorities, and inside one of them start-time fair queueing between keys. Pure.

A band has the waiting jobs of one pair and priority, in a flow for each key. A flow has a start tag, which grows by
cost / weight with each job that starts; the flow with the least tag is next, and the virtual time of the band is the
greatest tag of what has started (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996). A key that begins to
wait starts at the virtual time, so it is behind at most one job of each other key. Tags belong to flows, not to jobs: a
job that is cancelled, or for which the store finds no node, was never charged.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from sortedcontainers import SortedList

from voxpool.scheduler.core.clock import push, take_least
from voxpool.scheduler.core.jobs.job import Job, Share

COST = 1.0
"""What each job costs its key; a key of weight w is charged cost / w."""
GAP_STEP = 1 / 32
"""By how much one start changes the mean number of starts between two of a key."""
AHEAD_MAX = 100
"""Keys without a waiting job that a band remembers, beside one for each waiting job. The one that is least ahead is
forgotten first; it gains one turn."""


_Entries: TypeAlias = "SortedList[tuple[float, int, Flow]]"


class Flow:
    """The waiting jobs of one key, in the order of their submits."""

    __slots__ = ("among", "entry", "gap", "jobs", "key", "last_start", "sequences", "start", "weight")

    def __init__(self, key: str, weight: float, start: float) -> None:
        self.key = key
        self.weight = weight
        self.start = start
        """The start tag of its next job."""
        self.gap = 0.0
        """Starts of the pair for each start of the key while it waited, a moving mean; 0 = not known yet."""
        self.last_start = 0
        """The number of the pair's starts at its last one, or when it began to wait."""
        self.jobs: dict[int, Job] = {}
        self.sequences: list[int] = []
        """The heap of the keys of `jobs` (clock.py)."""
        self.among: _Entries | None = None
        """The list of its band that has its entry."""
        self.entry: tuple[float, int, Flow] = (start, 0, self)


class Taken(NamedTuple):
    """What the key of a job was charged when the job was taken for the store."""

    band: Band
    flow: Flow
    start: float
    charge: float


class Band:
    """The waiting jobs of one pair and priority."""

    __slots__ = (
        "_ahead",
        "_entered",
        "_entries",
        "_flows",
        "_returned",
        "_returned_sequences",
        "_turns",
        "_weights",
        "now",
        "waiting",
    )

    def __init__(self) -> None:
        self.now = 0.0
        """The virtual time."""
        self.waiting = 0
        """Number of waiting jobs."""
        self._entries = 0
        self._entered: list[Flow] = []
        """Flows that began to wait while jobs were with the store."""
        self._weights = 0.0
        """The sum of the weights of the keys with waiting jobs."""
        self._flows: dict[str, Flow] = {}
        self._turns: _Entries = SortedList()
        """The entries of the flows with waiting jobs, by their start tags."""
        self._ahead: _Entries = SortedList()
        """Those of the flows without: they are remembered while their tags are ahead of the virtual time."""
        self._returned: dict[int, Job] = {}
        """Jobs that came back from a node. They have had their turn, so they come before all others."""
        self._returned_sequences: list[int] = []

    @property
    def keys(self) -> int:
        """Number of keys that it knows."""
        return len(self._flows)

    def own(self, key: str) -> int:
        """Return how many jobs of `key` wait for their first turn."""
        flow = self._flows.get(key)
        return 0 if flow is None else len(flow.jobs)

    def before(self, share: Share) -> float:
        """Return about how many jobs would start before a new one of this key: its own, and those of others.

        Others that wait now start in the ratio of the weights. Others that come later, also with a higher priority, are
        expected to take as much as they took lately.
        """
        flow = self._flows.get(share.key)
        if flow is None or not flow.jobs:
            return min(self.waiting, self._weights / share.weight + len(self._returned))
        own = len(flow.jobs)
        others = (own + 1) * (self._weights - flow.weight) / share.weight
        return max(min(self.waiting, own + others + len(self._returned)), (own + 1) * flow.gap - 1)

    def place(self, job: Job, share: Share) -> tuple[int, int]:
        """Return how many keys have their turn before that of the queued `job`, and how many jobs its key has here.

        A job that came back from a node has no key before it: it is among the next ones.
        """
        if job.sequence in self._returned:
            return 0, self.own(share.key) + 1
        flow = self._flows[share.key]
        return self._turns.bisect_left(flow.entry), len(flow.jobs)

    def add(self, job: Job, share: Share, starts: int, in_flight: bool) -> None:
        """Queue `job`; `starts` is the number of the pair's starts so far, `in_flight`: jobs are with the store."""
        self.waiting += 1
        if job.attempt:
            self._returned[job.sequence] = job
            push(self._returned_sequences, job.sequence, self._returned)
            return
        flow = self._flow(share)
        if not flow.jobs:
            flow.start = max(flow.start, self.now)
            flow.last_start = starts
            if in_flight:
                self._entered.append(flow)
            self._move(flow, self._turns)
        flow.jobs[job.sequence] = job
        push(flow.sequences, job.sequence, flow.jobs)

    def discard(self, job: Job, share: Share) -> None:
        """Forget a queued `job`, for which nothing was charged."""
        self.waiting -= 1
        if self._returned.pop(job.sequence, None) is not None:
            return
        flow = self._flows[share.key]
        del flow.jobs[job.sequence]
        if not flow.jobs:
            self._rest(flow)

    def take(self) -> tuple[Job, Taken | None]:
        """Remove the next job and charge its key for it, unless it came back from a node; one must wait."""
        self.waiting -= 1
        if self._returned:
            return take_least(self._returned_sequences, self._returned), None
        flow: Flow = self._turns.pop(0)[2]
        flow.among = None
        self._weights -= flow.weight
        job = take_least(flow.sequences, flow.jobs)
        taken = Taken(self, flow, flow.start, COST / flow.weight)
        flow.start += taken.charge
        self._place(flow)
        return job, taken

    def started(self, taken: Taken, starts: int) -> None:
        """The store allocated a slot for the job, the pair's start number `starts`."""
        flow = taken.flow
        gap = starts - flow.last_start
        flow.gap += (gap - flow.gap) * (GAP_STEP if flow.gap else 1.0)
        flow.last_start = starts
        if taken.start > self.now:
            self.now = taken.start
            while self._ahead and self._ahead[0][0] <= self.now:
                self._forget(self._ahead[0][2])

    def settle(self) -> None:
        """The store has answered. A key that began to wait meanwhile begins after the jobs that started by then."""
        for flow in self._entered:
            if flow.jobs and flow.start < self.now:
                flow.start = self.now
                self._place(flow)
        self._entered.clear()

    def charge_back(self, taken: Taken) -> None:
        """The store found no slot for the job, or it has ended meanwhile."""
        flow = taken.flow
        if self._flows.get(flow.key) is flow:
            flow.start -= taken.charge
            self._place(flow)

    def charge(self, share: Share) -> None:
        """Charge a key for one more job: a job of it failed by itself, and comes back before the others."""
        flow = self._flow(share)
        flow.start = max(flow.start, self.now) + COST / flow.weight
        self._place(flow)

    # ---- the flows

    def _flow(self, share: Share) -> Flow:
        flow = self._flows.get(share.key)
        if flow is None:
            flow = self._flows[share.key] = Flow(share.key, share.weight, self.now)
        elif flow.weight != share.weight:  # the token file has a new one
            self._weights += share.weight - flow.weight if flow.jobs else 0.0
            flow.weight = share.weight
        return flow

    def _place(self, flow: Flow) -> None:
        if flow.jobs:
            self._move(flow, self._turns)
        else:
            self._rest(flow)

    def _rest(self, flow: Flow) -> None:
        """It has no waiting job: it is remembered while it is ahead, and there is room."""
        if flow.start <= self.now:
            self._forget(flow)
            return
        self._move(flow, self._ahead)
        while len(self._ahead) > self.waiting + AHEAD_MAX:
            self._forget(self._ahead[0][2])

    def _forget(self, flow: Flow) -> None:
        self._leave(flow)
        del self._flows[flow.key]

    def _move(self, flow: Flow, to: _Entries) -> None:
        self._leave(flow)
        self._entries += 1
        flow.entry = (flow.start, self._entries, flow)
        flow.among = to
        to.add(flow.entry)
        if to is self._turns:
            self._weights += flow.weight

    def _leave(self, flow: Flow) -> None:
        if flow.among is not None:
            flow.among.remove(flow.entry)
            if flow.among is self._turns:
                self._weights -= flow.weight
            flow.among = None


__all__ = ["Band", "Flow", "Taken"]
