"""Checks the order of the starts in an explored execution with the setting order = "fair"."""

from __future__ import annotations

from collections import Counter

from voxpool.scheduler.core.jobs.job import Job, Share
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.seams import Observer
from voxpool.sim.explore.model.observed import Observed

LONE = "a key that begins to wait is behind one job of each other key"
TURN = "a key that waits gets its turn"
PRIORITY = "a higher priority comes first"


class _Waiting:
    """A job that has not been started yet."""

    __slots__ = ("asked", "behind", "job", "share")

    def __init__(self, job: Job, share: Share, asked: frozenset[str]) -> None:
        self.job = job
        self.share = share
        self.asked = asked
        """The jobs that were with the store at its submit: it can't come before these."""
        self.behind: Counter[str] = Counter()
        """Other key of its priority -> jobs of it that started since this one is the next of its key."""


class FirstTurns(Observer):
    """The order of the priorities, and the bounds of the job that is the next of its key.

    A key without a start is behind at most one job of each other key: n - 1 starts with n keys. Any key is behind at
    most 1 + w / own w jobs of a key with the weight w (Goyal, Vin and Cheng 1996, theorem 1, with no start of its own),
    also when the other key has not waited all the time. A job that comes back from a node has had its turn: its further
    starts do not count, and its key may be charged for them.
    """

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._waiting: dict[str, _Waiting] = {}
        """By job id, in the order of the submits."""
        self._started: set[tuple[int, str]] = set()
        """(priority, key) of jobs that were started."""
        self._charged: set[tuple[int, str]] = set()
        """(priority, key) of jobs that came back."""

    def job_submitted(self, job: Job) -> None:
        assert job.share is not None
        asked = frozenset(job_id for job_id, each in self._waiting.items() if not each.job.queued)
        self._waiting[job.job_id] = _Waiting(job, job.share, asked)

    def job_dispatched(self, job: Job, node: Node) -> None:
        started = self._waiting.pop(job.job_id, None)
        if started is None:
            return
        priority, key, weight = started.share
        self._started.add((priority, key))
        heads: dict[tuple[int, str], _Waiting] = {}
        for each in self._waiting.values():
            heads.setdefault(each.share[:2], each)
        for place, head in heads.items():
            if job.job_id in head.asked:
                continue
            what = f"{job.request_id} before {head.job.request_id}"
            if head.share.priority < priority and head.job.queued:
                self._observed.broke(PRIORITY, what)
            elif head.share.priority == priority and head.share.key != key:
                head.behind[key] += 1
                if place not in self._started and head.behind[key] > 1:
                    self._observed.broke(LONE, what)
                if place not in self._charged and head.behind[key] > 1 + weight / head.share.weight:
                    self._observed.broke(TURN, what)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        if job.share is not None:
            self._charged.add(job.share[:2])

    def job_ended(self, job: Job) -> None:
        self._waiting.pop(job.job_id, None)
