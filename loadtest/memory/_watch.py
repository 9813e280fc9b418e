"""Watches a scheduler's memory during a run: a thread that reads it, so many times between two sweeps.

A sweep sleeps for its interval AFTER the last one was done, so its phase drifts against any fixed period: the next
reading is set by the sweep that was seen last. The thread is a greenlet when gevent has patched threading.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import msgspec

from loadtest.memory._records import MemoryFinding, MemoryReport, MemorySample, MemorySeries, Mode, curves
from loadtest.memory._redis_census import RedisCensus, reachable_url
from loadtest.memory._source import MemorySource, NoReading, Watched
from loadtest.memory._verdict import LEAK_FLOOR, UNCLEAR, judge_memory
from scheduler.errors import ConfigError

AIM = 0.1
"""When after a sweep the first reading is due, in intervals: the sweep is over, and there is room to be late."""
READINGS_A_SWEEP = 4
STEP_MAX_S = 5.0
"""More of them where sweeps are rare, so that a short run shows something, too."""
PAUSE_MIN_S = 0.25
"""Each reading makes the scheduler collect its garbage: not more often than this."""
EVERY_S = 1.0
"""Between two readings when the clean-up is off."""
AGAIN_S = 2.0
"""Between two tries to meet the scheduler."""
STOP_TIMEOUT_S = 20.0
NOTES_MAX = 20


class MemoryWatch:
    """A Part of a run, on the master only. `report` may be asked for at any time, also while it runs.

    `token` is an admin's ("" = none is needed), `redis_url` a Redis to count in ("" = the scheduler's own store when
    it can be reached from here), `leak_floor` the bytes a job that still count as none, `every_s` the time between
    two readings (0 = four between two sweeps, or more), `ca_file` the certificates to trust for https. `seconds` is a
    monotonic clock. What is read once `is_loaded` no longer holds is shown, not judged: the jobs run out.
    `users` is how many users there are: connections that come with them are no leak.
    """

    def __init__(
        self, host: str, token: str, mode: Mode, seconds: Callable[[], float], *, redis_url: str = "",
        leak_floor: float = LEAK_FLOOR, every_s: float = 0.0, ca_file: str = "",
        is_loaded: Callable[[], bool] = lambda: True, users: Callable[[], int | None] = lambda: None,
    ) -> None:  # fmt: skip
        self.mode: Mode = mode
        self.series = MemorySeries(0.0)
        self._host, self._token, self._redis_url = host, token, redis_url
        self._leak_floor, self._every_s = leak_floor, every_s
        self._ca_file = ca_file
        self._is_loaded = is_loaded
        self._users = users
        self._seconds = seconds
        self._watched: Watched | None = None
        self._notes: list[str] = []
        self._trouble = "the memory watch is off" if mode == "off" else "nothing was read: the run ended first"
        self._stopped = threading.Event()
        self._broken = ""
        self._thread: threading.Thread | None = None
        self._latest: tuple[tuple[object, ...], MemoryReport] | None = None

    def start(self) -> None:
        """Begin, from nothing; returns at once. Trouble is in the report, never raised."""
        if self.mode == "off":
            return
        self.stop()
        self.series, self._notes, self._watched, self._broken = MemorySeries(0.0), [], None, ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="memory watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it and wait for the reading that is on its way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)
            self._thread = None

    def report(self) -> MemoryReport:
        """Return what is known by now, with the verdict on it."""
        watched, series = self._watched, self.series
        state = (watched, series, series.last, series.missed, len(self._notes), self._trouble, self._broken)
        if self._latest is None or self._latest[0] != state:
            self._latest = state, self._report(watched, series.snapshot())
        return self._latest[1]

    def _report(self, watched: Watched | None, series: MemorySeries) -> MemoryReport:
        if watched is None:
            finding = MemoryFinding(UNCLEAR, self._trouble, leak_floor=self._leak_floor)
            return MemoryReport(self.mode, finding)
        finding = judge_memory(
            series, watched.retention_s, self._leak_floor, self._notes, is_store_asked=bool(self._redis_url)
        )
        if self._broken:
            finding = MemoryFinding(UNCLEAR, self._broken, leak_floor=self._leak_floor)
        return MemoryReport(
            mode=self.mode,
            finding=finding,
            interval_s=watched.interval_s,
            retention_s=watched.retention_s,
            raw=curves(series.raw),
            swept=curves(series.swept),
            first=series.first,
            last=series.last,
            missed=series.missed,
        )

    def _run(self, stopped: threading.Event) -> None:
        try:
            source = MemorySource(self._host, self._token, self._seconds, self._ca_file)
        except ConfigError as error:
            self._trouble = str(error)
            return
        try:
            if (watched := self._meet(source, stopped)) is not None:
                self._watch(source, watched, stopped)
        except Exception as error:  # a bug of ours: what was read until then is no evidence of health
            self._broken = f"the memory watch broke: {error!r}"
            raise
        finally:
            source.close()

    def _meet(self, source: MemorySource, stopped: threading.Event) -> Watched | None:
        while not stopped.is_set():
            try:
                return source.meet()
            except NoReading as error:
                self._trouble = str(error)
            stopped.wait(AGAIN_S)
        return None

    def _watch(self, source: MemorySource, watched: Watched, stopped: threading.Event) -> None:
        self.series, self._watched = MemorySeries(watched.interval_s), watched
        census = self._census(watched)
        try:
            while not stopped.is_set():
                try:
                    sample, is_another = source.read()
                    sample = msgspec.structs.replace(sample, users=self._users())
                    if is_another:
                        watched = self._watched = source.meet()
                        self._note("the scheduler was restarted: only what came after the last start is judged")
                        self.series = MemorySeries(watched.interval_s)
                    elif self.series.is_after_a_sweep(sample):
                        sample = self._counted(sample, census)
                    self.series.add(sample, self._is_loaded())
                except NoReading as error:
                    self.series.missed += 1
                    self._note(str(error))
                stopped.wait(pause_s(watched.interval_s, source.since_sweep_s(), self._every_s))
        finally:
            if census is not None:
                census.close()

    def _census(self, watched: Watched) -> RedisCensus | None:
        url = reachable_url(self._redis_url, watched.store_url)
        try:
            return RedisCensus(url, self._seconds) if url else None
        except NoReading as error:
            self._note(str(error))
            return None

    def _counted(self, sample: MemorySample, census: RedisCensus | None) -> MemorySample:
        """Return `sample` with what is in the store; without it when that can't be counted."""
        if census is None:
            return sample
        try:
            found = census.take()
        except NoReading as error:
            self._note(str(error))
            return sample
        counts = dict(sample.counts)
        for kind, numbers in (("keys", found.keys), ("members", found.members), ("bytes", found.bytes)):
            counts |= {f"store {kind} {family}": number for family, number in numbers.items()}
        return msgspec.structs.replace(sample, counts=counts, store_bytes=found.total_bytes)

    def _note(self, text: str) -> None:
        if text not in self._notes and len(self._notes) < NOTES_MAX:
            self._notes.append(text)


def pause_s(interval_s: float, since_sweep_s: float | None, every_s: float = 0.0) -> float:
    """Return how long to wait before the next reading: until AIM after a sweep, or the next step from there on.

    Short intervals have one reading a sweep, or one in several.
    """
    if every_s or not interval_s:
        return every_s or EVERY_S
    step_s = interval_s / max(READINGS_A_SWEEP, math.ceil(interval_s / STEP_MAX_S))
    if since_sweep_s is None:
        return max(PAUSE_MIN_S, step_s)
    if step_s < PAUSE_MIN_S:
        step_s = interval_s * math.ceil(PAUSE_MIN_S / interval_s)
    first_s = AIM * interval_s
    steps = max(0, math.floor((since_sweep_s - first_s) / step_s + 1e-6) + 1)
    return first_s + steps * step_s - since_sweep_s
