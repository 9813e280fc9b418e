"""Why a job went to its node, and why it failed: the decisions about jobs, kept for the newest of them. Pure.

Everything is kept about a followed job, which a client asked for: the store runs select_explained in place of
select_node, which makes the same choice and also returns the nodes that were looked at. The decisions about a job that
fails are kept in any case, without the looks: they begin with the first attempt that fails, and are dropped when the
job completes. Nothing is kept of a job that completes at its first attempt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from voxpool.leakgate.inside.sizes import type_name
from voxpool.leakgate.readings.series import Bound
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.jobs.job import BUSY, ERROR, FAILED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.scripts import Look, looks_of
from voxpool.scheduler.core.seams import Observer

DECISIONS_MAX = 32
"""Decisions kept of a job; the oldest go first, and are counted."""


class Decision(msgspec.Struct, omit_defaults=True):
    """One thing that was decided about a job. `what` is submitted, looked, dispatched, redispatched, stale or ended.

    `detail` says why an attempt or the job failed. `pause_ms` is the back-off that follows. After a look `node_id` is
    the node that was chosen, or `reason` says why none was: nobody (no node has room), again (the store gave up
    looking, and is asked again).
    """

    at_ms: int
    what: str
    attempt: int = 0
    node_id: str = ""
    reason: str = ""
    looked: int = 0
    """Nodes that were looked at; at most 16 of them stand in `looks`."""
    looks: list[Look] = []
    detail: str = ""
    pause_ms: int = 0


class Followed(msgspec.Struct):
    """What is kept of one job: its last decisions, and how many older ones were dropped."""

    decisions: deque[Decision]
    dropped: int = 0


class Why(Observer):
    """Follows every `every`-th submit (0 = none) and those that `follow` names, and keeps the decisions about failures.

    At most `jobs_max` of each kind are kept, so that failures never displace a job that a client asked about. It
    receives events as an Observer; the dispatcher explains a select when one of its jobs is `followed`.
    """

    def __init__(self, clock: Clock, jobs_max: int, every: int) -> None:
        self._clock = clock
        self._jobs_max = jobs_max
        self._every = every
        self.followed: dict[str, Followed] = {}
        """The decisions about followed jobs; a select for one of them is to be explained."""
        self._failures: dict[str, Followed] = {}
        """The decisions about jobs of which at least one attempt was given up."""

    def __len__(self) -> int:
        return len(self.followed) + len(self._failures)

    def follow(self, job_id: str) -> None:
        """Keep what is decided about this job from now on; the job that was followed longest makes room."""
        if job_id not in self.followed and self._jobs_max:
            self._keep(self.followed, job_id)

    def of(self, job_id: str) -> Followed | None:
        """Return what was decided about a job, or None when that was not kept."""
        return self.followed.get(job_id) or self._failures.get(job_id)

    def bounds(self, path: str) -> dict[str, Bound]:
        """Return what counts of a memory report may reach by design; `path` is where this object stands in it."""
        records = 2 * self._jobs_max
        return {
            f"table {path}.followed": Bound(self._jobs_max, None),
            f"table {path}._failures": Bound(self._jobs_max, None),
            f"type {type_name(Followed)}": Bound(records),
            f"type {type_name(Decision)}": Bound(records * DECISIONS_MAX),
        }

    def looked(self, jobs: Sequence[Job], answer: Sequence[str]) -> None:
        """Take the answer of select_explained for `jobs`; their attempt is still the one before."""
        for i, (job, (total, looks)) in enumerate(zip(jobs, looks_of(answer, len(jobs)), strict=True)):
            if job.job_id not in self.followed:
                continue
            node_id, word = answer[2 * i], answer[2 * i + 1]
            reason = "" if node_id else word.lower() or "nobody"
            self._add(job.job_id, "looked", job.attempt + 1, node_id, reason, total, looks)

    def job_submitted(self, job: Job) -> None:
        if self._every and job.sequence % self._every == 0:
            self.follow(job.job_id)
        if self.followed:
            self._add(job.job_id, "submitted")

    def job_dispatched(self, job: Job, node: Node) -> None:
        if self.followed or self._failures:
            self._add(job.job_id, "dispatched", job.attempt, node.node_id)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        if reason != BUSY:
            self._begin_story(job, attempt, node_id)
        if self.followed or self._failures:
            pause_ms = max(0, job.backoff_until_ms - self._clock.now_ms())
            detail = job.detail if reason == ERROR else ""
            self._add(job.job_id, "redispatched", attempt, node_id, reason, detail=detail, pause_ms=pause_ms)

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        if self.followed or self._failures:
            self._add(job.job_id, "stale", job.attempt, node_id, generation)

    def job_ended(self, job: Job) -> None:
        if job.state == FAILED:
            self._begin_story(job, job.attempt, job.node_id)
        elif self._failures:
            self._failures.pop(job.job_id, None)
        if self.followed or self._failures:
            self._add(job.job_id, "ended", job.attempt, job.node_id, job.reason or job.state, detail=job.detail)

    def job_removed(self, job: Job) -> None:
        if self.followed:
            self.followed.pop(job.job_id, None)
        if self._failures:
            self._failures.pop(job.job_id, None)

    def _begin_story(self, job: Job, attempt: int, node_id: str) -> None:
        """Keep what the record of `job` contains about its life until now, unless something is kept already."""
        if not self._jobs_max or self.of(job.job_id) is not None:
            return
        story = self._keep(self._failures, job.job_id)
        story.append(Decision(job.submitted_ms, "submitted"))
        if node_id:
            story.append(Decision(job.dispatched_ms, "dispatched", attempt, node_id))

    def _keep(self, kept: dict[str, Followed], job_id: str) -> deque[Decision]:
        """Make an entry for a job; the one that was made longest ago makes room."""
        if len(kept) >= self._jobs_max:
            del kept[next(iter(kept))]
        kept[job_id] = Followed(deque(maxlen=DECISIONS_MAX))
        return kept[job_id].decisions

    def _add(
        self,
        job_id: str,
        what: str,
        attempt: int = 0,
        node_id: str = "",
        reason: str = "",
        looked: int = 0,
        looks: Sequence[Look] = (),
        detail: str = "",
        pause_ms: int = 0,
    ) -> None:
        followed = self.of(job_id)
        if followed is None:
            return
        if len(followed.decisions) == DECISIONS_MAX:
            followed.dropped += 1
        now_ms = self._clock.now_ms()
        followed.decisions.append(
            Decision(now_ms, what, attempt, node_id, reason, looked, list(looks), detail, pause_ms)
        )


def tell(decision: Decision, since_ms: int) -> str:
    """Return a decision as a line for people; times count from `since_ms`."""
    return f"{decision.at_ms - since_ms:>8} ms  {text_of(decision)}"


def text_of(decision: Decision) -> str:
    """Return what was decided as words."""
    words = {
        "submitted": "submitted",
        "dispatched": f"attempt {decision.attempt} sent to {decision.node_id}",
        "redispatched": f"attempt {decision.attempt} on {decision.node_id} given up: {decision.reason}",
        "stale": f"allocation of {decision.node_id} handed back: generation {decision.reason} isn't connected here",
        "ended": f"ended: {decision.reason}" + (f" on {decision.node_id}" if decision.node_id else ""),
    }
    text = words.get(decision.what) or _tell_look(decision)
    if decision.detail:
        text += f" ({decision.detail})"
    return f"{text}; queued again in {decision.pause_ms} ms" if decision.pause_ms else text


def _tell_look(decision: Decision) -> str:
    chosen = f"{decision.node_id} is taken" if decision.node_id else f"none is taken ({decision.reason})"
    looks = [
        f"{look.node_id} {look.word}" + ("" if look.load is None else f" {look.load}/{look.slots}")
        for look in decision.looks
    ]
    more = decision.looked - len(looks)
    seen = ", ".join([*looks, *([f"{more} more"] if more else [])]) or "no node"
    return f"for attempt {decision.attempt} looked at {seen}: {chosen}"
