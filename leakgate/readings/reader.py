"""Combines the readers: makes a Reading of a server from its pid, its report, its metrics, or several of them.

The metrics are read first, so that a clean-up that they show has ended when the memory is read.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
import msgspec

from voxpool.leakgate.errors import LeakgateError, NoReading, Restarted
from voxpool.leakgate.inside.readings import counts_of, sizes_of
from voxpool.leakgate.inside.report import MemoryReport
from voxpool.leakgate.readings.naming import Tracing
from voxpool.leakgate.readings.process import ProcessReader, ProcessReading
from voxpool.leakgate.readings.prometheus import FILES, RSS, STARTED, MetricsReader, Page, Selector, fetch
from voxpool.leakgate.readings.series import Bound, Reading, Source
from voxpool.leakgate.readings.trace_switch import tracing_at

ANSWER_TIMEOUT_S = 10.0
REPORT_BYTES_MAX = 8 * 1024 * 1024
TYPES_MAX = 300
"""Maximum number of types that are counted separately; most servers have fewer."""
PROCESSES_REMEMBERED = 64
WALL_CLOCK_S = 1_000_000_000
"""A metric of clean-ups above this value is the time of the last one; below it is the number of clean-ups."""


class Reader(Protocol):
    """The interface that a watch reads. `read` raises NoReading when a reading fails, and Restarted once when another
    process answers: the next reading is then the first one of the new process.
    """

    def read(self) -> Reading:
        """Return a reading."""

    def source(self) -> Source:
        """Return the data of the source other than readings; its bounds are those of all readings so far."""

    def tracing(self) -> Tracing | None:
        """Return what switches the tracing of its allocations; None when nothing can."""

    def close(self) -> None:
        """Close connections."""


class Selectors(msgspec.Struct, frozen=True):
    """The metrics by meaning; None = there is none."""

    work: Selector | None = None
    """Units of work that ended since the start: a counter."""
    cleanups: Selector | None = None
    """The wall clock of the last clean-up, or the number of clean-ups."""
    kept: Selector | None = None
    """Finished units that are retained."""
    in_flight: Selector | None = None
    work_bytes: Selector | None = None
    """Bytes of `kept` and `in_flight`."""


class ReportReader:
    """Reads the report of a process over HTTP, from voxpool.leakgate.inside or in the same format.

    Raises LeakgateError for an invalid `url`.
    """

    def __init__(self, http: httpx.Client, url: str, types_max: int = TYPES_MAX) -> None:
        self.url = url
        self.types_max = types_max
        self._http = http
        try:
            self._asked = str(httpx.URL(url).copy_merge_params({"gc": "1", "types": str(types_max)}))
        except httpx.InvalidURL as error:
            raise LeakgateError(f"{url} is no URL: {error}") from error

    def read(self) -> MemoryReport:
        """Return the report after a full collection. Raises NoReading."""
        fetched = fetch(self._http, self._asked, REPORT_BYTES_MAX, {})
        self._asked = fetched.url  # a redirect would count as a finished request of the server
        try:
            return msgspec.json.decode(fetched.body, type=MemoryReport)
        except msgspec.DecodeError as error:
            raise NoReading(f"{self.url} is no memory report of leakgate: {error}") from error

    def tracing(self, packages: Sequence[str] = ()) -> Tracing:
        """Return the switch of allocation tracing; `packages` are installed packages that belong to the program."""
        return tracing_at(self._http, self.url, packages)


class ServerReader:
    """A Reader of one process. Memory comes from its report if there is one, else from its pid, else from the metrics
    that client libraries export of their process.

    Work comes from the metric `selectors.work`, else from the counter in the report; without either it is the time in
    whole seconds, and the unit is a second. `about` has the name, the unit and the times of the clean-up. `seconds` is
    a monotonic clock, `now_s` the wall clock of the server. `packages` are installed packages whose lines can be
    reported for a leak, in addition to code that is neither installed nor Python's. Raises LeakgateError when there is
    no source of memory.
    """

    def __init__(
        self,
        process: ProcessReader | None = None,
        report: ReportReader | None = None,
        metrics: MetricsReader | None = None,
        selectors: Selectors = Selectors(),  # noqa: B008  # frozen
        about: Source = Source(),  # noqa: B008  # frozen
        seconds: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
        packages: Sequence[str] = (),
    ) -> None:
        if process is None and report is None and metrics is None:
            raise LeakgateError("nothing to read: give a pid, the URL of a report or the URL of metrics")
        if metrics is None and selectors != Selectors():
            raise LeakgateError("metrics are named, but not where they are: give the URL of the page")
        self._process = process
        self._report = report
        self._metrics = metrics
        self._selectors = selectors
        self._about = about
        self._seconds = seconds
        self._now_s = now_s
        self._packages = packages
        self._closing: list[Callable[[], None]] = []
        self._start_s = seconds()
        self._counts_seconds = False
        self._bounds: dict[str, Bound] = dict(about.bounds)
        self._identity: tuple[float, ...] = ()
        self._gone: list[tuple[float, ...]] = []
        self._cleanups = 0
        self._cleanup_value: float | None = None
        self._cleanup_s = 0.0

    def read(self) -> Reading:
        """Return a reading. Raises NoReading, and Restarted when the process is another one than before."""
        page = self._metrics.read() if self._metrics is not None else None
        now_s = self._seconds()
        process = self._read_process()
        report = self._report.read() if self._report is not None else None
        self._must_be_the_same(page, process, report)
        age_s = self._cleanup(page, now_s)
        sizes, counts = _sizes_and_counts(page, process, report)
        types_max = self._report.types_max if self._report is not None else 0
        in_flight = self._selected(page, "in_flight")
        if in_flight is None and report is not None:
            in_flight = report.in_flight
        return Reading(
            t_s=now_s - self._start_s,
            work=self._work(page, report, now_s),
            cleanups=self._cleanups,
            age_s=age_s,
            counts=counts,
            counts_are_whole=report is None or len(report.objects.types) < types_max,
            kept=self._selected(page, "kept"),
            in_flight=in_flight,
            work_bytes=self._selected(page, "work_bytes"),
            **sizes,
        )

    @property
    def counts_seconds(self) -> bool:
        """True when the last reading had no counter of work, so that time is the work."""
        return self._counts_seconds

    def source(self) -> Source:
        """Return the data of the source other than readings; bounds are the largest ones declared so far."""
        unit = "second" if self._counts_seconds else self._about.unit
        return msgspec.structs.replace(self._about, unit=unit, bounds=dict(self._bounds))

    def tracing(self) -> Tracing | None:
        """Return the switch of allocation tracing; None when the report is not read."""
        return None if self._report is None else self._report.tracing(self._packages)

    def close(self) -> None:
        """Close the connections that `open_reader` made."""
        while self._closing:
            self._closing.pop()()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _read_process(self) -> ProcessReading | None:
        try:
            return self._process.read() if self._process is not None else None
        except Restarted:
            self._forget()
            self._identity = ()
            raise

    def _must_be_the_same(self, page: Page | None, process: ProcessReading | None, report: MemoryReport | None) -> None:
        """Record the identity of the process. Raises Restarted for a new one, NoReading when several alternate."""
        is_one = process is not None and process.processes == 1
        if process is not None and is_one and report is not None and abs(process.started_s - report.started_s) > 0.05:
            raise NoReading(
                f"the report is that of another process (pid {report.pid}) than the pid to watch: of a server with "
                "several workers watch one, or run it with one"
            )
        started_s = page.of_process(STARTED) if page is not None else None
        identity = (
            *((process.started_s,) if process is not None else ()),
            *((report.pid, report.started_s) if report is not None else ()),
            *((started_s,) if started_s is not None else ()),
        )
        for name, bound in report.bounds.items() if report is not None else ():
            known = self._bounds.get(name, bound)
            entries = self._about.bounds.get(name, bound).entries  # the watch's bounds override the process's
            self._bounds[name] = Bound(entries, _larger(bound.entry_bytes, known.entry_bytes))
        before, self._identity = self._identity, identity
        if before in ((), identity):
            return
        if identity in self._gone:
            raise NoReading("several processes answer in turn: watch one worker, or run the server with one")
        self._gone = [*self._gone, before][-PROCESSES_REMEMBERED:]
        self._forget()
        raise Restarted("the process has been restarted: another one answers")

    def _forget(self) -> None:
        self._cleanups, self._cleanup_value = 0, None

    def _work(self, page: Page | None, report: MemoryReport | None, now_s: float) -> int:
        work = self._selected(page, "work")
        if work is None and report is not None:
            work = report.work
        self._counts_seconds = work is None
        return int(now_s - self._start_s) if work is None else work

    def _selected(self, page: Page | None, name: str) -> int | None:
        selector: Selector | None = getattr(self._selectors, name)
        return None if selector is None or page is None else round(page.value(selector))

    def _cleanup(self, page: Page | None, now_s: float) -> float | None:
        """Count a new clean-up on the page, and return the age of the last one; None before the first."""
        if self._selectors.cleanups is None or page is None:
            return None
        value = page.value(self._selectors.cleanups)
        if self._cleanup_value is not None and value != self._cleanup_value:
            self._cleanups += 1
            self._cleanup_s = now_s
        self._cleanup_value = value
        if not self._cleanups:
            return None
        return max(0.0, self._now_s() - value if value > WALL_CLOCK_S else now_s - self._cleanup_s)


def open_reader(
    *,
    pid: int | None = None,
    report_url: str = "",
    metrics_url: str = "",
    selectors: Selectors = Selectors(),  # noqa: B008  # frozen
    token: str = "",
    ca_file: str = "",
    children: bool = False,
    about: Source = Source(),  # noqa: B008  # frozen
) -> ServerReader:
    """Return a reader, which must be closed.

    `token` is sent to both URLs as `Authorization: Bearer …`; `ca_file` is a PEM file with the certificates to trust
    for https ("" = those of the machine); `children` includes the descendants of `pid`. Raises LeakgateError.
    """
    process = ProcessReader(pid, children) if pid is not None else None
    http = open_http(token, ca_file)
    name = about.name or ", ".join(part for part in (f"pid {pid}" if pid else "", report_url, metrics_url) if part)
    try:
        reader = ServerReader(
            process,
            ReportReader(http, report_url) if report_url else None,
            MetricsReader(http, metrics_url) if metrics_url else None,
            selectors,
            msgspec.structs.replace(about, name=name),
        )
    except BaseException:
        http.close()
        raise
    reader._closing.append(http.close)
    return reader


def open_http(token: str = "", ca_file: str = "") -> httpx.Client:
    """Return a client that sends `token` and trusts `ca_file`. Raises LeakgateError for a file that can't be used."""
    try:
        verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
    except (OSError, ssl.SSLError) as error:
        raise LeakgateError(f"{ca_file} has no certificates to trust: {error}") from error
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(
        headers=headers,
        timeout=ANSWER_TIMEOUT_S,
        trust_env=False,
        verify=verify,
        follow_redirects=True,  # a mounted application is often at PATH/; httpx sends no token to another host
        max_redirects=3,
    )


def _larger(one: float | None, other: float | None) -> float | None:
    """Return the larger size of an entry; None when one of them is not known."""
    return None if one is None or other is None else max(one, other)


def _sizes_and_counts(
    page: Page | None, process: ProcessReading | None, report: MemoryReport | None
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the fields of a Reading that are sizes, and its counts. Raises NoReading when nothing has the RSS."""
    sizes: dict[str, Any] = {}
    counts: dict[str, int] = {}
    if page is not None:
        counts["metric series"] = page.series
        if (rss := page.of_process(RSS)) is not None:
            sizes["rss_bytes"] = round(rss)
        if (files := page.of_process(FILES)) is not None:
            counts["open files"] = round(files)
    if process is not None:
        sizes |= {"rss_bytes": process.rss_bytes, "pss_bytes": process.pss_bytes}
        counts |= {"threads": process.threads}
        counts |= {"open files": process.open_files} if process.open_files is not None else {}
    if report is not None:
        of_pid = {"rss_bytes": sizes["rss_bytes"]} if process is not None else {}
        sizes |= sizes_of(report) | of_pid
        counts |= counts_of(report)
    if "rss_bytes" not in sizes:
        raise NoReading(
            f"the page has no {RSS}: give the pid of the server too, or mount voxpool.leakgate.inside in it"
        )
    return sizes, counts
