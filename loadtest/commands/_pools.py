"""`voxpool-load pools`: the same load on few and many nodes, in one and many pools, on real servers. The cost of a
select must not depend on these numbers, and equal nodes must get equal shares.

Each side is one run of Locust, with node users that serve the jobs, against a separate scheduler.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
import redis

from voxpool.leakgate.terminal import say
from voxpool.loadtest.commands._pools_report import Side, report
from voxpool.loadtest.commands._script_commands import SELECT, Calls, watch
from voxpool.loadtest.commands._script_seconds import ScriptSeconds
from voxpool.loadtest.processes._own_process import OwnProcess, python
from voxpool.loadtest.processes._own_scheduler import OwnScheduler
from voxpool.loadtest.report._records import JSON_NAME, LoadReport, read_report
from voxpool.scheduler.errors import VoxpoolError
from voxpool.sim.report.report import Report

LOCUSTFILES = Path(__file__).resolve().parents[1]
SMALL = 10
"""Nodes, and pools, of the small side, to which the large one is compared."""
NODES, POOLS = 1500, 1200
NODES_QUICK, POOLS_QUICK = 200, 160
STORES = ("embedded", "redis")
RATE_PER_S = 120.0
RATE_QUICK_PER_S = 60.0
WORK_S = 0.05
AUDIO_BYTES = 2000
SLOTS = 8
"""Enough slots that no node is ever full, so that each select finds a free slot on the nodes that it draws."""
PAIRS_A_NODE, NODES_A_POOL = 20, 5
"""With several pools: a group of NODES_A_POOL nodes serves PAIRS_A_NODE pairs."""
USERS = 5
"""A small number, because each user has a stream of arrivals for each pair."""
JOBS_A_NODE = 7.0
"""The chi-square test of fair shares needs at least five jobs a node."""
LEAST_S = 20.0
LEAST_QUICK_S = 12.0
WATCH_S = 3.0
PLAIN_S = 3.0
PLAIN_SHARE = 0.25
"""MONITOR is off for PLAIN_S seconds and PLAIN_SHARE of a run, so that it doesn't disturb the measured times."""
READY_S = 120.0
END_S = 60.0
LOOK_S = 0.2
ANSWER_TIMEOUT_S = 10.0


class PoolsFailed(VoxpoolError):
    """A side could not be run to its end."""


@dataclass(frozen=True)
class Shape:
    """`nodes` nodes that serve `pools` pools."""

    nodes: int
    pools: int

    @classmethod
    def of_pools(cls, pools: int) -> Shape:
        """Return as many nodes as `pools` pools have."""
        return cls(NODES_A_POOL * -(-pools // PAIRS_A_NODE), pools)

    @property
    def name(self) -> str:
        """The name in files and messages."""
        return f"{self.nodes} nodes in {self.pools} pool{'s' if self.pools > 1 else ''}"

    def scenario(self, rate_per_s: float, seconds: float, seed: int) -> str:
        """Return the scenario of this shape, as TOML: all pairs have the same rate."""
        pairs = [f"p{number}:load" for number in range(self.pools)]
        groups = [pairs[first : first + PAIRS_A_NODE] for first in range(0, len(pairs), PAIRS_A_NODE)]
        each = self.nodes // len(groups)
        lines = [f'name = "pools"\nseed = {seed}\nduration_s = {seconds:g}']
        lines += [f"[[nodes]]\ncount = {each}\nslots = {SLOTS}\npairs = {json.dumps(group)}" for group in groups]
        work = f'{{ dist = "exponential", mean = {WORK_S:g} }}'
        lines += [
            f'[[traffic]]\npair = "{pair}"\nrate_per_s = {rate_per_s / len(pairs):.9g}\nwork_s = {work}\n'
            f"audio_bytes = {AUDIO_BYTES}"
            for pair in pairs
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Wanted:
    """The size of the measurement. `least_s`: seconds of load of a side; more with many nodes."""

    out: Path
    nodes: int = NODES
    pools: int = POOLS
    stores: Sequence[str] = STORES
    rate_per_s: float = RATE_PER_S
    least_s: float = LEAST_S
    seed: int = 1

    @property
    def pairs_of_shapes(self) -> list[tuple[Shape, Shape]]:
        """The pairs of a small and a large shape; 0 nodes or pools leave theirs out."""
        shapes = []
        if self.nodes:
            shapes.append((Shape(SMALL, 1), Shape(self.nodes, 1)))
        if self.pools:
            shapes.append((Shape.of_pools(SMALL), Shape.of_pools(self.pools)))
        return shapes


def measure(wanted: Wanted) -> Report:
    """Run all sides, one after the other. Raises PoolsFailed, or CannotLoad when there is no Redis to start."""
    compared = [
        (_side(wanted, store, few), _side(wanted, store, many))
        for store in wanted.stores
        for few, many in wanted.pairs_of_shapes
    ]
    options = {
        "nodes": wanted.nodes,
        "pools": wanted.pools,
        "stores": list(wanted.stores),
        "rate_per_s": wanted.rate_per_s,
        "work_s": WORK_S,
        "slots": SLOTS,
        "least_s": wanted.least_s,
    }
    return report(compared, options, wanted.seed)


def _side(wanted: Wanted, store: str, shape: Shape) -> Side:
    """Run one side and return its results."""
    seconds = max(wanted.least_s, JOBS_A_NODE * shape.nodes / wanted.rate_per_s)
    folder = wanted.out / f"{_label(store)}, {shape.name}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_NAME).unlink(missing_ok=True)
    scenario = folder / "scenario.toml"
    scenario.write_text(shape.scenario(wanted.rate_per_s, seconds, wanted.seed))
    say(f"{_label(store)}, {shape.name}: {seconds:.0f} s of load; log: {folder / 'locust.log'}", err=True)
    with _scheduler(folder, store) as scheduler:
        locust = OwnProcess(_command(scheduler.url, scenario, folder, seconds), folder / "locust.log")
        try:
            seen = _Look(scheduler.url, locust).run(shape, seconds)
            _wait(lambda: not locust.runs, END_S + seconds, f"{folder.name}: the load does not end")
        finally:
            locust.stop(END_S)
    if not (folder / JSON_NAME).exists():
        raise PoolsFailed(
            f"{folder.name}: the load wrote no report (exit code {locust.exit_code}): see {locust.output}"
        )
    return _of(_label(store), shape, read_report(folder), seen)


def _label(store: str) -> str:
    return "a Redis" if "://" in store else store


def _command(url: str, scenario: Path, folder: Path, seconds: float) -> list[str]:
    return [
        *python("locust", "-f", str(LOCUSTFILES), "--headless", "--only-summary", "--host", url),
        *("-u", str(USERS), "-r", str(USERS), "-t", f"{seconds:.0f}s"),
        *("--scenario", str(scenario), "--memory", "off", "--out", str(folder)),
    ]


@contextmanager
def _scheduler(folder: Path, store: str) -> Iterator[OwnScheduler]:
    scheduler = OwnScheduler(folder, store, "--log-sample 0 --retention-s 30 --cleanup-interval-s 5")
    try:
        yield scheduler
    finally:
        scheduler.stop()


@dataclass(frozen=True)
class Seen:
    """Reports of scheduler and store under load."""

    product: str
    """The store's product and version."""
    selects: Calls
    select: ScriptSeconds
    """Times of the selects while MONITOR was off."""
    script_errors: float


class _Look:
    """Observes a scheduler and its store while `locust` loads it."""

    def __init__(self, url: str, locust: OwnProcess) -> None:
        self._http = httpx.Client(base_url=url, timeout=ANSWER_TIMEOUT_S, trust_env=False)
        self._locust = locust

    def run(self, shape: Shape, seconds: float) -> Seen:
        """Observe after all nodes have registered and jobs are submitted. Raises PoolsFailed."""
        with self._http:
            self._wait(lambda: self._nodes() >= shape.nodes, f"{shape.name}: not all nodes register")
            self._wait(lambda: self._sample("jobs_submitted_total") > 0, f"{shape.name}: no job is submitted")
            before = self._select()
            time.sleep(max(PLAIN_S, PLAIN_SHARE * seconds))
            after = self._select()
            store = self._http.get("/v1/debug/checkup").json()["store"]
            try:
                calls = watch(store["url"], WATCH_S)
            except redis.RedisError as error:
                raise PoolsFailed(f"the store {store['url']} can't be watched: {error}") from error
            return Seen(
                f"{store['product']} {store['version']}",
                calls.get(SELECT, Calls()),
                after.since(before),
                self._sample("script_errors_total"),
            )

    def _nodes(self) -> int:
        total: int = self._http.get("/v1/nodes", params={"limit": 1}).json()["total"]
        return total

    def _select(self) -> ScriptSeconds:
        return ScriptSeconds.of(self._http.get("/metrics").text, SELECT)

    def _sample(self, name: str) -> float:
        """Return the sum of all samples whose line begins with that metric."""
        lines = self._http.get("/metrics").text.splitlines()
        begins = (f"voxpool_{name} ", f"voxpool_{name}{{")
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(begins))

    def _wait(self, holds: Any, else_: str) -> None:
        _wait(lambda: holds() or not self._locust.runs, READY_S, else_)
        if not self._locust.runs:
            raise PoolsFailed(f"{else_}: the load has ended with {self._locust.exit_code}: see {self._locust.output}")


def _wait(holds: Any, patience_s: float, else_: str) -> None:
    end_s = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() >= end_s:
            raise PoolsFailed(f"{else_} within {patience_s:.0f} s")
        time.sleep(LOOK_S)


def _of(store: str, shape: Shape, found: LoadReport, seen: Seen) -> Side:
    results = [one for one in found.operations if one.name == "result" and one.latency_s is not None]
    pools = found.pools
    return Side(
        store=f"{store} ({seen.product})",
        name=shape.name,
        jobs=0 if found.jobs is None else found.jobs.completed,
        failures=sum(one.failures for one in found.operations),
        exit_code=found.exit_code,
        script_errors=seen.script_errors,
        commands_a_select=seen.selects.commands_a_job,
        selects_seen=seen.selects.jobs,
        select_us=_us(seen.select.mean_s),
        select_median_us=_us(seen.select.median_s),
        chi_square=None if pools is None else pools.chi_square,
        degrees=0 if pools is None else pools.degrees,
        p_value=None if pools is None else pools.p_value,
        result_p99_ms=max((1000 * one.latency_s.p99 for one in results if one.latency_s), default=None),
        notes=[*found.generator.reasons] if found.generator.was_limit else [],
    )


def _us(seconds: float | None) -> float | None:
    return None if seconds is None else 1e6 * seconds


@click.command(name="pools")
@click.option(
    "--nodes", type=click.IntRange(0, 20_000), help=f"In one pool ({NODES:,}; quick {NODES_QUICK}); 0 = none."
)
@click.option("--pools", type=click.IntRange(0, 5_000), help=f"Pools ({POOLS:,}; quick {POOLS_QUICK}); 0 = none.")
@click.option(
    "--store",
    "stores",
    multiple=True,
    default=STORES,
    show_default=True,
    help="embedded, redis (started for the run) or redis://… (empty); can be repeated.",
)
@click.option("--rate", type=click.FloatRange(1, 10_000), help=f"Jobs a second ({RATE_PER_S:g}).")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of arrivals and work.")
@click.option("--quick", is_flag=True, help="Fewer nodes and pools, in about two minutes.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, too."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out/pools"), show_default=True,
    help="A folder for the page and the load tests' own reports.",
)  # fmt: skip
def pools(
    nodes: int | None,
    pools: int | None,
    stores: Sequence[str],
    rate: float | None,
    seed: int,
    quick: bool,
    json_path: Path | None,
    out: Path,
) -> int:
    """Load a real server with very many nodes in one pool, and with very many pools: there must be no errors, a select
    must cost the same as with 10, and nodes must get equal shares.

    Exits with 0 when all of that holds, 1 when not, 2 when it is unclear.
    """
    from rich.console import Console

    default: Mapping[str, Any] = (
        {"nodes": NODES_QUICK, "pools": POOLS_QUICK, "rate": RATE_QUICK_PER_S, "least_s": LEAST_QUICK_S}
        if quick
        else {"nodes": NODES, "pools": POOLS, "rate": RATE_PER_S, "least_s": LEAST_S}
    )
    found = measure(
        Wanted(
            out,
            default["nodes"] if nodes is None else nodes,
            default["pools"] if pools is None else pools,
            stores,
            rate or default["rate"],
            default["least_s"],
            seed,
        )
    )
    found.write(json_path, out)
    found.print(Console(width=120))
    return found.exit_code
