"""The options of a load run: their meanings, defaults and bounds, and their validation.

They are given on Locust's command line, in its configuration file, as `VOXPOOL_LOAD_…` or in its web form. The master
sends them to its workers with the users to spawn, so they are read when a test starts, never at import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from voxpool.leakgate.errors import WrongInput
from voxpool.leakgate.readings.secret import secret_of as read_secret
from voxpool.leakgate.readings.series import Bound, parse_bounds
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.field_types import Pair
from voxpool.scheduler.sentences import wrong
from voxpool.sim.scenario.expect import parse_expectation

DEFAULT_HOST = "http://127.0.0.1:5010"
"""The default of --host."""
ENVIRONMENT = "VOXPOOL_LOAD_"

Group = Literal["work", "shape", "memory", "scheduler", "tokens", "report"]
GROUPS: dict[Group, str] = {
    "work": "voxpool: the load",
    "shape": "voxpool: the load over time",
    "memory": "voxpool: the memory of the scheduler",
    "scheduler": "voxpool: the scheduler itself",
    "tokens": "voxpool: tokens, when the scheduler requires them (@FILE reads one)",
    "report": "voxpool: verdict and report",
}
ShapeName = Literal["steady", "smoke", "steps", "spike", "soak", "big-pools", "churn", "chaos"]
MemoryMode = Literal["watch", "off"]
Gate = Literal["load", "memory", "all"]
"""The checks that decide the exit code: load, memory of the scheduler, or both."""
ON_THE_COMMAND_LINE = frozenset(
    {
        *("client_token", "node_token", "admin_token"),
        *("scenario", "redis_url", "more_hosts", "with_scheduler", "store", "serve_flags", "ca_file", "out"),
    }
)
"""Secrets, and options that name files or start processes of this machine; Locust's page doesn't offer them."""
WorkKind = Literal["exponential", "even", "lognormal", "gamma", "pareto"]


def _option(
    group: Group,
    text: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
) -> msgspec.Meta:
    extra = {"group": group}
    if gt is not None:
        return msgspec.Meta(description=text, extra=extra, gt=gt, le=le)
    return msgspec.Meta(description=text, extra=extra, ge=ge, le=le)


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The checked options of one run. Names ending in _s are seconds, _ms milliseconds, _bytes bytes."""

    # The load.
    scenario: Annotated[
        str,
        _option(
            "work",
            "a scenario, by file or by name (share, or one of `voxpool-sim list`): its nodes and traffic are used",
        ),
    ] = ""
    nodes: Annotated[
        int,
        _option(
            "work",
            "node users, in addition to -u; 0 = the scheduler has other nodes, -1 = 20, with big-pools 1,500",
            ge=-1,
            le=200_000,
        ),
    ] = -1
    slots: Annotated[int, _option("work", "jobs that a node user works on at a time", ge=1, le=1000)] = 2
    pairs: Annotated[str, _option("work", "language pairs of the jobs and nodes, comma-separated")] = "load:test"
    pairs_count: Annotated[
        int, _option("work", "number of pairs with made-up names instead of --pairs; 0 = --pairs", ge=0, le=100_000)
    ] = 0
    rate_per_user: Annotated[
        float,
        _option("work", "jobs a second of one client user: Poisson arrivals, independent of answers", gt=0, le=1000),
    ] = 0.5
    work_ms: Annotated[
        float, _option("work", "mean of the work of a job on a node of speed 1, in ms", ge=0, le=3_600_000)
    ] = 50.0
    work: Annotated[WorkKind, _option("work", "distribution of the work around that mean")] = "exponential"
    audio_bytes: Annotated[
        int, _option("work", "audio of a job; the first 64 bytes contain the work", ge=64, le=10 * 1024**2)
    ] = 16_000
    timeout_s: Annotated[
        float, _option("work", "the client's timeout of a job; 0 = the scheduler's", ge=0, le=3600)
    ] = 0.0
    http_share: Annotated[
        float, _option("work", "share of client users that use HTTP; the others hold a session", ge=0, le=1)
    ] = 0.3
    messagepack_share: Annotated[
        float, _option("work", "share of sessions and nodes that speak MessagePack; the others JSON", ge=0, le=1)
    ] = 0.5
    cancel_share: Annotated[
        float, _option("work", "share of jobs that their client cancels after half of their work", ge=0, le=1)
    ] = 0.0
    drain_s: Annotated[
        float,
        _option("work", "maximum wait for results at the end of the run, when no new jobs are sent", ge=0, le=3600),
    ] = 10.0
    outstanding_max: Annotated[
        int,
        _option(
            "work", "jobs of one client user in flight; above it an arrival is dropped, and counted", ge=1, le=100_000
        ),
    ] = 100
    late_ms: Annotated[
        float, _option("work", "an arrival that is sent this long after its time counts as late", gt=0, le=60_000)
    ] = 100.0
    result_timeout_s: Annotated[
        float,
        _option("work", "a job without a result this long after its intended start fails: no_result", gt=0, le=86_400),
    ] = 90.0
    misbehaving: Annotated[
        int, _option("work", "misbehaving users, clients and nodes, in addition to -u", ge=0, le=10_000)
    ] = 0
    seed: Annotated[int, _option("work", "seed of arrivals, work and audio", ge=0, le=2**53)] = 1

    # The load over time.
    shape: Annotated[
        ShapeName, _option("shape", "steady uses -u, -r and -t; the others have other durations, which -t cuts")
    ] = "steady"
    steps: Annotated[int, _option("shape", "steps: number of equal steps up to -u", ge=2, le=100)] = 8
    step_s: Annotated[float, _option("shape", "steps: length of a step", gt=0, le=86_400)] = 20.0
    knee_ms: Annotated[
        float, _option("shape", "steps: the knee is the last step whose p99 is below this, in ms", gt=0, le=3_600_000)
    ] = 500.0
    spike_factor: Annotated[float, _option("shape", "spike: factor on the users of -u", gt=1, le=1000)] = 5.0
    spike_s: Annotated[
        float, _option("shape", "spike: length of the spike, in the middle of the run", gt=0, le=86_400)
    ] = 10.0
    churn_stay_s: Annotated[
        float, _option("shape", "churn: time that a node stays, exponential mean", gt=0, le=86_400)
    ] = 20.0
    churn_away_s: Annotated[
        float, _option("shape", "churn: time that it is away, exponential mean", ge=0, le=86_400)
    ] = 2.0
    kill_every_s: Annotated[
        float, _option("shape", "chaos: mean time between two kill -9 of a real node process", gt=0, le=86_400)
    ] = 5.0
    kill_nodes: Annotated[
        int,
        _option("shape", "chaos: real node processes, in addition to --nodes; they are killed in turn", ge=0, le=100),
    ] = 4
    redis_restart_every_s: Annotated[
        float,
        _option(
            "shape",
            "chaos: time between two restarts of Redis, with --with-scheduler --store redis; 0 = never",
            ge=0,
            le=86_400,
        ),
    ] = 20.0

    # Memory.
    memory: Annotated[
        MemoryMode,
        _option("memory", "watch reads and shows the scheduler's memory, off does not; --gate makes it decide"),
    ] = "watch"
    memory_interval_s: Annotated[
        float,
        _option("memory", "time between samples; 0 = a quarter of the scheduler's cleanup_interval_s", ge=0, le=3600),
    ] = 0.0
    leak_limit: Annotated[
        float, _option("memory", "growth of allocated bytes, in bytes a job, up to which it is no leak", gt=0, le=10**6)
    ] = 50.0
    bounded: Annotated[
        str,
        _option(
            "memory",
            "bounds of counts, NAME=N:BYTES (of an entry), separated by ;: 'table app.cache=1000:200'",
        ),
    ] = ""
    until_clear: Annotated[
        float,
        _option(
            "memory",
            "end the run when the verdict on memory is clear, at least after this number of seconds; 0 = by its time",
            ge=0,
            le=86_400,
        ),
    ] = 0.0
    redis_url: Annotated[
        str,
        _option(
            "memory", "the scheduler's Redis, to sample it by key family; default: the one that the scheduler reports"
        ),
    ] = ""

    # The scheduler itself.
    more_hosts: Annotated[
        list[str],
        _option(
            "scheduler", "one more scheduler of that Redis, can be repeated: users take turns over --host and these"
        ),
    ] = []
    with_scheduler: Annotated[
        bool, _option("scheduler", "start `voxpool serve` on a free port for this run, instead of --host")
    ] = False
    store: Annotated[
        str,
        _option(
            "scheduler",
            "with --with-scheduler: embedded, memory, redis (started for the run; chaos may restart it) or a URL",
        ),
    ] = "embedded"
    serve_flags: Annotated[
        str,
        _option("scheduler", "with --with-scheduler: more flags of `voxpool serve`, as in --serve-flags='--choices 3'"),
    ] = ""
    ca_file: Annotated[str, _option("scheduler", "PEM file with the certificates to trust for https")] = ""
    gone_s: Annotated[
        float, _option("scheduler", "the run ends when the scheduler does not answer for this long", gt=0, le=3600)
    ] = 10.0

    # Tokens.
    client_token: Annotated[str, _option("tokens", "token of client users")] = ""
    node_token: Annotated[str, _option("tokens", "token of node users")] = ""
    admin_token: Annotated[str, _option("tokens", "token of an admin, for memory, settings and pools")] = ""

    # Verdict and report.
    gate: Annotated[
        Gate,
        _option(
            "report",
            "what decides the exit code: load (failures, errors), memory (1 leak, 0 none, 2 unclear) or all (both)",
        ),
    ] = "load"
    expect: Annotated[
        list[str],
        _option(
            "report",
            "expectation of a figure, such as result.p99<200ms, key.ann.p99<2s, failures<0.1% or rate>90/s; can be "
            "repeated, or separated by ;; without one for failures none is allowed",
        ),
    ] = []
    out: Annotated[str, _option("report", "folder of report.json and report.html; else out/load/<UTC time>")] = ""

    @property
    def pair_names(self) -> list[str]:
        """The pairs of the jobs."""
        if self.pairs_count:
            return [f"p{number}:load" for number in range(self.pairs_count)]
        return [pair.strip() for pair in self.pairs.split(",") if pair.strip()]

    @property
    def bounds(self) -> dict[str, Bound]:
        """The bounds of the scheduler's counts. Raises ConfigError."""
        try:
            return parse_bounds(self.bounded.split(";"))
        except ValueError as error:
            raise ConfigError(f"--bounded {error}") from None

    @property
    def node_users(self) -> int:
        """The number of node users without a scenario."""
        if self.nodes >= 0:
            return self.nodes
        return 1500 if self.shape == "big-pools" else 20


def read_options(parsed: Mapping[str, Any]) -> LoadOptions:
    """Return the options among all that Locust has parsed. Raises ConfigError: one line that names the flag."""
    given: dict[str, Any] = {}
    for name, (kind, _) in fields_of_options().items():
        value = parsed.get(name)
        if value is None or (value == "" and kind is not str):
            continue  # an empty field of the web form
        if kind == list[str]:
            texts = [value] if isinstance(value, str) else value
            given[name] = [part.strip() for text in texts for part in text.split(";") if part.strip()]
            continue
        given[name] = secret_of(name, value) if name.endswith("_token") else value
    try:
        options = msgspec.convert(given, LoadOptions, strict=False)
    except msgspec.ValidationError as error:
        found = wrong(error)
        kind = fields_of_options()[found.field][0]
        text = f"must be one of {', '.join(get_args(kind))}" if get_origin(kind) is Literal else found.text
        raise ConfigError(f"{flag_of(found.field)} {given.get(found.field)}: {text}") from None
    _ = options.bounds
    for pair in options.pair_names:
        try:
            msgspec.convert(pair, Pair)
        except msgspec.ValidationError:
            raise ConfigError(f"--pairs {options.pairs}: `{pair}` is not a pair such as zh:en") from None
    if not options.pair_names:
        raise ConfigError("--pairs: name at least one pair, such as zh:en")
    if options.gate != "load" and options.memory == "off":
        raise ConfigError(f"--gate {options.gate} needs the memory watch: leave out --memory off")
    if any(not host.startswith(("http://", "https://")) for host in options.more_hosts) or (
        options.more_hosts and options.with_scheduler
    ):
        raise ConfigError("--more-hosts: needs URLs such as http://10.0.0.6:5010, and --host, not --with-scheduler")
    for text in options.expect:
        _check_expectation(text, options.memory)
    return options


def secret_of(name: str, value: str) -> str:
    """Return the token of an option: the value, or the content of the file after an @. Raises ConfigError."""
    try:
        return read_secret(value, flag_of(name))
    except WrongInput as error:
        raise ConfigError(str(error)) from None


def fields_of_options() -> dict[str, tuple[Any, msgspec.Meta]]:
    """Return type and description of each option."""
    fields = {}
    for name, hint in get_type_hints(LoadOptions, include_extras=True).items():
        kind, meta = get_args(hint)
        fields[name] = (kind, meta)
    return fields


def _check_expectation(text: str, memory: MemoryMode) -> None:
    """Raise ConfigError when a load run with these options can't check an expectation."""
    try:
        expectation = parse_expectation(text)
    except ConfigError as error:
        raise ConfigError(f"--expect {text}: {error}") from None
    if not expectation.loaded:
        raise ConfigError(f"--expect {text}: only a simulation has the figure {expectation.name}")
    if expectation.loaded.startswith("memory.") and memory == "off":
        raise ConfigError(f"--expect {text}: there is no such figure with --memory off")


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")
