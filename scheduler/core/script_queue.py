"""The one way to the store: script calls go out in order, one flush at a time, and are repeated until answered.

Whatever is queued while a flush is on its way travels in the next one, so that batches grow with the load and cost
nothing when there is none. The select batch is composed last, at the moment of the flush: a queued release is sent
before it, and at most one select is in flight. The times in which the store did not answer (Outages) are noted here;
they do not count as waiting time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.jobs.reasons import STORE_UNAVAILABLE, WAITING_TIMEOUT
from voxpool.scheduler.core.scripts import ARGUMENTS_MAX, ScriptCall
from voxpool.scheduler.core.seams import Observer, ScriptRunner
from voxpool.scheduler.errors import Rejected, StoreUnavailable

Answer = list[str]
OnAnswer = Callable[[Answer], None]
CALLS_MAX = 256
"""Calls of one flush: bounds the memory of a pipeline and the time until its answers come."""
BACKLOG_MAX = 50_000
"""Calls that may wait before nodes that register are refused for a time; some 50 MB."""
BACKOFF_MS = (50, 1000)
"""First and longest pause before a flush without an answer is repeated."""
NOTED_MS = 1000
"""An answer that took as long is an outage, as is one that came after a failure; below it a flush is only slow."""
SETTLE_MS = 1000
"""The time after an outage that still belongs to it: nodes are registered again, and the backlog is worked off."""
LOOK_MS = 1000
"""While the store is away: time between two looks at a job whose waiting timeout is paused."""
RETRY_MS_MAX = 30_000
"""The longest time to the next try that a submit gets which was refused because the store is away."""
OUTAGES_MAX = 100
"""Outages that are remembered; a job that began to wait before the oldest one loses the time of those before it."""


class Selects(Protocol):
    """Where the select batch comes from, and what follows when the store has lost its data: the dispatcher."""

    @property
    def wants_select(self) -> bool:
        """Whether compose_select would return a call."""
        ...

    def compose_select(self) -> tuple[ScriptCall, OnAnswer] | None:
        """Return the call for the jobs that may find a node now, or None."""
        ...

    def store_restarted(self) -> None:
        """The store has lost its data, or may have."""
        ...


class ScriptQueue:
    """Calls waiting for the store. `release` and `heartbeat` join the call before them when that is of their kind."""

    def __init__(
        self,
        runner: ScriptRunner,
        clock: Clock,
        lease_ms: int,
        observer: Observer,
        outages: Outages,
        on_back: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._restarts = runner.restarts
        self._clock = clock
        self._lease_ms = str(lease_ms)
        self._observer = observer
        self._calls: list[ScriptCall] = []
        self._handlers: list[OnAnswer] = []
        self._beats: list[Callable[[str], None]] = []
        self.is_repeating = False
        """Whether a flush failed and is repeated now: periodic calls are skipped meanwhile."""
        self._held_beats: dict[str, tuple[str, Callable[[str], None]]] = {}
        """The last beat of each node while the store doesn't answer: so that beats do not pile up."""
        self.gather_beats_s = 0.0
        """How long a beat may wait for another call that it is sent with; of a flush it costs a small part."""
        self._gathering: asyncio.TimerHandle | None = None
        self.outages = outages
        self._sleeper: asyncio.Future[None] | None = None
        self.in_flight = 0
        """Calls that were sent and not yet answered."""
        self._on_back = on_back
        """Called when a flush is answered after an outage: the contents of a first, lost answer are unknown."""

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued and nothing on its way."""
        return not (self._calls or self.in_flight)

    @property
    def is_full(self) -> bool:
        """Whether BACKLOG_MAX calls wait: nodes that register are refused then."""
        return len(self._calls) >= BACKLOG_MAX

    def call(self, call: ScriptCall, on_answer: OnAnswer) -> None:
        """Queue `call`; `on_answer` gets its answer, once."""
        self._calls.append(call)
        self._handlers.append(on_answer)
        self.nudge()

    def when_answered(self, then: Callable[[], None]) -> None:
        """Call `then` after the handler of the call that was queued last."""
        on_answer = self._handlers[-1]

        def both(answer: Answer) -> None:
            on_answer(answer)
            then()

        self._handlers[-1] = both

    def release(self, reservation: str) -> None:
        """Queue the release of job|attempt. Its answer is ignored."""
        calls = self._calls
        if calls and calls[-1].name == "release_job" and len(calls[-1].args) < ARGUMENTS_MAX:
            calls[-1].args.append(reservation)
        else:
            calls.append(ScriptCall("release_job", [reservation]))
            self._handlers.append(ignore_answer)
        self.nudge()

    def heartbeat(self, node_id: str, generation: str, on_word: Callable[[str], None]) -> None:
        """Queue a renewal of the lease of `node_id`; `on_word` gets OK, UNKNOWN or REPLACED.

        While the store does not answer, a later beat of the node takes the place of this one.
        """
        if self.is_repeating:
            self._held_beats[node_id] = (generation, on_word)
            return
        calls = self._calls
        if calls and calls[-1].name == "heartbeat" and len(calls[-1].args) < ARGUMENTS_MAX - 1:
            calls[-1].args.extend((node_id, generation))
            self._beats.append(on_word)
        else:
            beats = self._beats = [on_word]
            calls.append(ScriptCall("heartbeat", [str(self._clock.now_ms()), self._lease_ms, node_id, generation]))
            self._handlers.append(lambda answer: _deliver(beats, answer))
        if not self.gather_beats_s:
            self.nudge()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(self.gather_beats_s, self._end_gathering)

    def _end_gathering(self) -> None:
        self._gathering = None
        self.nudge()

    def nudge(self) -> None:
        """Wake the queue: something is queued, or jobs may find a node."""
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    async def run_once(self, selects: Selects) -> bool:
        """Send what is queued and the call of `selects`, hand out the answers; False when there was nothing to send."""
        if not self._calls and not selects.wants_select:
            return False
        calls, handlers = self._take(selects)
        self.in_flight = len(calls)
        self.outages.asked(self._clock.now_ms())
        try:
            answers = await self._runner.run(calls)
        except StoreUnavailable as error:
            answers = await self._repeat(calls, error)
        if self._runner.restarts != self._restarts:  # first of all: the answers name generations of before
            self._restarts = self._runner.restarts
            selects.store_restarted()
        if self.outages.answered(self._clock.now_ms()):
            self._on_back()
        self.in_flight = 0
        for handler, answer in zip(handlers, answers, strict=True):
            handler(answer)
        return True

    async def run_forever(self, selects: Selects) -> None:
        """Send whatever comes, and what `selects` has at each flush."""
        create_future = asyncio.get_running_loop().create_future
        try:
            while True:
                if not await self.run_once(selects):
                    self._sleeper = create_future()
                    try:
                        await self._sleeper
                    finally:
                        self._sleeper = None
        finally:
            if self._gathering is not None:
                self._gathering.cancel()

    def _take(self, selects: Selects) -> tuple[list[ScriptCall], list[OnAnswer]]:
        if len(self._calls) > CALLS_MAX:
            calls, handlers = self._calls[:CALLS_MAX], self._handlers[:CALLS_MAX]
            del self._calls[:CALLS_MAX], self._handlers[:CALLS_MAX]
            return calls, handlers  # no select: the room that it counts on is in the calls left behind
        calls, self._calls = self._calls, []
        handlers, self._handlers = self._handlers, []
        self._beats = []  # they belong to a call that is sent now; kept here they would keep nodes that have gone
        select = selects.compose_select()
        if select is not None:
            calls.append(select[0])
            handlers.append(select[1])
        return calls, handlers

    async def _repeat(self, calls: list[ScriptCall], error: StoreUnavailable) -> list[Answer]:
        """Send the same calls again until they are answered."""
        pause_ms, longest_ms = BACKOFF_MS
        self.is_repeating = True
        self.outages.failed()
        while True:
            self._observer.store_failed(str(error))
            await self._pause(pause_ms)
            pause_ms = min(2 * pause_ms, longest_ms)
            try:
                answers = await self._runner.run(calls)
            except StoreUnavailable as again:
                error = again
            else:
                self._observer.store_recovered()
                self._send_held_beats()
                return answers

    async def _pause(self, pause_ms: int) -> None:
        await asyncio.sleep(pause_ms / 1000)

    def _send_held_beats(self) -> None:
        self.is_repeating = False
        held, self._held_beats = self._held_beats, {}
        for node_id, (generation, on_word) in held.items():
            self.heartbeat(node_id, generation, on_word)


def _deliver(handlers: list[Callable[[str], None]], words: Answer) -> None:
    for handler, word in zip(handlers, words, strict=True):
        handler(word)


def ignore_answer(answer: Answer) -> None:
    """Ignore the answer: it changes nothing here."""


class Outages:
    """The times in which a flush got no answer: now, and the last `OUTAGES_MAX` times."""

    def __init__(self, settings: Settings) -> None:
        self._refuse_ms = ms(settings.store_refuse_s)
        self._patience_ms = ms(settings.store_patience_s)
        self._retry_ms = ms(settings.retry_after_s)
        self._past: deque[tuple[int, int]] = deque(maxlen=OUTAGES_MAX)
        self._asked_ms = 0
        self._has_failed = False

    def check(self, now_ms: int) -> None:
        """Raise Rejected when the store has been away for longer than store_refuse_s."""
        if not self._asked_ms:
            return
        silent_ms = self.silent_ms(now_ms)
        # Without a failure this process may have been stopped: the answer may lie in its socket.
        if silent_ms >= (self._refuse_ms if self._has_failed else 2 * self._refuse_ms):
            detail = f"the store has not answered for {silent_ms / 1000:.1f} s; jobs that were accepted stay"
            # The rest of the outage is unknown: its length so far is wrong by a factor of two at most.
            raise Rejected(STORE_UNAVAILABLE, detail, min(max(silent_ms, self._retry_ms), RETRY_MS_MAX))

    def end_of_wait_ms(self, from_ms: int, waiting_ms: int, now_ms: int) -> int:
        """Return when a wait from `from_ms` for `waiting_ms` is over: the store's absence stops its clock, for a while.

        While the store is away, that is the time of the next look.
        """
        away_ms = min(self.between(from_ms, now_ms), self._patience_ms)
        ends_ms = from_ms + waiting_ms + away_ms
        if away_ms < self._patience_ms and self.lasts(now_ms):
            return max(ends_ms, now_ms + LOOK_MS)
        return ends_ms

    def why_in_vain(self, now_ms: int) -> str:
        """Return the reason of a job that fails now since it found no node."""
        return STORE_UNAVAILABLE if self.lasts(now_ms) else WAITING_TIMEOUT

    def asked(self, now_ms: int) -> None:
        """Note that a flush is on its way."""
        self._asked_ms = now_ms

    def failed(self) -> None:
        """Note that it got no answer and is repeated."""
        self._has_failed = True

    def answered(self, now_ms: int) -> bool:
        """Note that it is answered, and return whether the store was away until now."""
        was_away = self._is_outage(now_ms)
        if was_away:
            self._past.append((self._asked_ms, now_ms + SETTLE_MS))
        self._asked_ms = 0
        self._has_failed = False
        return was_away

    def silent_ms(self, now_ms: int) -> int:
        """Return for how long the flush that is on its way has waited for its answer; 0 = there is none."""
        return now_ms - self._asked_ms if self._asked_ms else 0

    def lasts(self, now_ms: int) -> bool:
        """Whether the store is away now."""
        return self._asked_ms > 0 and self._is_outage(now_ms)

    def is_late(self, now_ms: int, after_ms: int) -> bool:
        """Whether the flush that is on its way has failed, or has waited for `after_ms` (at most NOTED_MS)."""
        return self._asked_ms > 0 and (self._has_failed or now_ms - self._asked_ms >= after_ms)

    def between(self, from_ms: int, now_ms: int) -> int:
        """Return how much of the time from `from_ms` to `now_ms` the store was away."""
        away_ms = sum(max(0, min(end, now_ms) - max(start, from_ms)) for start, end in self._past)
        if self.lasts(now_ms):
            away_ms += max(0, now_ms - max(self._asked_ms, from_ms))
        return away_ms

    def _is_outage(self, now_ms: int) -> bool:
        return self._has_failed or now_ms - self._asked_ms >= NOTED_MS
