"""The records of `report.json`, from which page, comparison and notebooks are made, and their reading.

Times are seconds since the start of the run; latencies count from the intended start of a request. A figure that could
not be measured is null, never 0. Fields are added, never renamed.
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
    """A distribution in seconds: its mean, quantiles (p999: 99.9 % are at most this), and its maximum."""

    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """All requests of one kind: `type` is HTTP, WS or NODE, `name` the operation, or KEY and the key of jobs."""

    type: str
    """HTTP, WS, NODE or KEY."""
    name: str
    """The operation, such as submit or result; of KEY the key."""
    requests: int
    """Number of requests that ended, in whatever way."""
    failures: int
    """Those that failed."""
    rate_per_s: float
    """Requests a second."""
    latency_s: Spread | None = None
    """Latency of the requests that did not fail; None when there were none."""
    histogram: list[int] = []
    """The same, as `Histogram.packed` writes it (three digits, us)."""


class ErrorCount(msgspec.Struct, frozen=True):
    """Failures of one operation for one reason."""

    type: str
    """HTTP, WS, NODE or KEY."""
    name: str
    """The operation."""
    reason: str
    """A stable word, or the error of the connection."""
    count: int
    """How many there were."""
    first_s: float
    """When the first was."""
    last_s: float
    """When the last was."""


class WindowOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation in one window of time."""

    requests: int
    """Those that ended in the window."""
    failures: int
    """Those that failed."""
    latency_s: Spread | None = None
    """Latencies of those that did not fail."""
    histogram: list[int] = []
    """As `Histogram.packed` writes it (two digits, us)."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What ended within `length_s` seconds from `start_s` on."""

    start_s: float
    """When it began."""
    length_s: float
    """Its length."""
    users: int
    """Users, of all kinds, at its end."""
    is_whole: bool
    """True when the run lasted through all of it; else its counts are those of a part."""
    operations: dict[str, WindowOperation]
    """By "TYPE name"."""


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """The open-model arrivals of all client users: what was meant to be sent, and what was."""

    intended: int
    """Jobs that were due."""
    sent: int
    """Jobs that were sent."""
    late: int
    """Sent more than `late_ms` after their time."""
    dropped: int
    """Not sent: their user had as many jobs in flight as it may have."""
    late_ms: float
    """From this lag on an arrival counts as late."""
    lag_s: Spread | None = None
    """From the intended start to the sending."""


class GeneratorProcess(msgspec.Struct, frozen=True, kw_only=True):
    """One process that makes load. It runs on one core: its CPU is a share of one."""

    name: str
    """local, master, or Locust's name of a worker."""
    pid: int
    cpu_mean: float | None
    """Its mean share of a core."""
    cpu_max: float | None
    """The largest share of a core."""
    rss_bytes_max: int
    """Its largest RSS."""
    samples: int
    """How often it was measured."""


class Generator(msgspec.Struct, frozen=True, kw_only=True):
    """How the load generator coped with the load."""

    was_limit: bool
    """True when the generator, not the scheduler, may have set the figures."""
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
    """How many nodes."""
    jobs: int
    """Jobs that they served together."""
    share_max: float
    """The largest share of these jobs that one node served."""
    share_min: float
    """The smallest."""
    chi_square: float
    """Against even shares."""
    degrees: int
    """Its degrees of freedom."""
    p_value: float | None
    """P value of chi-square against even shares; None when there are fewer than five jobs a node."""
    counts: list[int] = []
    """Jobs of each node, the most first; at most COUNTS_MAX, evenly picked."""


class PoolFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One pool as the scheduler reported it under load."""

    pair: str
    nodes: int
    slots: int
    running_max: int
    """Most jobs at work at once."""
    waiting_max: int
    """Most jobs that waited at once."""


class Pools(msgspec.Struct, frozen=True, kw_only=True):
    """The pools of the run; `pools` and `groups` name at most POOLS_MAX, the largest."""

    count: int
    """How many pools there were."""
    nodes_max: int
    """Number of nodes of the largest pool."""
    pools: list[PoolFigures] = []
    """The largest pools."""
    groups: list[NodeGroup] = []
    """Counted by the node users."""
    chi_square: float | None = None
    """Over all groups."""
    degrees: int = 0
    """Its degrees of freedom."""
    p_value: float | None = None
    """P value of chi_square; None when there are too few jobs."""
    unreadable: str = ""
    """Why the scheduler's own list could not be read."""


POOLS_MAX = 100
COUNTS_MAX = 500


class Jobs(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the jobs, as their clients saw it."""

    submitted: int
    """Jobs that were submitted."""
    completed: int
    """Jobs that completed."""
    failed: int
    """Jobs that failed."""
    cancelled: int
    """Jobs that were cancelled."""
    rejected: int
    """Submits that were rejected for good."""
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
    """Results that failed."""
    latency_s: Spread | None
    """Latency of results."""
    is_good: bool
    """p99 within the limit, and no more failures than may be."""


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """Where results stop to come in time."""

    steps: list[Step]
    """The steps, in their order."""
    limit_ms: float
    """What p99 may be."""
    knee: int | None
    """Index of the last good step before the first bad one; None when the first is bad."""
    is_reached: bool
    """True when there is a bad step at all."""


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """A load run. `exit_code`: 0 holds, 1 does not, 2 not enough evidence, 3 could not start."""

    report: Literal["load"] = "load"
    """The kind of the report."""
    schema: Literal[1] = 1
    """The version of this form."""
    verdict: Verdict
    """True when every limit was kept."""
    exit_code: int
    """0 holds, 1 does not, 2 not enough evidence, 3 could not start."""
    why: str
    """The verdict in a sentence."""
    host: str
    """The URL of the scheduler, without a password."""
    started: str
    """UTC, ISO 8601."""
    duration_s: float
    """How long the load lasted."""
    ended_by: str
    """time, users, SIGTERM, SIGINT, the page, or what else ended it."""
    options: dict[str, Any]
    """As given, without secrets."""
    versions: dict[str, str]
    """Reasons on the generator's side."""
    scheduler: dict[str, Any] = {}
    """What the scheduler reports about itself."""
    users_max: int = 0
    """Most users at once, of all kinds."""
    checks: list[Check] = []
    """Each demand, with its figure and limit."""
    notes: list[str] = []
    """Sentences: what to know when reading the figures."""
    generator: Generator
    """True when the load generator kept up."""
    arrivals: Arrivals | None = None
    """True when jobs were sent when they were due."""
    jobs: Jobs | None = None
    """What became of the jobs."""
    operations: list[Operation] = []
    """Figures of each kind of request."""
    errors: list[ErrorCount] = []
    """Failures by operation and reason."""
    windows: list[Window] = []
    """The run in windows of time."""
    knee: Knee | None = None
    """The knee of a run in steps."""
    pools: Pools | None = None
    """How jobs were spread over pools and nodes."""
    memory: WatchReport | None = None
    """The memory of the scheduler, if it was watched."""


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
