"""The submit times of one client user, independent of the results of earlier jobs: an open model.

The times come from a generator with the run's seed, so they are known in advance. Late arrivals are counted, and so are
arrivals dropped because too many jobs of the user are in flight. Nothing here waits.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, repeat
from typing import Protocol

import msgspec
import numpy as np

from voxpool.loadtest.users._workload import Stream
from voxpool.sim.chance.distributions import Draw, draws
from voxpool.sim.chance.seeds import generator

BLOCK = 32
"""Draws per block; small, because there are many users with few jobs."""


class Arrival(msgspec.Struct):
    """A job to be submitted at `intended_s` (of the clock), from which latencies count."""

    intended_s: float
    stream: Stream
    work_s: float
    audio_bytes: int


class ArrivalCounter(Protocol):
    """Counts sent and dropped arrivals; lags are seconds between the intended and the real start."""

    def arrived(self, lag_s: float, late: bool) -> None:
        """Count an arrival that is sent `lag_s` after its time."""

    def dropped(self) -> None:
        """Count an arrival that was not sent, because too many jobs of its user were in flight."""


class Arrivals:
    """The arrivals of one user: its streams, merged in order of time, from now on.

    `name` identifies the user in the run; the same seed and name give the same draws. `begun_s` is the start of the
    run, for streams that start or end at a time of the run; default: now.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        seed: int,
        name: str,
        *,
        clock: Callable[[], float],
        counts: ArrivalCounter,
        late_s: float,
        begun_s: float | None = None,
    ) -> None:
        self._clock = clock
        self._counts = counts
        self._late_s = late_s
        now_s = clock()
        begun = now_s if begun_s is None else begun_s
        self._sources = [_Source(alike, seed, f"{name}/{k}", begun, now_s) for k, alike in enumerate(_alike(streams))]
        self._queue: list[tuple[float, int]] = []
        for k, source in enumerate(self._sources):
            self._plan(k, source)

    def wait_s(self) -> float | None:
        """Return the seconds until the next arrival (0 when it is due), or None when there will be none."""
        if not self._queue:
            return None
        return max(0.0, self._queue[0][0] - self._clock())

    def take(self, outstanding: int, outstanding_max: int) -> Arrival | None:
        """Return the next arrival, if it is due and may be sent; None also for a dropped one, which is counted."""
        if not self._queue or self._queue[0][0] > self._clock():
            return None
        at_s, k = heapq.heappop(self._queue)
        source = self._sources[k]
        stream = source.which()
        work_s, audio_bytes = source.work_s(), int(source.audio_bytes())
        self._plan(k, source)
        if outstanding >= outstanding_max:
            self._counts.dropped()
            return None
        lag_s = self._clock() - at_s
        self._counts.arrived(lag_s, lag_s > self._late_s)
        return Arrival(at_s, stream, work_s, audio_bytes)

    def _plan(self, k: int, source: _Source) -> None:
        at_s = next(source.times, None)
        if at_s is not None:
            heapq.heappush(self._queue, (at_s, k))


def _alike(streams: Sequence[Stream]) -> list[list[Stream]]:
    """Return the streams in groups: Poisson streams that differ in pair and rate only form one with the sum of rates.

    The arrivals of such a group are Poisson, and the stream of each is drawn in proportion to the rates
    (superposition), so that a user with jobs for a thousand pools doesn't need a thousand generators.
    """
    groups: dict[bytes, list[Stream]] = {}
    for k, stream in enumerate(streams):
        same = msgspec.json.encode(msgspec.structs.replace(stream, pair="", rate_per_s=0.0))
        key = same if stream.arrivals == "poisson" and stream.rate_per_s else b"%d" % k
        groups.setdefault(key, []).append(stream)
    return list(groups.values())


class _Source:
    """A group of streams of one user: draws the times of arrivals, and the stream of each."""

    def __init__(self, streams: Sequence[Stream], seed: int, name: str, begun_s: float, now_s: float) -> None:
        stream = msgspec.structs.replace(streams[0], rate_per_s=sum(one.rate_per_s for one in streams))
        self._streams = streams
        self._below = list(accumulate(one.rate_per_s for one in streams))
        self._rng = generator(seed, f"{name}/which") if len(streams) > 1 else None
        self._one = stream
        self.work_s: Draw = draws(stream.work_s, generator(seed, f"{name}/work"))
        self.audio_bytes: Draw = draws(stream.audio_bytes, generator(seed, f"{name}/audio"))
        self.times = self._times(generator(seed, f"{name}/arrivals"), begun_s, now_s)

    def which(self) -> Stream:
        """Return the stream of the next arrival."""
        if self._rng is None:
            return self._streams[0]
        at = bisect_right(self._below, self._rng.random() * self._below[-1])
        return self._streams[min(at, len(self._streams) - 1)]

    def _times(self, rng: np.random.Generator, begun_s: float, now_s: float) -> Iterator[float]:
        stream = self._one
        if not stream.rate_per_s:
            return
        together = stream.burst if stream.arrivals == "bursts" else 1
        mean_s = together / stream.rate_per_s
        at_s = max(now_s, begun_s + stream.start_s)
        if stream.arrivals == "even":
            at_s -= mean_s * float(rng.random())  # users must not submit all at the same time
            gaps: Iterator[float] = repeat(mean_s)
        else:
            gaps = _exponential(mean_s, rng)
        for gap_s in gaps:
            at_s += gap_s
            if stream.end_s is not None and at_s >= begun_s + stream.end_s:
                return
            for _ in range(together):
                yield at_s


def _exponential(mean_s: float, rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.exponential(mean_s, BLOCK).tolist()
