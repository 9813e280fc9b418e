"""The parts of a core whose jobs are in Redis: the table has those of its clients, and nothing waits for a select."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from voxpool.scheduler.core.admission.intake import Intake, Pair
from voxpool.scheduler.core.dispatcher import AVOID_MAX
from voxpool.scheduler.core.jobs.job import Job, Share
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.jobs.waiting import WaitingJobs
from voxpool.scheduler.core.script_queue import Outages
from voxpool.scheduler.errors import Rejected

FAILED_MAX = 10_000
"""Jobs whose failing nodes are remembered."""


class SharedJob(Job):
    """A job of a client here, or one that a node here runs for another scheduler."""

    slot: str = ""
    """The name of its reservation."""
    made: int = 0
    """The attempts that were made."""
    sent_to: str = ""
    """The scheduler whose nodes are to run it, when its client is at another one."""

    @property
    def tries(self) -> int:
        """How many attempts were made; their numbers have gaps (lua/README.md, rule 12)."""
        return self.made

    @property
    def reservation(self) -> str:
        """The name of the reservation: it was made before the job was known."""
        return self.slot


class FailedNodes:
    """Which nodes here have failed a job: others are tried first. Its end may be known to other schedulers only."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[int, tuple[str, ...]]] = {}
        """Job -> when it may run again after its last failure, and the nodes; in the order of these failures."""

    def of(self, job_id: str) -> tuple[str, ...]:
        """Return the last nodes that have failed a job."""
        return self._nodes.get(job_id, (0, ()))[1]

    def note(self, job_id: str, node_id: str, until_ms: int) -> None:
        """A node has failed a job, which pauses until `until_ms`."""
        nodes = (*self.of(job_id), node_id)[-AVOID_MAX:]
        self.forget(job_id)
        self._nodes[job_id] = until_ms, nodes
        if len(self._nodes) > FAILED_MAX:
            del self._nodes[next(iter(self._nodes))]

    def forget(self, job_id: str) -> None:
        """The job has ended."""
        self._nodes.pop(job_id, None)

    def forget_before(self, before_ms: int) -> None:
        """Forget the jobs whose pauses were over before."""
        while self._nodes:
            job_id, (until_ms, _) = next(iter(self._nodes.items()))
            if until_ms >= before_ms:
                return
            self.forget(job_id)


class SharedTable(JobTable):
    """The jobs of the clients of this scheduler. One that begins anew has the id of the one before."""

    def __init__(self, *bounds: Any) -> None:
        super().__init__(*bounds)
        self.failed = FailedNodes()
        """Also of jobs of other schedulers' clients."""

    def remove_ended_before(self, before_ms: int) -> Job | None:
        """Remove and return the oldest finished job; nothing else is remembered for longer."""
        self.failed.forget_before(before_ms)
        return super().remove_ended_before(before_ms)

    def _forget(self, job: Job) -> None:
        if self.find(job.job_id) is job:
            super()._forget(job)


class SharedWaiting(WaitingJobs):
    """The jobs of clients here that no node here runs. They wait in Redis, or run elsewhere."""

    ready = False

    def __init__(self, *bounds: Any) -> None:
        super().__init__(*bounds)
        self.on_room: Callable[[Collection[str]], None] = lambda pairs: None

    def room(self, pairs: Collection[str], slots: int) -> None:
        """Slots may have got free on a node that serves `pairs`."""
        self.on_room(pairs)


class FairSharedWaiting(SharedWaiting):
    """The same where the order is fair: the store knows whose turn it is (lua/jobs/_turns.lua)."""

    is_fair = True


class SharedIntake(Intake):
    """Bounds of this scheduler; what all schedulers hold together is checked by the store."""

    outages_of: Callable[[str], Outages]
    """Returns the outages of the partition of a pair."""

    def check(
        self, pair: str, audio_bytes: int, request_key: str, timeout_ms: int | None, share: Share | None = None
    ) -> None:
        """Raise Rejected when a new job can't be accepted now. Its nodes, and those before it, may be elsewhere."""
        if audio_bytes > self._settings.audio_bytes_max:
            raise Rejected("audio_too_large", f"at most {self._settings.audio_bytes_max} bytes of audio a job")
        self.outages_of(pair).check(self._clock.now_ms())
        self._table.check_room(audio_bytes)

    def expected_waits_ms(self) -> Iterator[tuple[str, float]]:
        """Yield nothing: the nodes here are not those that the jobs here wait for."""
        return iter(())

    # Sums over all schedulers are right: a job counts as waiting at its client's scheduler until it has ended, and as
    # running, and as one less that waits, at that of its node as long as that one has it.

    def accepted(self, job: Job) -> None:
        """A client's `job` waits."""
        self._of(job.pair).flow.came()

    def started(self, job: Job) -> None:
        """`job` was sent to a node here."""
        self._of(job.pair).flow.started(job.dispatched_ms)

    def came_back(self, job: Job) -> None:
        """The attempt of `job` was given up."""
        pair = self._of(job.pair)
        pair.flow.came_back(job.dispatched_ms)
        self._look(job.pair, pair)

    def answered(self, job: Job, is_served: bool) -> None:
        """A node here has answered `job`; `is_served`: it has worked on it to the end."""
        pair = self._of(job.pair)
        pair.flow.ended(self._clock.now_ms(), job.dispatched_ms, is_served)
        pair.flow.came()
        self._look(job.pair, pair)

    def ended(self, job: Job, was_running: bool) -> None:
        """A client's `job` has ended."""
        pair = self._of(job.pair)
        pair.flow.gave_up(job.ended_ms)
        self._look(job.pair, pair)

    def _look(self, name: str, pair: Pair) -> None:
        if pair.flow.is_idle:
            self._is_gone(name, pair)
