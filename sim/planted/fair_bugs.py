"""Planted bugs of the order `fair` (bugs.py has all others)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from voxpool.scheduler.config import PRIORITY
from voxpool.scheduler.core.jobs.fair import FairQueue, FairWaitingJobs, share_of
from voxpool.scheduler.core.jobs.fair_band import Band, Flow, Taken
from voxpool.scheduler.core.jobs.job import Job, Share
from voxpool.scheduler.core.jobs.waiting import WaitingJobs, WaitQueue


class IgnoresKeys(FairWaitingJobs):
    """The oldest job is next, whosoever it is."""

    def _new_queue(self, pair: str) -> WaitQueue:
        return WaitQueue(pair)


class IgnoresWeights(FairWaitingJobs):
    """All keys have the same weight."""

    def add(self, job: Job) -> None:
        assert job.share is not None
        job.share = job.share._replace(weight=1.0)
        super().add(job)


class ChargesForWhatIsCancelled(FairWaitingJobs):
    """A key pays for its waiting jobs that end, as if jobs had start tags of their own."""

    def discard(self, job: Job) -> None:
        was_queued = job.queued
        super().discard(job)
        if was_queued:
            self.charge(job)


class ForgetsIdleKeys(FairWaitingJobs):
    """A key that has no waiting job is forgotten, although it is ahead."""

    def _new_queue(self, pair: str) -> WaitQueue:
        return _QueueOf(_ForgetfulBand, pair, self._numbers)


class DoesNotChargeBack(FairWaitingJobs):
    """A key pays for a job for which the store found no slot."""

    def _new_queue(self, pair: str) -> WaitQueue:
        return _QueueOf(_GreedyBand, pair, self._numbers)


class ErrorsAreFree(FairWaitingJobs):
    """A key does not pay for another attempt of a job that failed by itself."""

    def charge(self, job: Job) -> None:
        """Do nothing."""


class PrioritiesAreWeights(FairWaitingJobs):
    """Priority 1 has four times the weight of priority 2, and so on, in one band."""

    def _new_queue(self, pair: str) -> WaitQueue:
        return _OneBand(pair, self._numbers)


class HasNoDoor(FairWaitingJobs):
    """Only the whole number of waiting jobs is bounded."""

    def check_room(self, pair: str, share: Share | None) -> None:
        WaitingJobs.check_room(self, pair, share)


class _OneBand(FairQueue):
    def put(self, job: Job) -> None:
        with _as_weight(job):
            super().put(job)

    def remove(self, job: Job) -> None:
        with _as_weight(job):
            super().remove(job)


@contextmanager
def _as_weight(job: Job) -> Iterator[None]:
    """Let `job` have the usual priority in the block, and a weight and a key for its own one."""
    share = share_of(job)
    weight = share.weight * 4.0 ** (PRIORITY - share.priority)
    job.share = Share(PRIORITY, f"{share.key}/{share.priority}", weight)
    yield
    job.share = share


class _ForgetfulBand(Band):
    def _rest(self, flow: Flow) -> None:
        self._forget(flow)


class _GreedyBand(Band):
    def charge_back(self, taken: Taken) -> None:
        """Do nothing."""


class _QueueOf(FairQueue):
    """A queue with bands of another class."""

    def __init__(self, band: type[Band], pair: str, numbers: Iterator[int]) -> None:
        super().__init__(pair, numbers)
        self._band = band

    def put(self, job: Job) -> None:
        self._bands.setdefault(share_of(job).priority, self._band())
        super().put(job)
