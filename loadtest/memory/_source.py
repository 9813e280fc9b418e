"""Reads a scheduler for the watch: metrics, memory report, settings, and the keys of its store.

It needs an admin's token. leakgate/readings/reader.py reads any process; this module adds what is specific to voxpool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from voxpool.leakgate.errors import NoReading, Restarted
from voxpool.leakgate.readings.naming import Tracing
from voxpool.leakgate.readings.prometheus import MetricsReader, Selector, parse_selector
from voxpool.leakgate.readings.reader import ReportReader, Selectors, ServerReader, open_http
from voxpool.leakgate.readings.series import Bound, Reading, Source
from voxpool.scheduler import __version__
from voxpool.scheduler.core.jobs.job import DISPATCHED, FINAL_STATES, WAITING

if TYPE_CHECKING:
    from voxpool.loadtest.memory._redis_census import RedisCensus

STORE = "store"
"""First word of the counts of the store."""
PACKAGES = ("voxpool",)
"""The installed package that the scheduler is."""
COUNT_EVERY_S = 2.0
"""Minimum time between two counts of the store, each of which takes a command per key."""


def _resident(states: Sequence[str]) -> Selector:
    return parse_selector("+".join(f'voxpool_jobs_resident{{state="{state}"}}' for state in states))


SELECTORS = Selectors(
    work=parse_selector("voxpool_jobs_ended_total"),
    cleanups=parse_selector("voxpool_cleanup_last_run_timestamp_seconds"),
    kept=_resident(sorted(FINAL_STATES)),
    in_flight=_resident((WAITING, DISPATCHED)),
    work_bytes=parse_selector("voxpool_jobs_resident_bytes"),
)


class SchedulerReader:
    """A leakgate Reader of the scheduler at `host`.

    `token` is an admin's ("" = none is needed), `redis_url` the Redis to count ("" = the scheduler's store when it is
    reachable from here), `ca_file` a PEM file with the certificates to trust for https ("" = those of the machine),
    `bounds` are bounds of counts in addition to those that the scheduler declares. `seconds` is a monotonic clock.
    Raises LeakgateError for a bad `ca_file`.
    """

    def __init__(
        self, host: str, token: str = "", *, redis_url: str = "", ca_file: str = "",
        bounds: Mapping[str, Bound] | None = None, seconds: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._seconds = seconds
        self._redis_url = redis_url
        self._bounds = dict(bounds or {})
        self._http = open_http(token, ca_file)
        self._http.base_url = httpx.URL(host)
        self._host = host
        self._reader: ServerReader | None = None
        self._census: RedisCensus | None = None
        self._counted_s = 0.0
        self.trouble = ""
        """Reason why the store is not counted."""

    def read(self) -> Reading:
        """Return a reading. Raises NoReading, and Restarted when the process is another one than before."""
        try:
            if self._reader is None:
                self._reader = self._meet()
            return self._counted(self._reader.read())
        except Restarted:
            self.close_reader()  # another process may have other settings
            raise

    def source(self) -> Source:
        """Return the data of the source other than readings. Only called after a reading."""
        assert self._reader is not None
        return self._reader.source()

    def tracing(self) -> Tracing | None:
        """Return the switch of allocation tracing. Only called after a reading."""
        return None if self._reader is None else self._reader.tracing()

    def close_reader(self) -> None:
        """Close the resources of the current process."""
        if self._census is not None:
            self._census.close()
        self._reader = self._census = None

    def close(self) -> None:
        """Close the connections."""
        self.close_reader()
        self._http.close()

    def _meet(self) -> ServerReader:
        checkup = self._checkup()
        try:
            settings, store = checkup["settings"], checkup["store"] or {}
            about = Source(
                name=self._host,
                unit="job",
                interval_s=float(settings["cleanup_interval_s"]),
                retention_s=float(settings["retention_s"]),
                bounds=self._bounds,
            )
            ahead_s = checkup["now_ms"] / 1000 - time.time()
        except (KeyError, TypeError) as error:
            raise NoReading(f"/v1/debug/checkup is not from voxpool {__version__}: {error!r} is missing") from error
        self.trouble = ""
        if self._redis_url or store.get("url"):
            self._open_census(str(store.get("url", "")))
        return ServerReader(
            report=ReportReader(self._http, f"{self._host.rstrip('/')}/v1/debug/memory"),
            metrics=MetricsReader(self._http, f"{self._host.rstrip('/')}/metrics"),
            selectors=SELECTORS,
            about=about,
            seconds=self._seconds,
            now_s=lambda: time.time() + ahead_s,
            packages=PACKAGES,
        )

    def _open_census(self, of_the_scheduler: str) -> None:
        from voxpool.loadtest.memory._redis_census import RedisCensus, reachable_url  # redis takes 0.2 s to import

        try:
            if url := reachable_url(self._redis_url, of_the_scheduler):
                self._census = RedisCensus(url, self._seconds)
        except NoReading as error:
            self.trouble = str(error)

    def _checkup(self) -> dict[str, Any]:
        path = "/v1/debug/checkup"
        try:
            response = self._http.get(path)
            if response.status_code in (401, 403):
                raise NoReading(f"{path} answers {response.status_code}: the memory watch needs an admin's token")
            if response.status_code != 200:
                raise NoReading(f"{path} answers {response.status_code}")
            checkup: dict[str, Any] = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoReading(f"{path}: {str(error) or type(error).__name__}") from error
        except ValueError as error:
            raise NoReading(f"{path} is not from voxpool {__version__}: it is not JSON") from error
        return checkup

    def _counted(self, reading: Reading) -> Reading:
        """Return `reading` with the counts of the store, unless they failed or were just taken."""
        found = None
        if self._census is not None and self._seconds() - self._counted_s >= COUNT_EVERY_S:
            try:
                found = self._census.take()
                self._counted_s = self._seconds()
            except NoReading as error:
                self.trouble = str(error)
        if found is None:
            return msgspec.structs.replace(reading, unread=(STORE,))
        counts = dict(reading.counts)
        for kind, numbers in (("keys", found.keys), ("members", found.members), ("bytes", found.bytes)):
            counts |= {f"{STORE} {kind} {family}": number for family, number in numbers.items()}
        return msgspec.structs.replace(reading, counts=counts)
