"""Runs one seed of a swarm, or of a scenario, and returns its findings, its figures and its coverage.

Every failure is a finding: a broken checker, an exception with its traceback, a run that never ends.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import msgspec

from voxpool.sim.observing.figures import SHOWN
from voxpool.sim.play import play
from voxpool.sim.replay.case import Case, found_in
from voxpool.sim.scenario.expect import figure_at
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.swarm.branches import blocks_run, marked_scripts
from voxpool.sim.swarm.coverage import Coverage, Reached
from voxpool.sim.swarm.generated import SIZES, draw_scenario, size_of
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.run import Played
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

DRAIN_AT_MOST_S = 4 * 3600.0
"""Virtual time in which every job ends, with any drawn timeouts and redispatches."""
WIRE_DRAIN_AT_MOST_S = 1800.0
"""The same for runs of the wire, whose timeouts are shorter than half an hour."""
CPU_S_MAX = 60.0
"""Processor time after which a run counts as endless."""


NEVER_ENDS = "NeverEnds"


class NeverEnds(Exception):
    """A run exceeded its processor time."""


class SeedResult(msgspec.Struct):
    """The result of one seed of a swarm."""

    seed: int
    broken: list[str]
    """Findings of the checkers, and the error of a crashed run; empty = none."""
    error: str
    """The traceback of a crashed run."""
    trace_hash: str
    events: int
    requests: int
    completed: int
    """Number of completed jobs; also 0 when the run crashed."""
    virtual_s: float
    wall_s: float
    reached: dict[str, dict[str, int]]
    figures: dict[str, float | None] = {}
    """The figures of SHOWN by path, but the real time, which differs from run to run; empty when the run crashed."""

    @property
    def failed(self) -> bool:
        """True when there is a finding."""
        return bool(self.broken)


def play_seed(seed: int, size: str = "small", store: str = "memory", variant: Variant | None = None) -> SeedResult:
    """Run the scenario drawn from `seed`; `variant` plants a bug."""
    scenario = draw_scenario(seed, SIZES[size])
    drain_s = DRAIN_AT_MOST_S if scenario.ends == "model" else WIRE_DRAIN_AT_MOST_S
    is_marked = store == "memory" and variant is None and scenario.ends == "model"
    if is_marked:
        variant = Variant(scripts=marked_scripts())
    result, played = _play(Case(scenario, scenario.seed, store), variant, CPU_S_MAX, drain_s)
    if is_marked and played is not None:
        result.reached["script blocks"] = dict.fromkeys(blocks_run(played.world.store, marked_scripts()), 1)
    return result


def play_scenario(scenario: Scenario, seed: int, store: str, cpu_s: float) -> SeedResult:
    """Run `scenario` with `seed`; an expectation that does not hold is a finding, too.

    `cpu_s` is the limit of processor time.
    """
    case = Case(scenario, seed, store)
    result, played = _play(case, None, cpu_s, None)
    if played is not None:
        result.broken += [sign for sign in found_in(case, played).signs if sign.startswith("expected: ")]
    return result


def _play(
    case: Case, variant: Variant | None, cpu_s: float, drain_s: float | None
) -> tuple[SeedResult, Played[Any] | None]:
    """Run `case`; return what was found, and no Played when the run crashed or never ended."""
    watch = Stopwatch()
    seen: list[Coverage] = []

    def seeing(world: World) -> Coverage:
        if drain_s is not None:
            world.drain_at_most_s = drain_s
        seen.append(Coverage(world))
        return seen[-1]

    result, played = SeedResult(case.seed, [], "", "", 0, 0, 0, 0.0, 0.0, {}), None
    try:
        with _no_longer_than(cpu_s):
            played = play(case.scenario, seed=case.seed, store=case.store, variant=variant, watchers=[seeing])
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        result.error = traceback.format_exc()
        what = "a job never ended" if isinstance(error, TimeoutError) else f"crashed: {type(error).__name__}"
        result.broken = [*_checkers_of(seen, error), f"{what}: {error}".split("\n")[0]]
    else:
        run = played.run
        result.broken = played.broken
        result.trace_hash, result.events = run["trace_hash"], run["events"]
        result.virtual_s = run["virtual_s"]
        result.requests = played.world.clients.made
        result.completed = run["jobs"]["completed"]
        result.figures = {path: figure_at(run, path) for path, _ in SHOWN if path != "wall_s"}
    for coverage in seen:
        result.reached.update(_plain(coverage.reached))
    result.wall_s = watch.seconds()
    return result, played


def _checkers_of(seen: Sequence[Coverage], error: Exception) -> list[str]:
    """Return the findings of the checkers of a run that ended with `error`, after the final checks if it hung."""
    if not seen:
        return []
    world = seen[0].world
    if isinstance(error, TimeoutError):
        world.end_checks()
    return world.broken_checkers()


def _plain(reached: Reached) -> dict[str, dict[str, int]]:
    return {family: dict(counts) for family, counts in reached.items() if family != "script blocks"}


@contextmanager
def _no_longer_than(cpu_s: float) -> Iterator[None]:
    """Raise NeverEnds in the block after its limit of processor time (main thread only, where supported)."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise NeverEnds(f"still running after {cpu_s:g} s of the processor")

    try:
        before = signal.signal(signal.SIGVTALRM, stop)
    except (ValueError, AttributeError):
        yield
        return
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def main() -> None:
    """Print the trace hash of each given seed (size, then seeds), for a separate process."""
    size, *seeds = sys.argv[1:]
    for seed in seeds:
        print(seed, play_seed(int(seed), size_of(int(seed), size, "memory")).trace_hash, flush=True)


if __name__ == "__main__":
    main()
