"""`voxpool-sim instances`: throughput by number of schedulers, and what faults of each scheduler do to the jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from voxpool.sim.instances.costs import SharedCosts
from voxpool.sim.instances.production.world import Instances, Sizes
from voxpool.sim.report.limits import shown
from voxpool.sim.report.pictures import Bar, bars
from voxpool.sim.report.report import WITH, Line, Picture, Report, Table
from voxpool.sim.virtual_time.stopwatch import Stopwatch

Tell = Callable[[float], None]
FAULTY = Sizes(schedulers=3, partitions=2, elsewhere=True, in_flight=4, nodes=3, slots=2, service_s=0.2)
"""With faults the world is small: its virtual minute matters, not its rate."""
SETTLE_S = 60.0
FAULT_EVERY_S = 6.0
"""Mean time between two faults of a scheduler."""


class Length(NamedTuple):
    """How long each run is, in virtual seconds."""

    warm_s: float = 0.15
    measured_s: float = 0.6
    faulty_s: float = 60.0
    faulty_seeds: int = 5


QUICK = Length(0.1, 0.1, 15.0, 2)


class Measured(NamedTuple):
    """A run without faults."""

    sizes: Sizes
    jobs_per_s: float
    redis_busy: float
    """Of the busiest server."""
    scheduler_busy: float
    wrong: list[str]


class Survived(NamedTuple):
    """A run with faults."""

    done: int
    lost: int
    ran_twice: int
    faults: dict[str, int]
    wrong: list[str]


def sizes_of(count: int) -> list[Sizes]:
    """Return the runs: powers of two up to `count` on one Redis, then `count` on four shards, then nodes elsewhere."""
    powers = [number for number in (1, 2, 4, 8) if number <= count]
    own = [Sizes(number) for number in powers]
    sharded = [Sizes(number, shards=4, partitions=16) for number in (powers[0], powers[-1])]
    elsewhere = [Sizes(number, elsewhere=True) for number in powers[1:]]
    return list(dict.fromkeys([*own, *sharded, *elsewhere]))


def measure(sizes: Sizes, costs: SharedCosts, length: Length, seed: int) -> Measured:
    """Run the world without faults."""
    world = Instances(sizes, costs, seed)
    try:
        world.run(length.warm_s)
        done, before = world.done, [each.busy_s for each in (*world.shards, *(s.processor for s in world.schedulers))]
        world.run(length.warm_s + length.measured_s)
        after = [each.busy_s for each in (*world.shards, *(s.processor for s in world.schedulers))]
        busy = [(now - then) / length.measured_s for now, then in zip(after, before, strict=True)]
        rate = (world.done - done) / length.measured_s
        return Measured(sizes, rate, max(busy[: sizes.shards]), max(busy[sizes.shards :]), list(world.wrong))
    finally:
        world.close()


def survive(sizes: Sizes, costs: SharedCosts, length: Length, seed: int) -> Survived:
    """Run the world with faults, then let everything end."""
    world = Instances(sizes, costs, seed)
    try:
        world.plague(FAULT_EVERY_S, length.faulty_s)
        world.run(length.faulty_s)
        world.settle(SETTLE_S)
        ran_twice = sum(1 for runs in world.runs.values() if runs > 1)
        return Survived(world.done, len(world.open), ran_twice, dict(world.faults), list(world.wrong))
    finally:
        world.close()


def instances(
    count: int, costs: SharedCosts, options: dict[str, Any], *, length: Length, seed: int, tell: Tell | None = None
) -> Report:
    """Measure 1 to `count` schedulers, and let three of them suffer."""
    watch = Stopwatch()
    todo = sizes_of(count)
    total = len(todo) + length.faulty_seeds
    measured = []
    for number, sizes in enumerate(todo):
        measured.append(measure(sizes, costs, length, seed))
        if tell is not None:
            tell((number + 1) / total)
    survived = []
    for number in range(length.faulty_seeds):
        survived.append(survive(FAULTY, costs, length, seed + number))
        if tell is not None:
            tell((len(todo) + number + 1) / total)
    return report_of(measured, survived, options, costs, seed, watch.seconds())


def report_of(
    measured: list[Measured],
    survived: list[Survived],
    options: dict[str, Any],
    costs: SharedCosts,
    seed: int,
    wall_s: float,
) -> Report:
    """Return the report; the limits are those of issue 14."""
    one = {(m.sizes.shards, m.sizes.elsewhere): m.jobs_per_s for m in measured if m.sizes.schedulers == 1}
    base = one[1, False]
    lines = []
    for each in measured:
        sizes = each.sizes
        goal = {(4, 1, False): ">= 3", (8, 4, False): ">= 6"}.get((sizes.schedulers, sizes.shards, sizes.elsewhere), "")
        lines.append(Line("", f"{_named(sizes)}, times one", "x", None, each.jobs_per_s / base, limit=goal))
    done, lost = sum(each.done for each in survived), sum(each.lost for each in survived)
    wrong = [text for run in measured for text in run.wrong] + [text for each in survived for text in each.wrong]
    twice = sum(each.ran_twice for each in survived)
    lines += [
        Line("", "requests with faults", "", None, done + lost, limit="> 0"),
        Line("", "of them lost", "", None, lost, limit="== 0"),
        Line("", "wrong, or ended twice", "", None, len(wrong), limit="== 0"),
        Line("", "jobs that ran twice", "", None, twice),
        Line("", "real time", "s", None, wall_s),
    ]
    struck = {kind: sum(each.faults.get(kind, 0) for each in survived) for kind in ("kill", "stall", "cut")}
    columns = ["schedulers", "jobs/s", "times one", "busiest Redis", "busiest scheduler"]
    rows = [
        [
            _named(each.sizes),
            *(shown(round(each.jobs_per_s)), shown(each.jobs_per_s / base)),
            *(f"{min(1.0, each.redis_busy):.2f}", f"{min(1.0, each.scheduler_busy):.2f}"),
        ]
        for each in measured
    ]
    return Report(
        experiment="instances",
        question="how do several schedulers scale, and do they lose anything?",
        seed=seed,
        options=options,
        lines=lines,
        variants={WITH: {"measured": [each._asdict() for each in measured], "faults": struck}},
        variant=WITH,
        notes=[
            f"costs: {costs.machine}",
            "faults: " + ", ".join(f"{kind} {count}" for kind, count in struck.items()),
            *wrong[:5],
        ],
        tables=[Table("Jobs a second in virtual time", columns, rows)],
        pictures=[lambda: _picture(measured)],
    )


def _named(sizes: Sizes) -> str:
    where = "nodes elsewhere" if sizes.elsewhere else "own nodes"
    return f"{sizes.schedulers} on {'one Redis' if sizes.shards == 1 else f'{sizes.shards} shards'}, {where}"


def _picture(measured: list[Measured]) -> Picture:
    groups = [Bar(_named(each.sizes), None, each.jobs_per_s) for each in measured]
    return bars("instances", "Jobs a second by schedulers", "jobs a second", groups, "Virtual time.", "linear")
