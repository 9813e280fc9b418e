"""Runs a scenario in a world: nodes, traffic and faults; then faults heal, jobs drain, and figures are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TextIO, TypeVar

from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.observing.figures import run_figures
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.observed_world import ObservedWorld
from voxpool.sim.world.traffic import Stream
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

SLICES = 200
"""Number of progress reports of a run."""

Progress = Callable[[float], None]


AnyWorld = TypeVar("AnyWorld", bound=ObservedWorld)


@dataclass(frozen=True)
class Played(Generic[AnyWorld]):
    """A finished run: its figures (a RUN), the results of the checkers, and the world."""

    run: dict[str, Any]
    broken: list[str]
    world: AnyWorld


def play(
    scenario: Scenario,
    *,
    seed: int | None = None,
    store: str = "memory",
    variant: Variant | None = None,
    checkers: Sequence[type[Checker]] = CHECKERS,
    is_traced: bool = True,
    trace_file: TextIO | None = None,
    follow: Sequence[str] = (),
    progress: Progress | None = None,
    watchers: Sequence[Callable[[World], Watcher]] = (),
) -> Played[World]:
    """Run `scenario` with `seed`, by default the scenario's. `progress` is called with the completed share of the
    traffic, 0 to 1; `watchers` make additional watchers of the run.

    Raises ConfigError for an unknown store, StoreUnavailable when a real one can't be reached.
    """
    world = world_of(
        scenario,
        seed=scenario.seed if seed is None else seed,
        store=store,
        variant=variant,
        checkers=checkers,
        is_traced=is_traced,
        trace_file=trace_file,
        follow=follow,
    )
    return play_in(world, scenario, set_up, watchers, progress)


def play_in(
    world: AnyWorld,
    scenario: Scenario,
    set_up: Callable[[AnyWorld, Scenario], None],
    watchers: Sequence[Callable[[AnyWorld], Watcher]],
    progress: Progress | None,
) -> Played[AnyWorld]:
    """Play `scenario` in `world`, which is still empty, from its set-up to its end."""
    watch = Stopwatch()
    try:
        world.hub.add([make(world) for make in watchers])
        set_up(world, scenario)
        busy_s = _run_traffic(world, scenario.duration_s, progress)
        world.come_to_rest()
        broken = world.broken_checkers()
        run = run_figures(world, traffic_s=scenario.duration_s, busy_s=busy_s, wall_s=watch.seconds())
        world.stop()
    except BaseException:
        world.close()
        raise
    return Played(run, broken, world)


def world_of(scenario: Scenario, **options: Any) -> World:
    """Return an empty world for `scenario`; `options` of World override those of the scenario."""
    given: dict[str, Any] = {
        "seed": scenario.seed,
        "settings": scenario.settings,
        "delay_ms": scenario.links.delay_ms,
        "store_delay_ms": scenario.store.delay_ms,
        "overhead_ms": scenario.service.overhead_ms,
        "message_ms": scenario.loop.message_ms,
        "warmup_s": scenario.warmup_s,
    }
    return World(**{**given, **options})


def set_up(world: World, scenario: Scenario) -> None:
    """Start the nodes, the traffic and the faults of `scenario` in `world`."""
    for group in scenario.nodes:
        world.add_nodes(group.count, group.pairs, group.slots, group.speed, group.name)
    for i, traffic in enumerate(scenario.traffic):
        stream = Stream(traffic, f"t{i}", world.seed, scenario.duration_s)
        world.env.process(stream.run(world.env, world.clients))
    for i, fault in enumerate(scenario.faults):
        world.faults.strike(fault, scenario.duration_s, plain_random(world.seed, f"faults/{i}/{fault.kind}"))


def _run_traffic(world: ObservedWorld, duration_s: float, progress: Progress | None) -> float:
    """Run to the end of the traffic; return the slot seconds of work until then."""
    settings = world.settings
    mean_from_s = settings.retention_s + settings.cleanup_interval_s
    moments = {duration_s * i / SLICES for i in range(1, SLICES + 1)} if progress else {duration_s}
    if mean_from_s < duration_s:
        moments.add(mean_from_s)
    for at_s in sorted(moments):
        world.run_to(at_s)
        if at_s == mean_from_s:
            world.recorder.begin_mean()
        if progress is not None:
            progress(at_s / duration_s)
    if mean_from_s < duration_s:
        world.recorder.end_mean()
    now = world.env.now
    busy_s: float = sum(node.busy_s for node in world.nodes)
    busy_s += sum(now - work.started_at for node in world.nodes for work in node.running.values())
    return busy_s
