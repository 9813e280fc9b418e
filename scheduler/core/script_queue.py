"""The one way to the store: script calls go out in order, one flush at a time, and are repeated until answered.

Whatever is queued while a flush is on its way travels in the next one, so that batches grow with the load and cost
nothing when there is none. The select batch is put together last, at the moment of the flush: a release that is queued
travels before it, and there is never more than one select on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.outages import Outages
from voxpool.scheduler.core.scripts import ARGUMENTS_MAX, ScriptCall
from voxpool.scheduler.core.seams import Observer, ScriptRunner
from voxpool.scheduler.errors import StoreUnavailable

Answer = list[str]
OnAnswer = Callable[[Answer], None]
CALLS_MAX = 256
"""Calls of one flush: bounds the memory of a pipeline and the time until its answers come."""
BACKLOG_MAX = 50_000
"""Calls that may wait before nodes that register are asked to come again later; some 50 MB."""
BACKOFF_MS = (50, 1000)
"""First and longest pause before a flush without an answer is repeated."""


class Selects(Protocol):
    """Where the select batch comes from: the dispatcher."""

    @property
    def wants_select(self) -> bool:
        """Whether compose_select would return a call."""
        ...

    def compose_select(self) -> tuple[ScriptCall, OnAnswer] | None:
        """Return the call for the jobs that may find a node now, or None."""
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
        self._clock = clock
        self._lease_ms = str(lease_ms)
        self._observer = observer
        self._calls: list[ScriptCall] = []
        self._handlers: list[OnAnswer] = []
        self._beats: list[Callable[[str], None]] = []
        self.is_repeating = False
        """Whether the store owes an answer that it failed to give: what is asked now and then need not be asked now."""
        self._held_beats: dict[str, tuple[str, Callable[[str], None]]] = {}
        """The last beat of each node while the store doesn't answer: beats must not pile up meanwhile."""
        self.outages = outages
        self._sleeper: asyncio.Future[None] | None = None
        self.in_flight = 0
        """Calls that were sent and not yet answered."""
        self._on_back = on_back
        """Called when a flush is answered after an outage: what a first, lost answer said is unknown."""

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued and nothing on its way."""
        return not (self._calls or self.in_flight)

    @property
    def is_full(self) -> bool:
        """True when the backlog has reached BACKLOG_MAX; callers that can be refused should be."""
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

    def release(self, hold: str) -> None:
        """Queue the release of job|attempt. Its answer says nothing that the caller doesn't know."""
        calls = self._calls
        if calls and calls[-1].name == "release_job" and len(calls[-1].args) < ARGUMENTS_MAX:
            calls[-1].args.append(hold)
        else:
            calls.append(ScriptCall("release_job", [hold]))
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
        if self.outages.answered(self._clock.now_ms()):
            self._on_back()
        self.in_flight = 0
        for handler, answer in zip(handlers, answers, strict=True):
            handler(answer)
        return True

    async def run_forever(self, selects: Selects) -> None:
        """Send whatever comes, and what `selects` has at each flush."""
        create_future = asyncio.get_running_loop().create_future
        while True:
            if not self._calls and not selects.wants_select:
                self._sleeper = create_future()
                try:
                    await self._sleeper
                finally:
                    self._sleeper = None
            await self.run_once(selects)

    def _take(self, selects: Selects) -> tuple[list[ScriptCall], list[OnAnswer]]:
        if len(self._calls) > CALLS_MAX:
            calls, handlers = self._calls[:CALLS_MAX], self._handlers[:CALLS_MAX]
            del self._calls[:CALLS_MAX], self._handlers[:CALLS_MAX]
            return calls, handlers  # no select: the room that it counts on stands in the calls left behind
        calls, self._calls = self._calls, []
        handlers, self._handlers = self._handlers, []
        self._beats = []  # they belong to a call that is sent now; kept here they would keep nodes that have gone
        select = selects.compose_select() if selects.wants_select else None
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
            await asyncio.sleep(pause_ms / 1000)
            pause_ms = min(2 * pause_ms, longest_ms)
            try:
                answers = await self._runner.run(calls)
            except StoreUnavailable as again:
                error = again
            else:
                self._observer.store_recovered()
                self._send_held_beats()
                return answers

    def _send_held_beats(self) -> None:
        self.is_repeating = False
        held, self._held_beats = self._held_beats, {}
        for node_id, (generation, on_word) in held.items():
            self.heartbeat(node_id, generation, on_word)


def _deliver(handlers: list[Callable[[str], None]], words: Answer) -> None:
    for handler, word in zip(handlers, words, strict=True):
        handler(word)


def ignore_answer(answer: Answer) -> None:
    """Do nothing: no answer to this call changes anything here."""
