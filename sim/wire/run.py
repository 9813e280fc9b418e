"""Plays a scenario whose ends are production code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.wire.world import StreamEnd, WireWorld
from voxpool.sim.world.run import Played, Progress, play_in
from voxpool.sim.world.traffic import Stream
from voxpool.sim.world.variant import Variant


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
            checkers=checkers,
            trace_file=trace_file,
        )
        return play_in(world, scenario, set_up, watchers, progress)


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


def check_options(store: str, follow: Sequence[str], variant: Variant | None) -> None:
    """Raise ConfigError for what a run with production ends can't have."""
    if store != "memory":
        raise ConfigError(f'store {store!r}: a run with ends = "wire" has its store in memory')
    if follow:
        raise ConfigError('why: a run with ends = "wire" follows no job')
    if variant not in (None, Variant()):
        raise ConfigError('without: a run with ends = "wire" is played with production only')
