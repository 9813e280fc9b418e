"""Plays a scenario with the ends that it names: simulated ones, or production's clients, nodes and endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TextIO

from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.world.run import Played, Progress
from voxpool.sim.world.run import play as play_model
from voxpool.sim.world.variant import Variant


def play(
    scenario: Scenario,
    *,
    seed: int | None = None,
    store: str = "memory",
    variant: Variant | None = None,
    checkers: Sequence[type[Checker]] = CHECKERS,
    trace_file: TextIO | None = None,
    follow: Sequence[str] = (),
    progress: Progress | None = None,
    watchers: Sequence[Callable[[Any], Watcher]] = (),
) -> Played[Any]:
    """Play `scenario` from its own seed or `seed`. `progress` is called with the part of the traffic that is over.

    Raises ConfigError, StoreUnavailable when a real store can't be reached.
    """
    if scenario.ends == "wire":
        from voxpool.sim.wire.run import check_options, play_on_wire  # the server, which takes half a second

        check_options(store, follow, variant)
        return play_on_wire(
            scenario, seed=seed, checkers=checkers, trace_file=trace_file, progress=progress, watchers=watchers
        )
    return play_model(
        scenario,
        seed=seed,
        store=store,
        variant=variant,
        checkers=checkers,
        trace_file=trace_file,
        follow=follow,
        progress=progress,
        watchers=watchers,
    )
