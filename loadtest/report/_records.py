"""What a load run found, as it is written down: `report.json`, from which page, comparison and notebooks are made.

Records only, and how they are read. Times are seconds on the clock of the run, from its start; latencies count from
the intended start of a request. What could not be measured is null, never 0. Fields are added, never renamed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from voxpool.leakgate.report.report import WatchReport
from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import wrong
from voxpool.sim.report.report import Check

JSON_NAME, HTML_NAME = "report.json", "report.html"
Verdict = Literal["holds", "broken", "unclear"]


class Spread(msgspec.Struct, frozen=True):
    """A distribution in a few figures, in seconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """All requests of one kind: `type` is HTTP, WS or NODE, `name` the operation."""

    type: str
    name: str
    requests: int
    """Those that ended, in whatever way."""
    failures: int
    rate_per_s: float
    latency_s: Spread | None = None
    """Of those that did not fail; None when there were none."""
    histogram: list[int] = []
    """The same, as `Histogram.packed` writes it (three digits, us)."""


class ErrorCount(msgspec.Struct, frozen=True):
    """Failures of one operation for one reason."""

    type: str
    name: str
    reason: str
    count: int
    first_s: float
    last_s: float


class WindowOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation in one window of time."""

    requests: int
    failures: int
    latency_s: Spread | None = None
    histogram: list[int] = []
    """As `Histogram.packed` writes it (two digits, us)."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What ended within `length_s` seconds from `start_s` on."""

    start_s: float
    length_s: float
    users: int
    """Users, of all kinds, at its end."""
    is_whole: bool
    """Whether the run lasted through all of it; else its counts are those of a part."""
    operations: dict[str, WindowOperation]
    """By "TYPE name"."""


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """The open-model arrivals of all client users: what was meant to be sent, and what was."""

    intended: int
    sent: int
    late: int
    """Sent more than `late_ms` after their time."""
    dropped: int
    """Not sent: their user had as many jobs in flight as it may have."""
    late_ms: float
    lag_s: Spread | None = None
    """From the intended start to the sending."""


class GeneratorProcess(msgspec.Struct, frozen=True, kw_only=True):
    """One process that makes load. It runs on one core: its CPU is a share of one."""

    name: str
    """local, master, or Locust's name of a worker."""
    pid: int
    cpu_mean: float | None
    cpu_max: float | None
    rss_bytes_max: int
    samples: int


class Generator(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the load generator kept up with what was asked of it."""

    was_limit: bool
    """Whether the generator, not the scheduler, may have set the figures."""
    reasons: list[str]
    """One sentence each: what gave out."""
    notes: list[str] = []
    """What else to know when reading the figures."""
    processes: list[GeneratorProcess] = []
    machine_cpu_mean: float | None = None
    """Share of all cores of the busiest machine that makes load, with all else that runs there."""
    memory_available_bytes_min: int | None = None
    """The least available memory of any machine that makes load."""


class NodeGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes of one pool that are alike, and how evenly jobs went to them."""

    pair: str
    nodes: int
    jobs: int
    share_max: float
    share_min: float
    chi_square: float
    degrees: int
    p_value: float | None
    """Of chi-square against even shares; None when there are fewer than five jobs a node."""
    counts: list[int] = []
    """Jobs of each node, the most first; at most COUNTS_MAX, evenly picked."""


class PoolFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One pool as the scheduler reported it under load."""

    pair: str
    nodes: int
    slots: int
    running_max: int
    waiting_max: int


class Pools(msgspec.Struct, frozen=True, kw_only=True):
    """The pools of the run; `pools` and `groups` name at most POOLS_MAX, the largest."""

    count: int
    nodes_max: int
    """Number of nodes of the largest pool."""
    pools: list[PoolFigures] = []
    groups: list[NodeGroup] = []
    """Counted by the node users."""
    chi_square: float | None = None
    """Over all groups."""
    degrees: int = 0
    p_value: float | None = None
    unreadable: str = ""
    """Why the scheduler's own list could not be read."""


POOLS_MAX = 100
COUNTS_MAX = 500


class Jobs(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the jobs, as their clients saw it."""

    submitted: int
    completed: int
    failed: int
    cancelled: int
    rejected: int
    lost: int
    """Whose result never came."""
    twice: int
    """Results that came again."""
    wrong: int
    """Results that did not belong to what was sent."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a load that goes up."""

    users: int
    """Client users."""
    seconds: float
    """How much of it was measured: whole windows between two others of as many users."""
    rate_per_s: float
    """Results a second that did not fail."""
    failures: int
    latency_s: Spread | None
    """Of results."""
    is_good: bool
    """p99 within the limit, and no more failures than may be."""


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """Where results stop to come in time."""

    steps: list[Step]
    limit_ms: float
    """What p99 may be."""
    knee: int | None
    """Index of the last good step before the first bad one; None when the first is bad."""
    is_reached: bool
    """Whether there is a bad step at all."""


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """A load run. `exit_code`: 0 holds, 1 does not, 2 not enough evidence, 3 could not start."""

    report: Literal["load"] = "load"
    schema: Literal[1] = 1
    verdict: Verdict
    exit_code: int
    why: str
    """The verdict in a sentence."""
    host: str
    started: str
    """UTC, ISO 8601."""
    duration_s: float
    ended_by: str
    """time, users, SIGTERM, SIGINT, the page, or what else ended it."""
    options: dict[str, Any]
    """As given, without secrets."""
    versions: dict[str, str]
    """Reasons on the generator's side."""
    scheduler: dict[str, Any] = {}
    """What the scheduler said of itself."""
    users_max: int = 0
    checks: list[Check] = []
    notes: list[str] = []
    generator: Generator
    arrivals: Arrivals | None = None
    jobs: Jobs | None = None
    operations: list[Operation] = []
    errors: list[ErrorCount] = []
    windows: list[Window] = []
    knee: Knee | None = None
    """Of a run in steps."""
    pools: Pools | None = None
    memory: WatchReport | None = None


def spread_of(histogram: Histogram) -> Spread | None:
    """Return the figures of `histogram` in seconds; None when it is empty."""
    if not histogram.total:
        return None
    p50, p90, p99, p999 = (round(value / 1e6, 6) for value in histogram.quantiles_us((0.5, 0.9, 0.99, 0.999)))
    mean = round(histogram.mean_us() / 1e6, 6)
    return Spread(mean, p50, p90, p99, p999, histogram.highest_us / 1e6)


def encoded(report: LoadReport) -> bytes:
    """Return `report` as JSON: a line a field, and in lists a line an item, which people and `diff` can read."""
    lines = []
    for name in report.__struct_fields__:
        value = getattr(report, name)
        if isinstance(value, list) and value:
            text = b"[\n  " + b",\n  ".join(msgspec.json.encode(item) for item in value) + b"\n ]"
        else:
            text = msgspec.json.encode(value)
        lines.append(msgspec.json.encode(name) + b": " + text)
    return b"{\n " + b",\n ".join(lines) + b"\n}\n"


def read_report(path: Path) -> LoadReport:
    """Return the report in the file `path`, or in `report.json` of that folder.

    Raises ConfigError, which says what is wrong with it.
    """
    file = path / JSON_NAME if path.is_dir() else path
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}: give a report.json of a load run, or its folder") from error
    try:
        return msgspec.json.decode(text, type=LoadReport)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: no report of a load run of this version: {wrong(error).sentence}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{file}: no JSON: {error}") from error
