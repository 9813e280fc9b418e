"""The limits on submits: none while the scheduler stops, and a rate for each caller. Both doors of jobs check them.

The bounds on what is kept (jobs, bytes, waiting jobs of a pair) are with the tables that keep it. A request that was
accepted before is always accepted again: by this a client survives a broken connection.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.security.caller import Caller

CALLERS_MAX = 10_000
"""Callers whose rate is remembered; past it the one that was silent for longest gets a full burst again."""


class RateLimit:
    """The limit on submits. `stopping` is set once, when the scheduler begins to stop.

    `own_rates` has the submits a second of the tokens that have a bound of their own, by digest; for all others the
    setting rate_per_s counts.
    """

    def __init__(self, settings: Settings, table: JobTable, observer: Observer, own_rates: Mapping[str, float]) -> None:
        self.stopping = False
        self._own_rates = own_rates
        self._table = table
        self._observer = observer
        self._rate_per_s = settings.rate_per_s
        self._rates = Rates(settings.rate_burst, CALLERS_MAX)
        self._retry_after_ms = ms(settings.retry_after_s)

    def check(self, caller: Caller, pair: str, request_id: str) -> None:
        """Raise Rejected (stopping, rate) when a submit of `caller` can't be accepted now."""
        known = self._table.find_request(request_id, caller.name)
        if known is not None and not known.begins_anew:
            return
        if self.stopping:
            self._observer.job_rejected(pair, STOPPING)
            raise self.stopped()
        rate_per_s = self._own_rates.get(caller.digest, self._rate_per_s)
        if not rate_per_s:
            return
        wait_ms = self._rates.take(caller.name, rate_per_s, asyncio.get_running_loop().time())
        if wait_ms:
            self._observer.job_rejected(pair, "rate")
            raise Rejected("rate", f"more than {rate_per_s:g} submits a second of one token", wait_ms)

    def stopped(self) -> Rejected:
        """Return the refusal of a job that this scheduler hands back."""
        detail = "this scheduler stops; submit it again, under the same request id, to the next one"
        return Rejected(STOPPING, detail, self._retry_after_ms)


class Rates:
    """A token bucket for each name, which holds `burst` and fills at its rate (GCRA, ITU-T I.371).

    It keeps the time at which each will be full again, unless that is past; and its rate, so that the rest fills at a
    new rate as soon as there is one.
    """

    def __init__(self, burst: int, names_max: int) -> None:
        self._burst = burst
        self._names_max = names_max
        self._buckets: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str, rate_per_s: float, now_s: float) -> int:
        """Take one from the bucket of `name` and return 0, or return the ms until one can be taken."""
        full_at_s, old_per_s = self._buckets.pop(name, (now_s, rate_per_s))
        full_at_s = now_s + max(0.0, full_at_s - now_s) * (old_per_s / rate_per_s)
        early_s = full_at_s - now_s - (self._burst - 1) / rate_per_s
        taken = early_s <= 1e-9
        if taken:
            full_at_s += 1 / rate_per_s
        if len(self._buckets) >= self._names_max:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[name] = full_at_s, rate_per_s
        return 0 if taken else max(1, math.ceil(early_s * 1000))
