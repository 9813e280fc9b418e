"""Plays a scenario whose ends are production code."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Scenario, Traffic
from voxpool.sim.wire.world import WireWorld
from voxpool.sim.world.clients import Request
from voxpool.sim.world.run import Played, Progress, play_in
from voxpool.sim.world.traffic import Stream
from voxpool.sim.world.variant import Variant

COLLECT_AT = 10_000
"""New objects after which the garbage collector looks at them, instead of Python's 700: that takes 4 % of a run."""


def play_on_wire(
    scenario: Scenario,
    *,
    seed: int | None = None,
    checkers: Sequence[type[Checker]] = CHECKERS,
    trace_file: TextIO | None = None,
    progress: Progress | None = None,
    watchers: Sequence[Callable[[WireWorld], Watcher]] = (),
) -> Played[WireWorld]:
    """Play `scenario` from its own seed or `seed`; see `play`."""
    with TemporaryDirectory(prefix="voxpool-wire-") as folder:
        world = WireWorld(
            seed=scenario.seed if seed is None else seed,
            settings=scenario.settings,
            delay_ms=scenario.links.delay_ms,
            store_delay_ms=scenario.store.delay_ms,
            overhead_ms=scenario.service.overhead_ms,
            warmup_s=scenario.warmup_s,
            token_file=Path(folder, "tokens.toml") if scenario.tokens else None,
            cuts_reads=bool(scenario.faults),  # a run without faults is quicker with whole reads
            checkers=checkers,
            trace_file=trace_file,
        )
        with collected_rarely():
            return play_in(world, scenario, set_up, watchers, progress)


@contextmanager
def collected_rarely() -> Iterator[None]:
    """Run the garbage collector less often in the block: a run makes many short-lived objects, and lasts seconds."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AT, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def set_up(world: WireWorld, scenario: Scenario) -> None:
    """Start the scheduler, the nodes, the traffic and the faults of `scenario` in `world`."""
    world.start_scheduler()
    for group in scenario.nodes:
        world.add_nodes(group.count, group.pairs, group.slots, group.speed, group.name)
    for i, traffic in enumerate(scenario.traffic):
        stream = Stream(traffic, f"t{i}", world.seed, scenario.duration_s)
        world.env.process(stream.run(world.env, StreamEnd(world, traffic, f"t{i}")))
    for i, fault in enumerate(scenario.faults):
        world.faults.strike(fault, scenario.duration_s, plain_random(world.seed, f"faults/{i}/{fault.kind}"))


class StreamEnd:
    """The clients of one stream of traffic: one for each of its sessions, or one for all."""

    def __init__(self, world: WireWorld, traffic: Traffic, name: str) -> None:
        self._world, self._traffic, self._name = world, traffic, name

    def request(self, request: Request) -> None:
        """Hand a new request to its client."""
        client = self._world.add_client(request.session_id or self._name, self._traffic)
        self._world.ask(client, request, self._traffic.over == "in_order")


def check_options(store: str, follow: Sequence[str], variant: Variant | None) -> None:
    """Raise ConfigError for what a run with production ends can't have."""
    if store != "memory":
        raise ConfigError(f'store {store!r}: a run with ends = "wire" has its store in memory')
    if follow:
        raise ConfigError('why: a run with ends = "wire" follows no job')
    if variant not in (None, Variant()):
        raise ConfigError('without: a run with ends = "wire" is played with production only')
