"""Whether a new job may be accepted: bounds on what is kept, a node for its pair, and a wait within its timeout.

A job is refused when it is not expected to be done in time; the refusal names the time after which to try again. Jobs
that come back from a node are not checked. The module knows nothing of sockets, scripts or clients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.admission.key_rooms import KeyRooms
from voxpool.scheduler.core.admission.wait_times import AFTER_MS_MAX, Flow, Line, ReturnTimes, chance_above
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.jobs.job import CANCELLED, Job, Share
from voxpool.scheduler.core.jobs.reasons import EXPIRED, NO_NODE, OVERLOADED, STOPPING, TOO_LATE, WAITING_TIMEOUT
from voxpool.scheduler.errors import Rejected

if TYPE_CHECKING:
    from voxpool.scheduler.core.jobs.job_table import JobTable
    from voxpool.scheduler.core.jobs.waiting import WaitingJobs
    from voxpool.scheduler.core.script_queue import Outages

LATE_SHARE = 0.005
"""The share of the accepted jobs that may be expected to start too late."""
LATE_SPARE_MAX = 0.5
"""The most unused share that a pair may save up. With it, the pair accepts a job whose expected wait is within its
timeout, as after a burst; at lasting overload, where every job is accepted at the limit, nearly all must be in
time."""
LATE_MIN = 0.001
"""The chance of being late at which a pair that has saved nothing accepts a job."""
DEVIATIONS = 3.1
"""Standard deviations that belong to LATE_MIN."""
LATE_ANSWER_MS = 100
"""When the store fails or has not answered for this time, expected waits are not computed: they would not describe the
nodes."""
GONE_MS_MAX = 60_000
"""How long a pair without nodes and jobs is remembered, and the longest Retry-After of one that no node serves."""
PAIRS_GONE_MAX = 10_000
"""Pairs that are remembered; past it the one that was idle first is forgotten."""

CUT_SHORT = (EXPIRED, STOPPING)
"""Reasons of jobs that failed while their node was still working: their service time is unknown."""


class Pair:
    """The state of a pair: its flow, and the line of its refused submits."""

    __slots__ = ("flow", "late_spare", "left_ms", "line")

    def __init__(self, window_ms: int, now_ms: int, left_ms: int) -> None:
        self.flow = Flow(window_ms, now_ms)
        self.line = Line()
        self.late_spare = LATE_SPARE_MAX
        """The jobs that may be late; each accepted one adds LATE_SHARE and takes its own chance."""
        self.left_ms = left_ms
        """When its last node left; while nodes serve it, the time of the last change."""


class Intake:
    """The check of a submit, and the counts that it needs: the dispatcher and the node registry report what happens."""

    def __init__(
        self, settings: Settings, clock: Clock, table: JobTable, waiting: WaitingJobs, outages: Outages
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._table = table
        self._waiting = waiting
        self._outages = outages
        self._waiting_ms = ms(settings.waiting_timeout_s)
        self._late_factor = settings.late_factor
        self._window_ms = ms(settings.rate_window_s)
        self._grace_ms = ms(settings.no_node_grace_s)
        self._retry_after_ms = ms(settings.retry_after_s)
        self._began_ms = clock.now_ms()
        self._pairs: dict[str, Pair] = {}
        self._gone: dict[str, Pair] = {}
        """Those of them that have neither nodes nor jobs, in the order in which they lost them."""
        self._returns = ReturnTimes()
        self._keys = KeyRooms(table)

    def __len__(self) -> int:
        return len(self._pairs)

    def check(
        self, pair: str, audio_bytes: int, request_key: str, timeout_ms: int | None, share: Share | None = None
    ) -> None:
        """Raise Rejected when a new job can't be accepted now; `share` is None when the order is that of submits."""
        if audio_bytes > self._settings.audio_bytes_max:
            raise Rejected("audio_too_large", f"at most {self._settings.audio_bytes_max} bytes of audio a job")
        now_ms = self._clock.now_ms()
        self._outages.check(now_ms)
        self._check_nodes(pair, now_ms)
        self._table.check_room(audio_bytes)
        if share is not None:
            self._keys.check(share, audio_bytes)
        self._waiting.check_room(pair, share)
        self._check_wait(pair, request_key, timeout_ms, share, now_ms)
        self._returns.accepted(request_key)

    def check_same(self, known: Job, pair: str, audio: bytes) -> None:
        """Raise Rejected when a submit with the request id of a `known` job is another job."""
        if known.pair != pair or known.is_other_audio(audio):
            raise Rejected("request_id_conflict", f"request id {known.request_id!r} was used for another job")

    def has_node(self, pair: str) -> bool:
        """Return whether a connected node serves `pair` and isn't draining."""
        known = self._pairs.get(pair)
        return known is not None and known.flow.nodes > 0

    def why_in_vain(self, job: Job) -> str:
        """Return the reason of `job`, which fails now since it found no slot in time."""
        reason = self._outages.why_in_vain(self._clock.now_ms())
        return NO_NODE if reason == WAITING_TIMEOUT and not self.has_node(job.pair) else reason

    def too_late_ms(self, job: Job) -> int:
        """Return when a waiting `job` has too little time left for its work; 0 = never."""
        if not self._late_factor or not job.expires_ms:
            return 0
        return max(1, job.expires_ms - round(self._late_factor * self._of(job.pair).flow.service_ms))

    @property
    def unfinished(self) -> int:
        """The waiting and running jobs of all pairs."""
        return sum(pair.flow.waiting + pair.flow.running for pair in self._pairs.values())

    def expected_waits_ms(self) -> Iterator[tuple[str, float]]:
        """Yield each pair with nodes or jobs, and what a new job of it would wait; nothing while the store is late."""
        now_ms = self._clock.now_ms()
        for name, pair in self._pairs.items():
            if not pair.flow.is_idle and not self._outages.is_late(now_ms, LATE_ANSWER_MS):
                yield name, pair.flow.wait(now_ms)[0]

    def nodes_wanted(self) -> Iterator[tuple[str, float]]:
        """Yield each pair with nodes or jobs, and the nodes that its jobs need, not rounded."""
        for name, pair in self._pairs.items():
            if not pair.flow.is_idle:
                yield name, pair.flow.nodes_wanted()

    # ---- what the dispatcher reports

    def accepted(self, job: Job) -> None:
        """`job` was accepted and waits."""
        if job.share is not None:
            self._keys.accepted(job.share, job.audio_bytes)
        self._of(job.pair).flow.came()

    def nobody(self, job: Job) -> None:
        """The store found no slot for `job`."""
        self._of(job.pair).flow.full(self._clock.now_ms())

    def store_is_back(self) -> None:
        """The store answers again: the outage is not counted, and any pair may have room now."""
        now_ms = self._clock.now_ms()
        for pair in self._pairs.values():
            pair.flow.interrupted(now_ms)
        self._waiting.room_everywhere()

    def started(self, job: Job) -> None:
        """`job` was sent to a node."""
        self._of(job.pair).flow.started(job.dispatched_ms)

    def came_back(self, job: Job) -> None:
        """The present attempt of `job` was given up, and it waits again."""
        self._of(job.pair).flow.came_back(job.dispatched_ms)

    def ended(self, job: Job, was_running: bool) -> None:
        """`job` has ended."""
        if job.share is not None:
            self._keys.ended(job.share, job.audio_bytes)
        pair = self._of(job.pair)
        flow = pair.flow
        if was_running:
            flow.ended(job.ended_ms, job.dispatched_ms, job.state != CANCELLED and job.reason not in CUT_SHORT)
        else:
            flow.gave_up(job.ended_ms)
            if job.reason in (WAITING_TIMEOUT, TOO_LATE):
                pair.late_spare = max(0.0, pair.late_spare - LATE_SPARE_MAX / 2)
        if flow.is_idle:
            self._is_gone(job.pair, pair)

    # ---- what the node registry reports

    def serve(self, pairs: Sequence[str], nodes: int, slots: int) -> None:
        """Nodes with `slots` slots serve `pairs` from now on, or with negative numbers no longer."""
        now_ms = self._clock.now_ms()
        for name in pairs:
            pair = self._of(name)
            pair.flow.serve(now_ms, nodes, slots)
            pair.left_ms = now_ms
            if pair.flow.is_idle:
                self._is_gone(name, pair)

    # ---- the checks

    def _check_nodes(self, pair: str, now_ms: int) -> None:
        known = self._pairs.get(pair)
        if known is not None and known.flow.nodes > 0:
            return
        gone_ms = max(0, now_ms - (self._began_ms if known is None else known.left_ms))
        if gone_ms >= self._grace_ms:
            # When one comes is unknown. What was away for some time is often away for as long again.
            after_ms = max(self._retry_after_ms, min(gone_ms, GONE_MS_MAX))
            raise Rejected(NO_NODE, f"no node that serves {pair} is connected", after_ms)

    def _check_wait(
        self, name: str, request_key: str, timeout_ms: int | None, share: Share | None, now_ms: int
    ) -> None:
        pair = self._pairs.get(name)
        if pair is None or self._outages.is_late(now_ms, LATE_ANSWER_MS):
            return
        flow = pair.flow
        limit_ms = float(self._waiting_ms)
        if timeout_ms is not None:  # it covers the work, too
            limit_ms = min(limit_ms, timeout_ms - (self._late_factor or 1.0) * flow.service_ms)
        before = None if share is None else self._waiting.before(name, share)
        if not flow.ahead(before):  # a slot is free: it would not wait
            pair.late_spare = min(pair.late_spare + LATE_SHARE, LATE_SPARE_MAX)
            return
        is_due = self._returns.is_due(request_key, now_ms)
        mean_ms, deviation_ms = flow.wait(now_ms, 0.0 if is_due else pair.line.expected, before)
        late = chance_above(limit_ms, mean_ms, deviation_ms)
        if late <= max(pair.late_spare, LATE_MIN):
            pair.late_spare = min(max(0.0, pair.late_spare + LATE_SHARE - late), LATE_SPARE_MAX)
            return
        too_long_ms = mean_ms + DEVIATIONS * deviation_ms - limit_ms
        least_ms = max(self._retry_after_ms, round(min(too_long_ms, AFTER_MS_MAX)))
        after_ms = self._returns.give(request_key, pair.line, now_ms, least_ms, 1 / flow.starts_per_ms(now_ms))
        detail = f"a job of {name} would wait {mean_ms / 1000:.1f} s, which is past its timeout or too near to it"
        raise Rejected(OVERLOADED, detail, after_ms)

    # ---- the pairs

    def _of(self, name: str) -> Pair:
        pair = self._pairs.get(name)
        if pair is None:
            pair = self._pairs[name] = Pair(self._window_ms, self._clock.now_ms(), self._began_ms)
        elif self._gone:
            self._gone.pop(name, None)
        return pair

    def _is_gone(self, name: str, pair: Pair) -> None:
        """Remember a pair that has lost its last node and job for a while: its node may come back."""
        self._gone[name] = pair
        before_ms = self._clock.now_ms() - max(self._grace_ms, GONE_MS_MAX)
        while self._gone:
            first = next(iter(self._gone))
            if len(self._gone) <= PAIRS_GONE_MAX and self._gone[first].left_ms > before_ms:
                return
            del self._gone[first], self._pairs[first]
