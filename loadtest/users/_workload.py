"""The workload of a load test: streams of jobs, and the nodes that serve them. Pure data, without sockets.

It is made from a scenario, the same file that the simulator runs, or from plain options, and shared among users.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from voxpool.loadtest.options._options import LoadOptions
from voxpool.scheduler.config import PRIORITY
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.chance.distributions import Distribution, Even, Exponential, Gamma, Lognormal, Pareto
from voxpool.sim.scenario.expect import Expectation
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic, distribution, load_scenario

PAIRS = ("load:test",)
RATE_PER_USER = 0.5
"""Jobs a second of one client user."""
WORK_S = 0.05
AUDIO_BYTES = 16_000
"""Half a second of 16 kHz, 16 bit, mono."""
NODES = 20
SLOTS = 2
DEADLINE_S = 60.0
"""Time after which a result counts as lost."""
PAIRS_A_NODE_MAX = 256
"""The limit of the protocol."""
ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "sim" / "scenarios", ROOT / "loadtest" / "scenarios"
"""The folder of scenarios given by name."""
KINDS = {
    "even": Even,
    "exponential": Exponential,
    "lognormal": Lognormal,
    "gamma": Gamma,
    "pareto": Pareto,
}


class NodeKind(msgspec.Struct, frozen=True):
    """The properties of one node."""

    group: str
    pairs: tuple[str, ...]
    slots: int
    speed: float = 1.0


class NodeGroup(msgspec.Struct, frozen=True):
    """`count` nodes of one kind; each serves `pairs_a_node` of the pairs in turn (0 = all of them)."""

    name: str
    count: int
    pairs: tuple[str, ...]
    slots: int
    speed: float = 1.0
    pairs_a_node: int = 0

    def node(self, index: int) -> NodeKind:
        """Return the kind of the `index`-th node of the group."""
        pairs = self.pairs
        if 0 < self.pairs_a_node < len(pairs):
            first = index * self.pairs_a_node
            pairs = tuple(pairs[(first + k) % len(pairs)] for k in range(self.pairs_a_node))
        return NodeKind(self.name, pairs, self.slots, self.speed)


class Stream(msgspec.Struct, frozen=True):
    """A stream of jobs of one pair; `rate_per_s` is the sum over client users, or that of one in `of_one`."""

    pair: str
    rate_per_s: float
    work_s: Distribution = Even(WORK_S)
    audio_bytes: Distribution = Even(float(AUDIO_BYTES))
    arrivals: str = "poisson"
    burst: int = 10
    start_s: float = 0.0
    end_s: float | None = None
    timeout_ms: int | None = None
    affinity: bool = False
    retries: int = 0
    """Number of further submits of a job after refusals with a retry time."""
    key: str = ""
    """Whose turn the jobs take in the order `fair`; the report has figures of each key."""
    priority: int | None = None
    """1 comes first; None: the scheduler's default."""


class Workload(msgspec.Struct, frozen=True):
    """The load of one test."""

    streams: tuple[Stream, ...]
    groups: tuple[NodeGroup, ...] = ()
    deadline_s: float = DEADLINE_S
    """Time after a job's intended start at which its result counts as lost."""
    rate_per_user: float | None = None
    """Jobs per second of each client user, divided in proportion to the streams' rates; None: users share the rates."""
    seed: int = 1
    name: str = "plain"
    duration_s: float | None = None
    """Duration of a scenario's traffic; None: until the run is ended."""
    expect: Sequence[Expectation] = ()
    """Expectations of the scenario."""

    @property
    def nodes(self) -> int:
        """Number of nodes; 0 = the scheduler has other nodes."""
        return sum(group.count for group in self.groups)

    @property
    def slots(self) -> int:
        """Number of slots of all nodes."""
        return sum(group.count * group.slots for group in self.groups)

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs of the jobs."""
        return tuple(dict.fromkeys(stream.pair for stream in self.streams))

    def node(self, index: int) -> NodeKind:
        """Return the kind of node `index`, modulo the number of nodes. Raises ConfigError without nodes."""
        if not self.nodes:
            raise ConfigError("this workload has no nodes")
        index %= self.nodes
        for group in self.groups:
            if index < group.count:
                return group.node(index)
            index -= group.count
        raise AssertionError("the groups have been counted")

    def rate_per_s(self, users: int) -> float:
        """Return the mean rate in jobs per second of `users` client users together."""
        return users * self.rate_per_user if self.rate_per_user is not None else self._total

    def of_one(self, users: int) -> tuple[Stream, ...]:
        """Return the streams with the rates of one of `users` client users."""
        if self.rate_per_user is not None:
            factor = self.rate_per_user / self._total if self._total else 0.0
        else:
            factor = 1 / max(1, users)
        return tuple(
            msgspec.structs.replace(stream, rate_per_s=stream.rate_per_s * factor)
            for stream in self.streams
            if stream.rate_per_s
        )

    @property
    def _total(self) -> float:
        return sum(stream.rate_per_s for stream in self.streams)


def of_options(options: LoadOptions) -> Workload:
    """Return the workload of `options`. Raises ConfigError with one line."""
    if options.scenario:
        if options.nodes > 0:
            raise ConfigError(f"--nodes {options.nodes}: the scenario defines the nodes; 0 leaves them out")
        scenario = find_scenario(options.scenario)
        workload = of_scenario(scenario, with_nodes=options.nodes != 0, deadline_s=options.result_timeout_s)
        own_seed = options.seed == LoadOptions().seed  # no seed was given
        return workload if own_seed else msgspec.structs.replace(workload, seed=options.seed)
    return plain(
        pairs=options.pair_names,
        rate_per_user=options.rate_per_user,
        work_s=KINDS[options.work](options.work_ms / 1000),
        audio_bytes=options.audio_bytes,
        nodes=options.node_users,
        slots=options.slots,
        timeout_ms=round(options.timeout_s * 1000) or None,
        deadline_s=options.result_timeout_s,
        seed=options.seed,
    )


def plain(
    *,
    pairs: Sequence[str] = PAIRS,
    rate_per_user: float = RATE_PER_USER,
    work_s: float | Distribution = WORK_S,
    audio_bytes: float | Distribution = AUDIO_BYTES,
    nodes: int = NODES,
    slots: int = SLOTS,
    timeout_ms: int | None = None,
    deadline_s: float = DEADLINE_S,
    seed: int = 1,
) -> Workload:
    """Return the workload of plain options: the same rate for each pair, and nodes of one kind.

    A node serves every pair; if there are more pairs than a node may serve, each node serves some, so that every pair
    has nodes. Raises ConfigError when that is not possible.
    """
    if not pairs:
        raise ConfigError("no pair to submit jobs for: give at least one, such as zh:en")
    _check_positive("work_s", work_s)
    _check_positive("audio_bytes", audio_bytes)
    work, audio = distribution(work_s), distribution(audio_bytes)
    pairs = tuple(dict.fromkeys(pairs))
    streams = tuple(Stream(pair, 1.0, work, audio, timeout_ms=timeout_ms, affinity=True) for pair in pairs)
    group = NodeGroup("node", nodes, pairs, slots, pairs_a_node=_pairs_a_node(len(pairs), nodes))
    return Workload(streams, (group,) if nodes else (), deadline_s, rate_per_user, seed)


def of_scenario(scenario: Scenario, *, with_nodes: bool = True, deadline_s: float = DEADLINE_S) -> Workload:
    """Return the traffic and the nodes of `scenario`; its settings, weights of keys and faults are not used here.

    Raises ConfigError when it has no traffic.
    """
    streams = tuple(_stream(traffic) for traffic in scenario.traffic if traffic.rate_per_s)
    if not streams:
        raise ConfigError(f"scenario {scenario.name}: it needs [[traffic]] with a rate above 0")
    groups = tuple(_group(nodes) for nodes in scenario.nodes) if with_nodes else ()
    return Workload(
        streams, groups, deadline_s, None, scenario.seed, scenario.name, scenario.duration_s, scenario.expectations
    )


def find_scenario(name: str) -> Scenario:
    """Read the scenario `name`: a file, or the name of one in SCENARIOS. Raises ConfigError."""
    if name.endswith(".toml"):
        return load_scenario(Path(name))
    known = {path.stem: path for folder in SCENARIOS for path in sorted(folder.glob("*.toml"))}
    if name not in known:
        raise ConfigError(f"no scenario {name!r}: give a .toml file, or one of {', '.join(sorted(known)) or 'none'}")
    return load_scenario(known[name])


def _stream(traffic: Traffic) -> Stream:
    return Stream(
        traffic.pair,
        traffic.rate_per_s,
        distribution(traffic.work_s),
        distribution(traffic.audio_bytes),
        traffic.arrivals,
        traffic.burst,
        traffic.start_s,
        traffic.end_s,
        None if traffic.timeout_s is None else max(1, round(traffic.timeout_s * 1000)),
        traffic.affinity,
        traffic.retries,
        traffic.key,
        None if traffic.priority == PRIORITY else traffic.priority,
    )


def _group(nodes: Nodes) -> NodeGroup:
    return NodeGroup(nodes.name, nodes.count, tuple(nodes.pairs), nodes.slots, nodes.speed)


def _pairs_a_node(pairs: int, nodes: int) -> int:
    """Return the number of pairs of each node: all, or enough that each pair has two nodes."""
    if pairs <= PAIRS_A_NODE_MAX or not nodes:
        return 0
    if nodes * PAIRS_A_NODE_MAX < pairs:
        raise ConfigError(f"{nodes} nodes can't serve {pairs} pairs: a node serves {PAIRS_A_NODE_MAX} at most")
    return min(PAIRS_A_NODE_MAX, -(-2 * pairs // nodes))


def _check_positive(name: str, value: float | Distribution) -> None:
    if isinstance(value, int | float) and value < 0:
        raise ConfigError(f"{name} = {value}: must not be below 0")
