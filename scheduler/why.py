"""Why a job went where it went: what was decided about each followed job, kept for the newest of them. Pure.

Nothing is kept of a job that nobody asked about. For a followed one the store runs select_explained in place of
select_node: the same choice, and the nodes that were looked at for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from scheduler.clock import Clock
from scheduler.job import Job
from scheduler.node import Node
from scheduler.scripts import Look, looks_of
from scheduler.seams import Observer

DECISIONS_MAX = 32
"""Decisions kept of a job; the oldest go first, and are counted."""


class Decision(msgspec.Struct, omit_defaults=True):
    """One thing that was decided about a job. `what` is submitted, looked, dispatched, redispatched, void or ended.

    After a look `node_id` is the node that was chosen, or `reason` says why none was: nobody (has room), again (the
    store gave up looking, and is asked again).
    """

    at_ms: int
    what: str
    attempt: int = 0
    node_id: str = ""
    reason: str = ""
    looked: int = 0
    """Nodes that were looked at; at most 16 of them stand in `looks`."""
    looks: list[Look] = []


class Followed(msgspec.Struct):
    """What is kept of one job: its last decisions, and how many older ones were dropped."""

    decisions: deque[Decision]
    dropped: int = 0


class Why(Observer):
    """Follows jobs: every `every`-th submit (0: none of itself), and those that `follow` names; at most `jobs_max`.

    It hears of them as an Observer; only the dispatcher must ask whether a select is to be explained.
    """

    def __init__(self, clock: Clock, jobs_max: int, every: int) -> None:
        self._clock = clock
        self._jobs_max = jobs_max
        self._every = every
        self._followed: dict[str, Followed] = {}

    def __len__(self) -> int:
        return len(self._followed)

    def follow(self, job_id: str) -> None:
        """Keep what is decided about this job from now on; the job that was followed longest makes room."""
        if job_id in self._followed or not self._jobs_max:
            return
        if len(self._followed) >= self._jobs_max:
            del self._followed[next(iter(self._followed))]
        self._followed[job_id] = Followed(deque(maxlen=DECISIONS_MAX))

    def of(self, job_id: str) -> Followed | None:
        """Return what was decided about a job, or None when it isn't followed."""
        return self._followed.get(job_id)

    def wants(self, jobs: Sequence[Job]) -> bool:
        """Whether the select of these jobs is to be explained."""
        followed = self._followed
        return bool(followed) and any(job.job_id in followed for job in jobs)

    def looked(self, jobs: Sequence[Job], answer: Sequence[str]) -> None:
        """Take the answer of select_explained for `jobs`; their attempt is still the one before."""
        for i, (job, (total, looks)) in enumerate(zip(jobs, looks_of(answer, len(jobs)), strict=True)):
            if job.job_id not in self._followed:
                continue
            node_id, word = answer[2 * i], answer[2 * i + 1]
            reason = "" if node_id else word.lower() or "nobody"
            self._add(job.job_id, "looked", job.attempt + 1, node_id, reason, total, looks)

    def job_submitted(self, job: Job) -> None:
        if self._every and job.place % self._every == 0:
            self.follow(job.job_id)
        if self._followed:
            self._add(job.job_id, "submitted")

    def job_dispatched(self, job: Job, node: Node) -> None:
        if self._followed:
            self._add(job.job_id, "dispatched", job.attempt, node.node_id)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        if self._followed:
            self._add(job.job_id, "redispatched", attempt, node_id, reason)

    def void_grant(self, job: Job, node_id: str, generation: str) -> None:
        if self._followed:
            self._add(job.job_id, "void", job.attempt, node_id, generation)

    def job_ended(self, job: Job) -> None:
        if self._followed:
            self._add(job.job_id, "ended", job.attempt, job.node_id, job.reason or job.state)

    def job_removed(self, job: Job) -> None:
        if self._followed:
            self._followed.pop(job.job_id, None)

    def _add(
        self,
        job_id: str,
        what: str,
        attempt: int = 0,
        node_id: str = "",
        reason: str = "",
        looked: int = 0,
        looks: Sequence[Look] = (),
    ) -> None:
        followed = self._followed.get(job_id)
        if followed is None:
            return
        if len(followed.decisions) == DECISIONS_MAX:
            followed.dropped += 1
        followed.decisions.append(Decision(self._clock.now_ms(), what, attempt, node_id, reason, looked, list(looks)))


def tell(decision: Decision, since_ms: int) -> str:
    """Return a decision as a line for people; times count from `since_ms`."""
    return f"{decision.at_ms - since_ms:>8} ms  {text_of(decision)}"


def text_of(decision: Decision) -> str:
    """Return what was decided as words."""
    words = {
        "submitted": "submitted",
        "dispatched": f"attempt {decision.attempt} sent to {decision.node_id}",
        "redispatched": f"attempt {decision.attempt} on {decision.node_id} given up: {decision.reason}",
        "void": f"grant of {decision.node_id} handed back: generation {decision.reason} isn't connected here",
        "ended": f"ended: {decision.reason}" + (f" on {decision.node_id}" if decision.node_id else ""),
    }
    return words.get(decision.what) or _tell_look(decision)


def _tell_look(decision: Decision) -> str:
    chosen = f"{decision.node_id} is taken" if decision.node_id else f"none is taken ({decision.reason})"
    looks = [
        f"{look.node_id} {look.word}" + ("" if look.load is None else f" {look.load}/{look.slots}")
        for look in decision.looks
    ]
    more = decision.looked - len(looks)
    told = ", ".join([*looks, *([f"{more} more"] if more else [])]) or "no node"
    return f"for attempt {decision.attempt} looked at {told}: {chosen}"
