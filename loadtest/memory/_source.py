"""Reads a scheduler's memory over HTTP: GET /metrics, then GET /v1/debug/memory?gc=1, as one MemorySample.

In this order, so that a sweep which the metrics tell of is over when the memory is read. It takes the admin's token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from loadtest.memory._records import MemorySample
from scheduler import __version__
from scheduler.errors import VoxpoolError
from scheduler.job import FINAL_STATES
from scheduler.sdk.tls import tls_context

ANSWER_TIMEOUT_S = 10.0
TYPES_MAX = 300
"""Types of objects that are counted one by one; a scheduler has fewer."""
PREFIX = "voxpool_"
_STATE = re.compile(r'[{,]state="([^"]*)"')


class NoReading(VoxpoolError):
    """The scheduler's memory could not be read. Its text says why, and what to do."""


class Watched(msgspec.Struct, frozen=True):
    """What the scheduler says of itself once, at the start."""

    version: str
    interval_s: float
    """cleanup_interval_s; 0 = off."""
    retention_s: float
    store_url: str
    """Of the server behind it, without a password; "" when it keeps its data in its own process."""
    ahead_s: float
    """Its wall clock less `seconds()` here."""


class Figures(msgspec.Struct):
    """What /metrics told that matters here."""

    jobs_ended: int = 0
    finished: int = 0
    unfinished: int = 0
    jobs_bytes: int = 0
    last_sweep_s: float = 0.0
    """Its wall clock at the last sweep; its start before there was one."""
    started_s: float = 0.0
    """Its wall clock when the process started; another value = another process."""
    series: int = 0
    """Lines with a figure: labels that grow without bound show here."""


class MemorySource:
    """One scheduler. `seconds` is a monotonic clock; `token` an admin's, "" = none is needed; `ca_file` a PEM file with
    the certificates to trust for https, "" = what the machine trusts. Raises ConfigError for a bad `ca_file`.
    """

    def __init__(self, host: str, token: str, seconds: Callable[[], float], ca_file: str = "") -> None:
        self._seconds = seconds
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=host,
            headers=headers,
            timeout=ANSWER_TIMEOUT_S,
            trust_env=False,
            verify=tls_context(ca_file or None) if host.startswith("https") else True,
        )
        self._start_s = seconds()
        self._ahead_s = 0.0
        self._process_s = 0.0
        self._sweeps = 0
        self._last_sweep_s = 0.0

    def meet(self) -> Watched:
        """Return what the scheduler is; comes first. Raises NoReading."""
        before_s = self._seconds()
        checkup = self._json("/v1/debug/checkup")
        now_s = (before_s + self._seconds()) / 2
        try:
            settings = checkup["settings"]
            store = checkup["store"] or {}
            self._ahead_s = checkup["now_ms"] / 1000 - now_s
            watched = Watched(
                version=checkup["version"],
                interval_s=float(settings["cleanup_interval_s"]),
                retention_s=float(settings["retention_s"]),
                store_url=str(store.get("url", "")),
                ahead_s=self._ahead_s,
            )
        except (KeyError, TypeError) as error:
            raise NoReading(f"/v1/debug/checkup is not that of voxpool {__version__}: {error!r} is missing") from error
        figures = self._figures()
        self._process_s, self._last_sweep_s = figures.started_s, figures.last_sweep_s
        return watched

    def read(self) -> tuple[MemorySample, bool]:
        """Return a sample, and whether it is of another process than the last one. Raises NoReading."""
        figures = self._figures()
        now_s = self._seconds()
        is_new = figures.started_s != self._process_s
        if is_new:
            self._process_s, self._sweeps, self._last_sweep_s = figures.started_s, 0, figures.last_sweep_s
        elif figures.last_sweep_s != self._last_sweep_s:
            self._sweeps, self._last_sweep_s = self._sweeps + 1, figures.last_sweep_s
        report = self._json(f"/v1/debug/memory?gc=1&types={TYPES_MAX}")
        age_s = max(0.0, now_s + self._ahead_s - figures.last_sweep_s) if self._sweeps else None
        try:
            return self._sample(report, figures, now_s, age_s), is_new
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise NoReading(f"/v1/debug/memory is not that of voxpool {__version__}: {error!r}") from error

    def since_sweep_s(self) -> float | None:
        """How long ago the last sweep was, as far as is known now; None before one was seen."""
        return self._seconds() + self._ahead_s - self._last_sweep_s if self._sweeps else None

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _sample(self, report: dict[str, Any], figures: Figures, now_s: float, age_s: float | None) -> MemorySample:
        memory, types = report["memory"], report["objects"]["types"]
        named = (("table", report["tables"]), ("type", types), ("task", report["tasks"]["functions"]))
        counts: dict[str, int] = {f"{kind} {name}": count for kind, sizes in named for name, count in sizes.items()}
        counts |= {"open files": report["open_files"], "threads": report["threads"], "metric series": figures.series}
        fields = ("rss", "live", "held", "python", "arenas", "malloc", "malloc_free")
        sample = {
            **{f"{name}_bytes": memory[f"{name}_bytes"] for name in fields},
            "t_s": now_s - self._start_s,
            "sweep": self._sweeps,
            "age_s": age_s,
            "jobs_ended": figures.jobs_ended,
            "jobs_finished": figures.finished,
            "jobs_unfinished": figures.unfinished,
            "jobs_bytes": figures.jobs_bytes,
            "blocks": report["blocks"],
            "objects": report["objects"]["total"],
            "collect_ms": report["pauses_ms"].get("collect", 0.0),
            "counts": counts,
            "counts_are_whole": len(types) < TYPES_MAX,
            "unreadable": memory.get("unreadable") or "",
        }
        return msgspec.convert(sample, MemorySample)

    def _figures(self) -> Figures:
        return parse_metrics(self._get("/metrics").text)

    def _json(self, path: str) -> Any:
        try:
            return self._get(path).json()
        except ValueError as error:
            raise NoReading(f"{path} is not that of voxpool {__version__}: it is no JSON") from error

    def _get(self, path: str) -> httpx.Response:
        try:
            response = self._http.get(path)
            if response.status_code in (401, 403):
                raise NoReading(f"{path} answers {response.status_code}: the memory watch needs an admin's token")
            if response.status_code != 200:
                raise NoReading(f"{path} answers {response.status_code}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoReading(f"{path}: {str(error) or type(error).__name__}") from error
        return response


def parse_metrics(text: str) -> Figures:
    """Return what matters here of a page of metrics. Raises NoReading when it isn't voxpool's."""
    figures = Figures()
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        figures.series += 1
        if not line.startswith(PREFIX):
            continue
        name, _, number = line.rpartition(" ")
        name = name.removeprefix(PREFIX)
        if name.startswith("jobs_ended_total{"):
            figures.jobs_ended += int(float(number))
        elif name.startswith("jobs_resident{"):
            state = _STATE.search(name)
            if state is not None and state[1] in FINAL_STATES:
                figures.finished += int(float(number))
            else:
                figures.unfinished += int(float(number))
        elif name == "jobs_resident_bytes":
            figures.jobs_bytes = int(float(number))
        elif name == "cleanup_last_run_timestamp_seconds":
            figures.last_sweep_s = float(number)
        elif name == "process_start_time_seconds":
            figures.started_s = float(number)
    if not figures.last_sweep_s or not figures.started_s:
        raise NoReading(f"/metrics is not that of voxpool {__version__}: it does not tell of the clean-up")
    return figures
