"""A scenario as data: traffic, nodes, faults, sizes and expectations; and its reading from TOML.

The names of the keys are a public interface. Nothing here runs anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from voxpool.scheduler import config_sources
from voxpool.scheduler.config import Settings
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.field_types import Pair, Slots
from voxpool.scheduler.small_file import read_toml
from voxpool.sim.chance.distributions import Distribution, Even, load_file
from voxpool.sim.scenario.errors import check_keys, check_numbers, explain
from voxpool.sim.scenario.expect import Expectation, parse_expectations

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Chance = Annotated[float, msgspec.Meta(ge=0, le=1)]
Range = tuple[NotNegative, NotNegative]

SEED = 1
"""The default seed of a scenario."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the tables of a scenario."""


class Links(_Table, frozen=True):
    """Delay between the scheduler and its nodes and clients."""

    delay_ms: NotNegative | Distribution = 0.0
    """Delay each way, in ms; messages of one link keep their order."""


class StoreDelay(_Table, frozen=True):
    """Delay between the scheduler and the store."""

    delay_ms: NotNegative | Distribution = 0.0
    """Delay each way, in ms."""


class Service(_Table, frozen=True):
    """Overhead of an attempt on a node."""

    overhead_ms: NotNegative | Distribution = 0.0
    """Time added to each attempt, whatever the speed of its node; in ms."""


class Loop(_Table, frozen=True):
    """Load of the scheduler's event loop, which handles one message at a time."""

    message_ms: NotNegative | Distribution = 0.0
    """Time to handle one incoming message, in ms; messages that arrive in that time wait."""


class Nodes(_Table, frozen=True):
    """`count` nodes of one kind."""

    count: Annotated[int, msgspec.Meta(ge=1, le=200_000)]
    """Number of nodes."""
    pairs: Annotated[list[Pair], msgspec.Meta(min_length=1, max_length=256)]
    """The language pairs that each node serves."""
    slots: Slots = 1
    """Jobs that each node works on at the same time."""
    speed: Positive = 1.0
    """Relative speed; at 0.5 work takes twice as long."""
    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,40}\Z")] = "gpu"
    """Node ids are name-1, name-2, …; groups of the same name continue the numbering."""


class Traffic(_Table, frozen=True):
    """A stream of jobs of one pair."""

    pair: Pair
    """The language pair of the jobs."""
    rate_per_s: NotNegative
    """Jobs a second, on average."""
    work_s: NotNegative | Distribution
    """Work of a job on a node of speed 1, in seconds; drawn at the arrival, so it depends on no decision."""
    arrivals: Literal["poisson", "even", "bursts"] = "poisson"
    """The arrival process."""
    burst: Annotated[int, msgspec.Meta(ge=1)] = 10
    """Jobs per burst when arrivals = "bursts"; bursts are a Poisson process, the mean rate is the same."""
    audio_bytes: NotNegative | Distribution = 1000.0
    """The size of a job's audio, in bytes."""
    start_s: NotNegative = 0.0
    """Start of the stream."""
    end_s: NotNegative | None = None
    """End of the stream; default: duration_s."""
    timeout_s: Positive | None = None
    """The timeout that the client sets for its job."""
    retries: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Number of times that a client submits again after a refusal with a retry time."""
    sessions: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Number of sessions, used in turn by the jobs; 0 = none."""
    affinity: bool = False
    """Request the node of the session's last job."""
    priority: Annotated[int, msgspec.Meta(ge=1, le=5)] = 3
    """Priority of the jobs with the setting order = "fair"; 1 comes first."""
    key: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{0,64}\Z")] = ""
    """The key whose turn the jobs take with order = "fair"; streams of one key share its turns."""
    weight: Positive = 1.0
    """The weight of that key."""
    over: Literal["session", "in_order", "http"] = "session"
    """How the clients of ends = "wire" submit: over a session, over one with its results in order, or over HTTP."""
    partials: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    """Partial results that the workers of ends = "wire" send of each job over a session; 0: the clients don't ask."""


class Fault(_Table, frozen=True):
    """A kind of fault, its rate and its duration; or, with `at_s`, one fault."""

    kind: str
    """The kind of fault."""
    per_target_per_h: NotNegative | None = None
    """Rate of the fault for each node, link, client, store or scheduler that it can affect; needed without `at_s`."""
    lasts_s: Range | None = None
    """Range of the duration, drawn uniformly; default: 5 to 60. A momentary fault has none."""
    between_s: Range | None = None
    """Period in which faults begin; default: from the start to duration_s."""
    at_work: bool = False
    """Whether it strikes the node (or the link) of a random job that is with a node, instead of a random node."""
    follows: Chance = 0.0
    """Chance that it also follows each strike of a fault with at_work: at the client of the same job, or at the node
    that has it by then.
    """
    follows_s: Range | None = None
    """Range of the delay after that strike, drawn uniformly; default: 0 to 5."""
    at_s: NotNegative | None = None
    """Time of a single fault, instead of a rate."""
    target: str = ""
    """Name of the node, client or request that the fault of `at_s` affects; default: a random one."""


class Scenario(_Table, frozen=True):
    """One run."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,79}\Z")]
    """Name of the scenario, and of the folder in which failing runs are kept."""
    duration_s: Positive
    """Duration of the traffic; then faults heal and all jobs drain."""
    seed: Annotated[int, msgspec.Meta(ge=0)] = SEED
    """Seed of all random numbers: the same seed gives the same run."""
    ends: Literal["model", "wire"] = "model"
    """Clients and nodes: simulated ones beside the core, or the real SDK, endpoints and server on a virtual network."""
    tokens: bool = False
    """Whether the scheduler of ends = "wire" asks for tokens."""
    schedulers: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Number of schedulers; always 1, because one scheduler at a time uses a store."""
    warmup_s: NotNegative = 0.0
    """Waits exclude jobs submitted before this time."""
    settings: dict[str, Any] = {}
    """Settings of the scheduler by name; the others have their defaults."""
    links: Links = Links()
    """Delays of messages."""
    store: StoreDelay = StoreDelay()
    """Delays of store calls."""
    service: Service = Service()
    """Overhead of an attempt on a node."""
    loop: Loop = Loop()
    """Time of the scheduler per message."""
    nodes: list[Nodes] = []
    """Groups of nodes."""
    traffic: list[Traffic] = []
    """Streams of jobs."""
    faults: list[Fault] = []
    """What breaks."""
    expect: dict[str, str] = {}
    """Expectations: a figure, and a comparison with a limit, such as "wait_s.p99" = "< 2"."""

    @property
    def resolved_settings(self) -> Settings:
        """The settings of the scheduler, defaults included."""
        return msgspec.convert(self.settings, Settings)

    @property
    def expectations(self) -> list[Expectation]:
        """The lines of [expect], parsed."""
        return parse_expectations(self.expect)


COST_TABLES = ("links", "store", "service", "loop")
"""The tables with the costs of a machine, which `voxpool-sim calibrate` measures."""


def load_scenario(path: Path, costs: Path | None = None) -> Scenario:
    """Read a scenario from a TOML file; the tables of `costs`, a file with some of COST_TABLES, replace its own.

    Raises ConfigError with one line that names the error and its place.
    """
    scenario = parse_scenario(read_toml(path), str(path), path.parent)
    return scenario if costs is None else with_costs(scenario, costs)


def with_costs(scenario: Scenario, costs: Path) -> Scenario:
    """Return `scenario` with the tables of the file `costs` in place of its own. Raises ConfigError."""
    table = read_toml(costs)
    foreign = [key for key in table if key not in COST_TABLES]
    if foreign:
        raise ConfigError(f"{costs}: has no key {foreign[0]!r}; a file of costs can have {', '.join(COST_TABLES)}")
    least = {"name": scenario.name, "duration_s": scenario.duration_s}
    parsed = parse_scenario({**least, **table}, str(costs), costs.parent)
    return msgspec.structs.replace(scenario, **{key: getattr(parsed, key) for key in table})


def parse_scenario(table: dict[str, Any], place: str, folder: Path = Path(".")) -> Scenario:
    """Make a scenario of `table` and validate it; paths of files are relative to `folder`. Raises ConfigError."""
    check_keys(table, Scenario, place)
    check_numbers(table, place)
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise ConfigError(explain(error, table, place)) from None
    check_scenario(scenario, place)
    return with_files(scenario, folder)


def with_files(scenario: Scenario, folder: Path) -> Scenario:
    """Return `scenario` with the values of the files in `folder` that it names. Raises ConfigError."""
    return msgspec.structs.replace(
        scenario,
        links=msgspec.structs.replace(scenario.links, delay_ms=load_file(scenario.links.delay_ms, folder)),
        store=msgspec.structs.replace(scenario.store, delay_ms=load_file(scenario.store.delay_ms, folder)),
        service=msgspec.structs.replace(scenario.service, overhead_ms=load_file(scenario.service.overhead_ms, folder)),
        loop=msgspec.structs.replace(scenario.loop, message_ms=load_file(scenario.loop.message_ms, folder)),
        traffic=[
            msgspec.structs.replace(
                traffic,
                work_s=load_file(traffic.work_s, folder),
                audio_bytes=load_file(traffic.audio_bytes, folder),
            )
            for traffic in scenario.traffic
        ],
    )


def check_scenario(scenario: Scenario, place: str) -> None:
    """Check what the types of `scenario` don't express. Raises ConfigError with one line that names the error."""
    from voxpool.sim.faults import check_fault

    try:
        settings = config_sources.load(None, {}, scenario.settings)
    except ConfigError as error:
        raise ConfigError(str(error).replace("command line", f"{place}: [settings]", 1)) from None
    try:
        parse_expectations(scenario.expect)
    except ConfigError as error:
        raise ConfigError(f"{place}: [expect] {error}") from None
    if scenario.schedulers != 1:
        raise ConfigError(f"{place}: schedulers = {scenario.schedulers}: jobs live in one scheduler's memory: use 1")
    if scenario.ends == "model":
        _check_model(scenario, place)
    else:
        _check_wire(scenario, place)
    if scenario.warmup_s >= scenario.duration_s:
        raise ConfigError(f"{place}: warmup_s = {scenario.warmup_s:g} must be below duration_s")
    for i, fault in enumerate(scenario.faults):
        check_fault(fault, f"{place}: faults[{i}]", scenario.ends)
    for i, traffic in enumerate(scenario.traffic):
        if traffic.affinity and not traffic.sessions:
            raise ConfigError(f"{place}: traffic[{i}].affinity needs traffic[{i}].sessions above 0")
        least = _mean(traffic.audio_bytes)
        if least > settings.audio_bytes_max:
            raise ConfigError(
                f"{place}: traffic[{i}].audio_bytes: a mean of {least:g} is above the setting audio_bytes_max"
            )


def _check_model(scenario: Scenario, place: str) -> None:
    """Refuse what only real clients and endpoints have."""
    if scenario.tokens:
        raise ConfigError(f'{place}: tokens = true needs ends = "wire": the model has no endpoints')
    for i, traffic in enumerate(scenario.traffic):
        if traffic.over != "session":
            raise ConfigError(f'{place}: traffic[{i}].over = "{traffic.over}" needs ends = "wire"')
        if traffic.partials:
            raise ConfigError(f'{place}: traffic[{i}].partials needs ends = "wire": the model has no partial results')


def _check_wire(scenario: Scenario, place: str) -> None:
    """Refuse what real clients and nodes can't be given."""
    if scenario.loop != Loop():
        raise ConfigError(f'{place}: [loop] needs ends = "model": on the wire the scheduler handles real bytes')
    if "store" in scenario.settings:
        raise ConfigError(f'{place}: settings.store needs ends = "model": on the wire the store is in memory')
    for i, traffic in enumerate(scenario.traffic):
        if traffic.weight != 1:
            raise ConfigError(
                f'{place}: traffic[{i}].weight needs ends = "model": on the wire its token has the weight'
            )


def distribution(value: float | Distribution) -> Distribution:
    """Return a distribution; a plain number becomes a constant."""
    return Even(float(value)) if isinstance(value, int | float) else value


def _mean(value: float | Distribution) -> float:
    return distribution(value).mean or 0.0
