from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from voxpool.scheduler.config import FAIR
from voxpool.scheduler.core.jobs.job import ERROR, Job, Share
from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.world import World

ROUNDING = 1e-9


class Backlog:
    """A key with waiting jobs, since it has had one all the time."""

    __slots__ = ("asked", "jobs", "more", "weight")

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.asked: frozenset[str] = frozenset()
        """The jobs of others that were with the store when it had none in the queue: it can't come before these."""
        self.jobs: dict[str, Job] = {}
        self.more: dict[str, float] = {}
        """Other key -> what this key started more than that one, by their weights, since both have waited."""


class Band:
    """The waiting jobs of one pair and priority."""

    def __init__(self) -> None:
        self.backlogs: dict[str, Backlog] = {}
        self.returned: set[str] = set()
        """Jobs that came back from a node; they keep the turns of their keys alive."""
        self.extra: Counter[str] = Counter()
        """Charges of a key that no start shows: for a worker's error, and for a slot that was lost before the start."""


class KeysTakeTurns(Checker):
    """With order = "fair": of two keys that both wait all the time, none starts more than one job above its part.

    By weights: |S(f) / w(f) - S(g) / w(g)| <= 1 / w(f) + 1 / w(g), for the starts S of jobs of one pair and priority
    (Goyal, Vin and Cheng 1996, theorem 1). Further attempts of a job do not count. A key that was charged without a
    start, as for an error of its job, may be as many starts behind.
    """

    sentence = "keys take turns by their weights"
    order = FAIR

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._bands: dict[tuple[str, int], Band] = {}
        self._shares: dict[str, tuple[tuple[str, int], Share]] = {}
        """Job id -> its place and share, for the unfinished jobs."""

    def scheduler_gone(self) -> None:
        """Forget the jobs of the dead scheduler."""
        self._bands.clear()
        self._shares.clear()

    def job_submitted(self, job: Job) -> None:
        if job.share is None:
            return
        place, key = (job.pair, job.share.priority), job.share.key
        self._shares[job.job_id] = (place, job.share)
        band = self._bands.setdefault(place, Band())
        backlog = band.backlogs.get(key)
        if backlog is None:
            backlog = Backlog(job.share.weight)
            for name, other in band.backlogs.items():
                other.more[key] = backlog.more[name] = 0.0
            band.backlogs[key] = backlog
        if not any(each.queued for each in backlog.jobs.values()):
            waiting = (each for other in band.backlogs.values() for each in other.jobs.values())
            backlog.asked = frozenset(each.job_id for each in waiting if not each.queued)
        backlog.jobs[job.job_id] = job

    def job_dispatched(self, job: Job, node: Node) -> None:
        place, share = self._shares.get(job.job_id, (None, None))
        if place is None or share is None:
            return
        band = self._bands.get(place)
        if band is None:
            return
        backlog = band.backlogs.get(share.key)
        if backlog is not None and job.job_id in backlog.jobs:
            if job.attempt > 1:
                band.extra[share.key] += 1
            else:
                self._count(job, share.key, band)
        self._leave(job, place, share.key)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        place, share = self._shares.get(job.job_id, (None, None))
        if place is None or share is None or job.ended:
            return
        band = self._bands.setdefault(place, Band())
        band.returned.add(job.job_id)
        if reason == ERROR:
            band.extra[share.key] += 1

    def job_ended(self, job: Job) -> None:
        place, share = self._shares.pop(job.job_id, (None, None))
        if place is None or share is None:
            return
        band = self._bands.get(place)
        backlog = None if band is None else band.backlogs.get(share.key)
        if band is not None and backlog is not None and job.attempt and job.job_id in backlog.jobs:
            band.extra[share.key] += 1
        self._leave(job, place, share.key)

    def _count(self, job: Job, key: str, band: Band) -> None:
        own = band.backlogs[key]
        for name, other in band.backlogs.items():
            if other is own:
                continue
            other.more[key] -= 1 / own.weight
            if job.job_id in other.asked:
                continue
            own.more[name] += 1 / own.weight
            bound = 1 / own.weight + 1 / other.weight + ROUNDING
            if own.more[name] <= bound:
                continue
            charged = band.extra[name] + sum(1 for each in other.jobs.values() if each.attempt)
            if own.more[name] > bound + charged / other.weight:
                self.broke(f"{key!r} started {own.more[name]:g} more than {name!r}, at most {bound:g}: {job!r}")

    def _leave(self, job: Job, place: tuple[str, int], key: str) -> None:
        band = self._bands.get(place)
        if band is None:
            return
        band.returned.discard(job.job_id)
        backlog = band.backlogs.get(key)
        if backlog is not None and backlog.jobs.pop(job.job_id, None) is not None and not backlog.jobs:
            del band.backlogs[key]
            for other in band.backlogs.values():
                del other.more[key]
        if not band.backlogs and not band.returned:
            del self._bands[place]
