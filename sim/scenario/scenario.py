"""A scenario as data: traffic, nodes, faults, sizes and what is expected of the run; and how it is read from TOML.

The names are those of the interface that users write against: they are never renamed. Nothing here runs anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from voxpool.scheduler import config_sources
from voxpool.scheduler.config import Settings
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.messages import Pair, Slots
from voxpool.scheduler.small_file import read_toml
from voxpool.sim.chance.distributions import Distribution, Even, load_file
from voxpool.sim.scenario.errors import check_keys, check_numbers, explain
from voxpool.sim.scenario.expect import Expectation, parse_expectations

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Range = tuple[NotNegative, NotNegative]

SEED = 1
"""The seed of a scenario that names none."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the tables of a scenario."""


class Links(_Table, frozen=True):
    """Between the scheduler and its nodes and clients."""

    delay_ms: NotNegative | Distribution = 0.0
    """Each way, in ms; messages of one link never overtake each other."""


class StoreDelay(_Table, frozen=True):
    """Between the scheduler and the store."""

    delay_ms: NotNegative | Distribution = 0.0
    """Each way, in ms."""


class Service(_Table, frozen=True):
    """What work costs on a node beside the work itself."""

    overhead_ms: NotNegative | Distribution = 0.0
    """Added to each attempt, whatever the speed of its node; in ms."""


class Loop(_Table, frozen=True):
    """The scheduler's event loop, which does one thing at a time."""

    message_ms: NotNegative | Distribution = 0.0
    """How long each message that comes in keeps it busy, in ms; those that come meanwhile wait."""


class Nodes(_Table, frozen=True):
    """`count` nodes of one kind."""

    count: Annotated[int, msgspec.Meta(ge=1, le=200_000)]
    """How many there are."""
    pairs: Annotated[list[Pair], msgspec.Meta(min_length=1, max_length=256)]
    """The language pairs that each of them serves."""
    slots: Slots = 1
    """Jobs that each of them works on at the same time."""
    speed: Positive = 1.0
    """0.5 takes twice as long."""
    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,40}\Z")] = "gpu"
    """Their ids are name-1, name-2, …; groups of one name count on."""


class Traffic(_Table, frozen=True):
    """A stream of jobs of one pair."""

    pair: Pair
    """The language pair of the jobs."""
    rate_per_s: NotNegative
    """Jobs a second, on average."""
    work_s: NotNegative | Distribution
    """On a node of speed 1; drawn at the arrival, so that no decision changes it."""
    arrivals: Literal["poisson", "even", "bursts"] = "poisson"
    """How arrivals are spread in time."""
    burst: Annotated[int, msgspec.Meta(ge=1)] = 10
    """Jobs that arrive together when arrivals = "bursts"; the bursts are poisson, the mean rate stays."""
    audio_bytes: NotNegative | Distribution = 1000.0
    """The size of the audio of a job."""
    start_s: NotNegative = 0.0
    """When the stream begins."""
    end_s: NotNegative | None = None
    """Without it: until duration_s."""
    timeout_s: Positive | None = None
    """The client's own bound on its job."""
    retries: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How often a client submits again that was refused with a time to retry."""
    sessions: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Sessions that the jobs are spread over in turn; 0 = none."""
    affinity: bool = False
    """Ask for the node of the session's last job."""


class Fault(_Table, frozen=True):
    """What breaks, how often and for how long."""

    kind: str
    """One of the kinds below."""
    per_target_per_h: NotNegative
    """How often, for each node, link, client, store or scheduler that it can hit."""
    lasts_s: Range | None = None
    """Evenly drawn between the two; without it: 5 to 60. A fault of a moment has none."""
    between_s: Range | None = None
    """Faults begin in this part of the run; without it: from the start to duration_s."""


class Scenario(_Table, frozen=True):
    """One run."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,79}\Z")]
    """Failing runs are kept in a folder of this name."""
    duration_s: Positive
    """Length of the traffic; then faults heal and everything drains."""
    seed: Annotated[int, msgspec.Meta(ge=0)] = SEED
    """All chance of the run comes from it: same seed, same run."""
    schedulers: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Always 1: one scheduler at a time uses a store."""
    warmup_s: NotNegative = 0.0
    """Jobs submitted before it are left out of the waits."""
    settings: dict[str, Any] = {}
    """Settings of the scheduler by their names; the others have their defaults."""
    links: Links = Links()
    """What messages take."""
    store: StoreDelay = StoreDelay()
    """What calls of the store take."""
    service: Service = Service()
    """What a node adds to the work of a job."""
    loop: Loop = Loop()
    """What a message costs the scheduler."""
    nodes: list[Nodes] = []
    """Groups of nodes."""
    traffic: list[Traffic] = []
    """Streams of jobs."""
    faults: list[Fault] = []
    """What breaks."""
    expect: dict[str, str] = {}
    """What has to hold: a figure, and a comparison with a limit, such as "wait_s.p99" = "< 2"."""

    @property
    def resolved_settings(self) -> Settings:
        """The settings of the scheduler, defaults included."""
        return msgspec.convert(self.settings, Settings)

    @property
    def expectations(self) -> list[Expectation]:
        """The lines of [expect], parsed."""
        return parse_expectations(self.expect)


COST_TABLES = ("links", "store", "service", "loop")
"""What a machine costs, beside all that was asked for: `voxpool-sim calibrate` measures these tables."""


def load_scenario(path: Path, costs: Path | None = None) -> Scenario:
    """Read a scenario from a TOML file; the tables of `costs`, a file with some of COST_TABLES, replace its own.

    Raises ConfigError with one line that says what is wrong, and where.
    """
    scenario = parse_scenario(read_toml(path), str(path), path.parent)
    return scenario if costs is None else with_costs(scenario, costs)


def with_costs(scenario: Scenario, costs: Path) -> Scenario:
    """Return `scenario` with the tables of the file `costs` in place of its own. Raises ConfigError."""
    table = read_toml(costs)
    foreign = [key for key in table if key not in COST_TABLES]
    if foreign:
        raise ConfigError(f"{costs}: has no key {foreign[0]!r}; a file of costs knows {', '.join(COST_TABLES)}")
    least = {"name": scenario.name, "duration_s": scenario.duration_s}
    parsed = parse_scenario({**least, **table}, str(costs), costs.parent)
    return msgspec.structs.replace(scenario, **{key: getattr(parsed, key) for key in table})


def parse_scenario(table: dict[str, Any], place: str, folder: Path = Path(".")) -> Scenario:
    """Check `table` and make a scenario of it; files that it names are looked for in `folder`. Raises ConfigError."""
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
    """Check what the types of `scenario` can't tell. Raises ConfigError with one line that says what is wrong."""
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
    if scenario.warmup_s >= scenario.duration_s:
        raise ConfigError(f"{place}: warmup_s = {scenario.warmup_s:g} leaves nothing of duration_s to look at")
    for i, fault in enumerate(scenario.faults):
        check_fault(fault, f"{place}: faults[{i}]")
    for i, traffic in enumerate(scenario.traffic):
        if traffic.affinity and not traffic.sessions:
            raise ConfigError(f"{place}: traffic[{i}].affinity needs traffic[{i}].sessions above 0")
        least = _mean(traffic.audio_bytes)
        if least > settings.audio_bytes_max:
            raise ConfigError(
                f"{place}: traffic[{i}].audio_bytes: a mean of {least:g} is above the setting audio_bytes_max"
            )


def distribution(value: float | Distribution) -> Distribution:
    """Return a distribution for what a scenario may write as a plain number."""
    return Even(float(value)) if isinstance(value, int | float) else value


def _mean(value: float | Distribution) -> float:
    return distribution(value).mean or 0.0
