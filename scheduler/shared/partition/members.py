"""The role that keeps a scheduler a member of a partition: its lease, what the dead had, time-outs, the sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.script_queue import Answer, ignore_answer
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.calls import Said
from voxpool.scheduler.shared.partition.feed import Feed
from voxpool.scheduler.shared.spread import Spread

BEATS_A_LEASE = 3
TICK_MS = 250
"""The longest sleep: after a stall everything may be due."""
TIDY_MS = 1000
"""Time between two looks at what is due and what has ended long ago."""
SLICE = 100
"""Entries that one call removes: some ms of the server at most."""


class Members:
    """Beats and tidies one partition for the scheduler of `feed`. One partition has the loads: that with a `spread`."""

    def __init__(
        self, feed: Feed, clock: Clock, retention_ms: int, ended_max: int, spread: Spread | None = None
    ) -> None:
        self._feed = feed
        self._clock = clock
        self._retention_ms = retention_ms
        self._ended_max = ended_max
        self._spread = spread
        self._beat_at_ms = 0
        self._tidy_at_ms = 0
        self._has_left = False
        feed.before_flush = self.run_once

    @property
    def due_ms(self) -> int:
        """When `run_once` has something to do."""
        return 0 if self._feed.must_beat else min(self._beat_at_ms, self._tidy_at_ms)

    async def run_forever(self) -> None:
        """Do what is due, also when nothing else is sent."""
        while True:
            self.run_once()
            await asyncio.sleep(min(TICK_MS, max(1, self.due_ms - self._clock.now_ms())) / 1000)

    def leave(self) -> None:
        """End the membership: others adopt at once what is left."""
        self._has_left = True
        feed = self._feed
        feed.call(calls.beat(feed.name, self._clock.now_ms(), 0, feed.waiting_ms, SLICE, False), ignore_answer)

    def run_once(self) -> None:
        """Queue what is due now. The feed calls it, too: a flush of one that is no member now begins with a beat.

        Else it would take jobs under a lease that has ended, and another one would adopt them at once.
        """
        feed, now_ms = self._feed, self._clock.now_ms()
        if feed.is_repeating or self._has_left:
            return
        if feed.must_beat or now_ms >= self._beat_at_ms:
            feed.must_beat = False
            self._beat_at_ms = now_ms + feed.lease_ms // BEATS_A_LEASE
            judges = now_ms >= feed.judges_from_ms
            keys = feed.totals.keys
            load = "" if self._spread is None else self._spread.report()
            call = calls.beat(feed.name, now_ms, feed.lease_ms, feed.waiting_ms, SLICE, judges, load, keys)
            feed.call(call, partial(self._beaten, keys))
        if now_ms >= self._tidy_at_ms:
            self._tidy_at_ms = now_ms + TIDY_MS
            feed.ask_postponed()
            feed.call(calls.due(now_ms - feed.away_ms(now_ms), feed.waiting_ms, SLICE), partial(self._tidied, SLICE))
            before_ms = now_ms - self._retention_ms
            feed.call(calls.sweep(before_ms, self._ended_max, SLICE), partial(self._tidied, SLICE))

    def _beaten(self, keys: Sequence[str], answer: Answer) -> None:
        if answer[0] == Said.LAPSED:
            self._feed.observer.scheduler_lapsed(self._feed.partition)
        if answer[0] != Said.OK:
            self._feed.ask_again()
            self._feed.must_beat = False
        if self._spread is not None:
            self._spread.note(answer[3])
        known = 4 + len(keys)
        self._feed.totals.note(self._feed.partition, int(answer[1]), int(answer[2]), keys, answer[4:known])
        for scheduler, count in zip(answer[known::2], answer[known + 1 :: 2], strict=True):
            if int(count):
                self._feed.must_beat = True  # there may be more
                self._feed.observer.jobs_adopted(self._feed.partition, scheduler, int(count))

    def _tidied(self, limit: int, answer: Answer) -> None:
        if int(answer[0]) >= limit:
            self._tidy_at_ms = 0
